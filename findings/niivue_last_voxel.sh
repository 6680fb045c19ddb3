#!/usr/bin/env bash
# Guess, written down first: NiiVue reads the voxels of a NIfTI of 64-bit integers as they are, as nibabel does.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" nibabel==5.4.2 numpy==2.2.6
npm install --silent --no-audit --no-fund --prefix "$folder" @niivue/niivue@0.69.0 > "$folder/npm.log"
PYTHONPATH="$folder" python3 -W ignore - "$folder" <<'PYTHON'
import sys

import nibabel
import numpy as np

for kind in ("int16", "uint32", "int64"):
    voxels = np.arange(1, 25).reshape((2, 3, 4), order="F").astype(kind)
    path = f"{sys.argv[1]}/{kind}.nii"
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4), dtype=kind), path)
    assert nibabel.load(path).get_fdata().max() == 24
PYTHON
cat > "$folder/read.mjs" <<'JAVASCRIPT'
import fs from "fs";
globalThis.window = globalThis;
globalThis.document = { createElement: () => ({ getContext: () => null }), addEventListener() {} };
const { NVImage } = await import("@niivue/niivue");
const folder = new URL(".", import.meta.url).pathname;
const last = {};
for (const kind of ["int16", "uint32", "int64"]) {
  const bytes = fs.readFileSync(`${folder}${kind}.nii`);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const image = await NVImage.new(buffer, `${kind}.nii`);
  last[kind] = [image.img[0], image.img[22], image.img[23]];
}
const version = JSON.parse(fs.readFileSync(`${folder}node_modules/@niivue/niivue/package.json`)).version;
console.log("version: @niivue/niivue", version);
console.log("behaviour: the last voxel of an image of 32-bit unsigned or 64-bit integers is 0, whatever the file holds");
console.log("output: voxels 1, 23 and 24 of 24, which hold their own number:", JSON.stringify(last));
process.exit(JSON.stringify(last) === '{"int16":[1,23,24],"uint32":[1,23,0],"int64":[1,23,0]}' ? 0 : 1);
JAVASCRIPT
node "$folder/read.mjs"
