#!/usr/bin/env bash
# Guess, written down first: labels read with get_fdata() and saved again under the header of a file of bytes are 0, 1, 2 and 4 as before.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" nibabel==5.4.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - "$folder" <<'PYTHON'
import sys
from importlib.metadata import version

import nibabel
import numpy as np

labels = np.zeros((12, 12, 12), np.uint8)
labels[2:8], labels[3:5], labels[3] = 2, 1, 4
path = f"{sys.argv[1]}/labels.nii.gz"
found = {}
for kind in (np.uint8, np.int16):
    image = nibabel.Nifti1Image(labels.astype(kind), np.eye(4))
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), image.affine, image.header), path)
    read = nibabel.load(path).get_fdata()
    values = [round(float(value), 5) for value in np.unique(read)]
    found[np.dtype(kind).name] = values, [int((read == label).sum()) for label in (0, 1, 2, 4)]
print("version: nibabel", version("nibabel"))
print("behaviour: floats keep the type of the header, and are scaled to fill it: `labels == 1` and `labels == 2` find nothing")
print("output: values read, and voxels equal to 0, 1, 2 and 4 of", [int((labels == label).sum()) for label in (0, 1, 2, 4)], ":", found)
raise SystemExit(found != {"uint8": ([0.0, 1.00392, 1.99216, 4.0], [864, 0, 0, 0]), "int16": ([0.0, 1.00002, 2.00003, 4.0], [864, 0, 0, 0])})
PYTHON
