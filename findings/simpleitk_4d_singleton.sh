#!/usr/bin/env bash
# Guess, written down first: SimpleITK gives a NIfTI of shape (5, 6, 7, 1) as an image of four dimensions, as nibabel does.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK

found = {}
with tempfile.TemporaryDirectory() as folder:
    path = str(Path(folder) / "image.nii.gz")
    for shape in ((5, 6, 7, 1), (5, 6, 1), (5, 6, 7, 1, 3)):
        nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), path)
        found[nibabel.load(path).shape] = SimpleITK.ReadImage(path).GetSize()
print("version: SimpleITK", SimpleITK.Version.VersionString(), "; nibabel", version("nibabel"))
print("behaviour: a fourth axis of one is dropped on reading, a third axis of one is kept")
print("output: shape in nibabel: size in SimpleITK", found)
raise SystemExit(found[5, 6, 7, 1] != (5, 6, 7) or found[5, 6, 1] != (5, 6, 1))
PYTHON
