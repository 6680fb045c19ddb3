#!/usr/bin/env bash
# Guess, written down first: c3d asked to resample 20 slices of 3 mm to 1 mm gives 60 slices of 1 mm.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" picsl-c3d==1.4.6.0 nibabel==5.4.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
from picsl_c3d import Convert3D

found = {}
tool = Convert3D()
for count, thickness in ((20, 3), (30, 5), (24, 6), (240, 1)):
    with tempfile.TemporaryDirectory() as folder:
        source, made = str(Path(folder) / "source.nii.gz"), str(Path(folder) / "made.nii.gz")
        nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, count), np.uint8), np.diag([1.0, 1, thickness, 1])), source)
        tool.execute(f"{source} -resample-mm 1x1x1mm -o {made}")
        image = nibabel.load(made)
        found[f"{count} of {thickness} mm"] = (image.shape[2], round(float(image.header.get_zooms()[2]), 4))
print("version: picsl-c3d", version("picsl-c3d"))
print("behaviour: the number of slices is rounded up from a little too much and the field of view kept: thick slices asked for at 1 mm come at another size, which no other tool's grid of 1 mm has")
print("output: slices and their size in mm, of", found)
raise SystemExit(list(found.values()) != [(61, 0.9836), (152, 0.9868), (147, 0.9796), (240, 1.0)])
PYTHON
