#!/usr/bin/env bash
# Guess, written down first: a mask of two lesions intersected with itself by nilearn is the same mask, and the union of two lesions is both.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" nilearn==0.14.1 nibabel==5.4.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import nibabel
import numpy as np
from nilearn.masking import intersect_masks


def image(mask):
    return nibabel.Nifti1Image(mask.astype(np.uint8), np.eye(4))


def voxels(masks, **more):
    return int(intersect_masks([image(mask) for mask in masks], **more).get_fdata().sum())


large, small = np.zeros((2, 24, 24, 24), bool)
large[2:8, 2:8, 2:8] = True
small[14:18, 14:18, 14:18] = True
itself = voxels([large | small] * 2, threshold=1)
union = voxels([large, small], threshold=0)
kept = voxels([large, small], threshold=0, connected=False)
print("version: nilearn", version("nilearn"))
print("behaviour: the largest piece of the result alone is kept unless connected=False: the smaller lesion is gone without a word")
print("output: lesions of", int(large.sum()), "and", int(small.sum()), "voxels; the mask with itself", itself, "; union", union, "; union with connected=False", kept)
raise SystemExit(not ((itself, union, kept) == (216, 216, 280)))
PYTHON
