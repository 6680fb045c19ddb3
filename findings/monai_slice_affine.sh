#!/usr/bin/env bash
# Guess, written down first: slicing a MetaTensor of MONAI moves its affine along, as slicer of nibabel and SpatialCrop do, so that a part that is saved lies where it was.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" monai==1.6.1 torch==2.13.0 nibabel==5.4.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import logging
import tempfile
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import SaveImage, SpatialCrop

logging.disable(logging.CRITICAL)
head = MetaTensor(torch.zeros(1, 20, 20, 20), affine=torch.diag(torch.tensor([1.0, 1, 3, 1], dtype=torch.float64)))
head[0, 15, 10, 10] = 1


def place(part):
    """Where the one bright voxel lies in the file that is saved, in mm."""
    with tempfile.TemporaryDirectory() as folder:
        SaveImage(output_dir=folder, resample=False, print_log=False, separate_folder=False)(part)
        saved = nibabel.load(next(Path(folder).iterdir()))
        return nibabel.affines.apply_affine(saved.affine, np.argwhere(saved.get_fdata() > 0)[0]).tolist()


found = {
    "whole": place(head),
    "SpatialCrop": place(SpatialCrop(roi_start=[10, 0, 0], roi_end=[20, 20, 20])(head)),
    "[:, 10:]": place(head[:, 10:]),
    "[..., 1::3]": place(head[..., 1::3]),
    "torch.flip": place(torch.flip(head, [1])),
}
print("version: monai", version("monai"))
print("behaviour: a part, every third slice, or a mirror image keeps the affine of the whole: it is saved elsewhere, with the old slice spacing, or on the other side")
print("output: a voxel at x = 15, y = 10, z = 30 mm lies at", found)
raise SystemExit(list(found.values()) != [[15, 10, 30], [15, 10, 30], [5, 10, 30], [15, 10, 9], [4, 10, 30]])
PYTHON
