#!/usr/bin/env bash
# A qform whose quaternion is a rounding longer than 1, as programs write that keep four digits of it. The standard takes its fourth part as 0 and normalises it.
# Guess, written down first: all readers do so, since the standard's own library does; a scan with a half turn about z points to L, P and S.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.2.6
npm install --silent --no-audit --no-fund --prefix "$folder" @niivue/niivue@0.69.0 > "$folder/npm.log"
PYTHONPATH="$folder" python3 -W ignore - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK

path = Path(sys.argv[1]) / "scan.nii"
affine = np.diag([-1, -2, 3, 1])
image = nibabel.Nifti1Image(np.ones((5, 6, 7), np.int16), affine)
image.set_sform(None, 0)
image.set_qform(affine, 1)
nibabel.save(image, path)
content = bytearray(path.read_bytes())
content[264:268] = np.float32(1.0001).tobytes()  # quatern_d, which was 1
path.write_bytes(content)
try:
    by_nibabel = "".join(nibabel.aff2axcodes(nibabel.load(path).affine))
except ValueError as error:
    by_nibabel = str(error).split(",")[0]
directions = np.diag(np.reshape(SimpleITK.ReadImage(str(path)).GetDirection(), (3, 3))) * (-1, -1, 1)
by_itk = "".join(pair[int(along > 0)] for pair, along in zip(("LR", "PA", "IS"), directions))
json.dump({"nibabel": by_nibabel, "SimpleITK": by_itk}, open(f"{sys.argv[1]}/found.json", "w"))
PYTHON
cat > "$folder/read.mjs" <<'JAVASCRIPT'
import fs from "fs";
globalThis.window = globalThis;
globalThis.document = { createElement: () => ({ getContext: () => null }), addEventListener() {} };
const { NVImage } = await import("@niivue/niivue");
const folder = new URL(".", import.meta.url).pathname;
const bytes = fs.readFileSync(`${folder}scan.nii`);
const image = await NVImage.new(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length), "scan.nii");
const found = JSON.parse(fs.readFileSync(`${folder}found.json`));
found.NiiVue = [0, 1, 2].map((axis) => ["LPI", "RAS"][Number(image.hdr.affine[axis][axis] > 0)][axis]).join("");
console.log("version: nibabel 5.4.2; SimpleITK 2.5.7; @niivue/niivue 0.69.0");
console.log("behaviour: SimpleITK normalises the quaternion, nibabel cannot open the file, NiiVue leaves the turn out, so that left and right, front and back are exchanged");
console.log("output: where the axes point to:", JSON.stringify(found));
process.exit(JSON.stringify(found) === '{"nibabel":"w2 should be positive","SimpleITK":"LPS","NiiVue":"RAS"}' ? 0 : 1);
JAVASCRIPT
node "$folder/read.mjs"
