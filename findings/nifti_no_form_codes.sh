#!/usr/bin/env bash
# Guess, written down first: of a NIfTI file whose qform and sform codes are both 0, all readers take the axes alike, as the standard's method 1 has it: voxel sizes along x, y and z.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.2.6
npm install --silent --no-audit --no-fund --prefix "$folder" @niivue/niivue@0.69.0 > "$folder/npm.log"
PYTHONPATH="$folder" python3 -W ignore - "$folder" <<'PYTHON'
import json
import sys

import nibabel
import numpy as np
import SimpleITK

path = f"{sys.argv[1]}/scan.nii"
image = nibabel.Nifti1Image(np.ones((5, 6, 7), np.int16), np.diag([1, 2, 3, 1]))
image.set_qform(None, 0)
image.set_sform(None, 0)
nibabel.save(image, path)
header = nibabel.load(path).header
assert (int(header["qform_code"]), int(header["sform_code"])) == (0, 0)
by_nibabel = "".join(nibabel.aff2axcodes(nibabel.load(path).affine))
read = SimpleITK.ReadImage(path)
directions = np.diag([-1, -1, 1]) @ np.reshape(read.GetDirection(), (3, 3))
by_itk = "".join(nibabel.orientations.ornt2axcodes(nibabel.io_orientation(np.block([[directions, np.zeros((3, 1))], [0, 0, 0, 1]]))))
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
console.log("behaviour: three readers put one file at three orientations: left and right change between nibabel and NiiVue, front and back between nibabel and SimpleITK");
console.log("output: where the axes point to:", JSON.stringify(found));
process.exit(JSON.stringify(found) === '{"nibabel":"LAS","SimpleITK":"LPS","NiiVue":"RAS"}' ? 0 : 1);
JAVASCRIPT
node "$folder/read.mjs"
