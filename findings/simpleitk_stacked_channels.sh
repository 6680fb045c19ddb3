#!/usr/bin/env bash
# Guess, written down first: GetImageFromArray undoes GetArrayFromImage: the array of a 4-D image becomes that 4-D image.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK

with tempfile.TemporaryDirectory() as folder:
    path = str(Path(folder) / "four.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((14, 12, 10, 4), np.int16), np.eye(4)), path)
    image = SimpleITK.ReadImage(path)
    back = SimpleITK.GetImageFromArray(SimpleITK.GetArrayFromImage(image))
    SimpleITK.WriteImage(back, path)
    saved = nibabel.load(path).shape
found = (image.GetSize(), back.GetSize(), back.GetNumberOfComponentsPerPixel(), saved)
print("version: SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: an array of four axes becomes a 3-D image of vectors along its last axis: of four sequences of 14 x 12 x 10 voxels "
      "there are 4 slices whose voxels hold a row of the head each, and the file is 5-D")
print("output: 4-D image", found[0], "; its array as an image", found[1], "of", found[2], "components ; shape in the file", found[3])
raise SystemExit(found != ((14, 12, 10, 4), (12, 10, 4), 14, (12, 10, 4, 1, 14)))
PYTHON
