#!/usr/bin/env bash
# Guess, written down first: SimpleITK reads NIfTI-2 as it reads NIfTI-1.
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
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        path = str(Path(folder) / f"{kind.__name__}.nii.gz")
        nibabel.save(kind(np.ones((5, 6, 7), np.int16), np.eye(4)), path)
        shape = nibabel.load(path).shape
        try:
            found[kind.__name__] = (shape, SimpleITK.ReadImage(path).GetSize())
        except RuntimeError as error:
            found[kind.__name__] = (shape, str(error).strip().splitlines()[-1].split(" for ")[0])
print("version: SimpleITK", SimpleITK.Version.VersionString(), "; nibabel", version("nibabel"))
print("behaviour: nibabel reads and writes NIfTI-1 and NIfTI-2 under the same endings; SimpleITK reads only NIfTI-1")
print("output: (nibabel, SimpleITK)", found)
raise SystemExit(
    found
    != {
        "Nifti1Image": ((5, 6, 7), (5, 6, 7)),
        "Nifti2Image": ((5, 6, 7), "sitk::ERROR: Unable to determine ImageIO reader"),
    }
)
PYTHON
