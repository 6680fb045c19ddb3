#!/usr/bin/env bash
# NRRD files that give directions or spacings and no space of the patient: scanner-xyz, a number of dimensions, or nothing.
# Guess, written down first: NiiVue takes the axes as SimpleITK does, to left, posterior and superior, with the voxel size that is stated.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 numpy==2.2.6
npm install --silent --no-audit --no-fund --prefix "$folder" @niivue/niivue@0.69.0 > "$folder/npm.log"
PYTHONPATH="$folder" python3 -W ignore - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

import numpy as np
import SimpleITK

common = "NRRD0004\ntype: short\ndimension: 3\nsizes: 5 6 7\nendian: little\nencoding: raw\n"
directions = "space directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (0,0,0)\n"
kinds = {
    "patient": f"space: left-posterior-superior\n{directions}",
    "scanner": f"space: scanner-xyz\n{directions}",
    "dimension": f"space dimension: 3\n{directions}",
    "spacings": "spacings: 1 2 3\n",
}
found = {}
for kind, fields in kinds.items():
    path = Path(sys.argv[1]) / f"{kind}.nrrd"
    path.write_bytes((common + fields + "\n").encode() + np.arange(210, dtype="<i2").tobytes())
    image = SimpleITK.ReadImage(str(path))
    steps = np.diag(np.reshape(image.GetDirection(), (3, 3))) * image.GetSpacing() * (-1, -1, 1)
    found[kind] = [steps.tolist()]
json.dump(found, open(f"{sys.argv[1]}/found.json", "w"))
PYTHON
cat > "$folder/read.mjs" <<'JAVASCRIPT'
import fs from "fs";
globalThis.window = globalThis;
globalThis.document = { createElement: () => ({ getContext: () => null }), addEventListener() {} };
const { NVImage } = await import("@niivue/niivue");
const folder = new URL(".", import.meta.url).pathname;
const found = JSON.parse(fs.readFileSync(`${folder}found.json`));
const silent = [console.log, console.warn, console.debug, console.info];
console.log = console.warn = console.debug = console.info = () => {};
for (const kind of Object.keys(found)) {
  const bytes = fs.readFileSync(`${folder}${kind}.nrrd`);
  const image = await NVImage.new(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length), `${kind}.nrrd`);
  found[kind].push([0, 1, 2].map((axis) => image.hdr.affine[axis][axis]));
}
[console.log, console.warn, console.debug, console.info] = silent;
console.log("version: SimpleITK 2.5.7; @niivue/niivue 0.69.0");
console.log("behaviour: without a space of the patient NiiVue takes the axes to right, anterior and superior, mirrored against SimpleITK, and of spacings alone voxels of 1 mm");
console.log("output: [SimpleITK, NiiVue], steps in mm to right, anterior and superior:", JSON.stringify(found));
const expected = '{"patient":[[-1,-2,3],[-1,-2,3]],"scanner":[[-1,-2,3],[1,2,3]],"dimension":[[-1,-2,3],[1,2,3]],"spacings":[[-1,-2,3],[1,1,1]]}';
process.exit(JSON.stringify(found) === expected ? 0 : 1);
JAVASCRIPT
node "$folder/read.mjs"
