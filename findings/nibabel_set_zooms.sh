#!/usr/bin/env bash
# What one would expect: after header.set_zooms a nibabel image has the new voxel size, or keeps the old one; its file says one of them.
# It is not so. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version

import nibabel
import numpy as np
import SimpleITK

image = nibabel.Nifti1Image(np.ones((8, 8, 8), np.uint8), np.eye(4))
image.header.set_zooms((2, 2, 5))
with tempfile.TemporaryDirectory() as folder:
    nibabel.save(image, f"{folder}/mask.nii")
    again = nibabel.load(f"{folder}/mask.nii")
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    seen = SimpleITK.ReadImage(f"{folder}/mask.nii").GetSpacing()
    found = {
        "nibabel, zooms": tuple(float(edge) for edge in again.header.get_zooms()),
        "nibabel, affine": tuple(float(edge) for edge in nibabel.affines.voxel_sizes(again.affine)),
        "SimpleITK": tuple(round(edge, 3) for edge in seen),
    }
print("version: nibabel", version("nibabel"), "SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: set_zooms changes pixdim and not the affine, and both are saved: volumes by the one are 20 times those by the other")
print("output: voxel size of one file in mm", found)
raise SystemExit(found != {"nibabel, zooms": (2.0, 2.0, 5.0), "nibabel, affine": (1.0, 1.0, 1.0), "SimpleITK": (2.0, 2.0, 5.0)})
PYTHON
