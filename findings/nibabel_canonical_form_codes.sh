#!/usr/bin/env bash
# Guess, written down first: as_closest_canonical, and a slice of an image, keep the form codes: both 1 (scanner) before and after.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" nibabel==5.4.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import nibabel
import numpy as np

image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.diag([-1, 1, 1, 1]))
image.set_qform(image.affine, 1)
image.set_sform(image.affine, 1)
images = {"as made": image, "canonical": nibabel.as_closest_canonical(image), "sliced": image.slicer[1:]}
codes = {name: (int(i.header["qform_code"]), int(i.header["sform_code"])) for name, i in images.items()}
print("version: nibabel", version("nibabel"))
print("behaviour: reorienting or slicing turns scanner space into aligned space: qform code 1 becomes 0 and sform code 1 becomes 2")
print("output: (qform_code, sform_code)", codes)
raise SystemExit(codes != {"as made": (1, 1), "canonical": (0, 2), "sliced": (0, 2)})
PYTHON
