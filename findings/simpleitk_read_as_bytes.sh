#!/usr/bin/env bash
# Guess, written down first: ReadImage of SimpleITK with sitkUInt8 gives the labels 1 and 2 of a map that nibabel saved in bytes.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK

labels = np.zeros((10, 10, 10), np.uint8)
labels[2:5, 2:5, 2:5] = 1
labels[6:9, 6:9, 6:9] = 2


def counts(array):
    return np.bincount(np.asarray(array).ravel(), minlength=3)[:3].tolist()


with tempfile.TemporaryDirectory() as folder:
    source, edited = str(Path(folder) / "source.nii.gz"), str(Path(folder) / "edited.nii.gz")
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), source)
    read = nibabel.load(source)
    nibabel.save(nibabel.Nifti1Image(read.get_fdata(), read.affine, read.header), edited)  # as after any edit of the voxels
    as_bytes = counts(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(edited, SimpleITK.sitkUInt8)))
    rounded = counts(np.rint(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(edited))).astype(int))
print("version: SimpleITK", SimpleITK.Version.VersionString(), "; nibabel", version("nibabel"))
print("behaviour: the scale that nibabel puts into the header makes 0.996 of 1, and a type that is asked for cuts fractions off: the smallest label is gone, the others are whole")
print("output: voxels of labels 0, 1 and 2:", counts(labels), "; read as sitkUInt8:", as_bytes, "; read as stored and rounded:", rounded)
raise SystemExit(as_bytes != [973, 0, 27] or rounded != [946, 27, 27])
PYTHON
