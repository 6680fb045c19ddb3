#!/usr/bin/env bash
# Guess, written down first: landmarks that HistogramStandardization learned between the 5th and the 95th percentile are used between the 5th and the 95th: the image they were learned from keeps its order and its proportions.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" torchio==1.2.1 torch==2.13.0 numpy==2.4.6 nibabel==5.4.2
PYTHONPATH="$folder" python3 -W ignore - "$folder" <<'PYTHON'
import sys
from importlib.metadata import version

import nibabel
import numpy as np
import torchio

image = np.random.default_rng(0).gamma(3, 100, (24, 24, 24)).astype(np.float32)
path = f"{sys.argv[1]}/image.nii"
nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), path)
found = {}
for cutoff in (None, (0.05, 0.95)):
    landmarks = torchio.HistogramStandardization.train([path], cutoff=cutoff, progress=False)
    subject = torchio.Subject(flair=torchio.ScalarImage(path))
    made = torchio.HistogramStandardization({"flair": landmarks})(subject).flair.data.numpy()
    # learned from this one image: what it was taught is a straight line through these two percentiles
    low, high = np.percentile(image, (1, 99) if cutoff is None else (5, 95))
    found[cutoff] = {q: (round(float(100 * (np.percentile(image, q) - low) / (high - low))), round(float(np.percentile(made, q)))) for q in (5, 25, 50, 75, 95)}
print("version: torchio", version("torchio"))
print("behaviour: the percentiles that were asked for are used to learn and not to apply: landmarks of the 5th and 95th are put at the 1st and 99th, without a word")
print("output: percentile: (taught, made) for", found)
raise SystemExit(
    not (
        all(abs(taught - made) <= 1 for taught, made in found[None].values())
        and found[0.05, 0.95][95][0] == 100
        and found[0.05, 0.95][95][1] < 92
    )
)
PYTHON
