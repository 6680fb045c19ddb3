#!/usr/bin/env bash
# Guess, written down first: an ADC map in square metres a second goes through HistogramStandardization as the same map in square micrometres a millisecond does.
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

adc = np.random.default_rng(0).normal(0.8, 0.15, (20, 20, 20)).clip(0.1)
path = f"{sys.argv[1]}/adc.nii"
found = {}
for unit in (1, 1e-3, 1e-9):  # square micrometres a millisecond, square millimetres and square metres a second
    nibabel.save(nibabel.Nifti1Image((adc * unit).astype(np.float32), np.eye(4)), path)
    landmarks = torchio.HistogramStandardization.train([path], progress=False)
    subject = torchio.Subject(adc=torchio.ScalarImage(path))
    made = torchio.HistogramStandardization({"adc": landmarks})(subject).adc.data.numpy()
    found[unit] = np.round(landmarks[[0, 6, 12]]).astype(int).tolist(), len(np.unique(made.round(3)))
print("version: torchio", version("torchio"))
print("behaviour: landmarks less than 0.00001 apart count as one, whatever the unit: the landmarks learned are the same, the image made is a step a landmark, ten grey levels in all")
print("output: (first, middle and last landmark, grey levels of 8000 voxels) by unit:", found)
raise SystemExit(not (found[1][0] == found[1e-3][0] == found[1e-9][0] and found[1][1] > 5000 and found[1e-3][1] > 5000 and found[1e-9][1] == 10))
PYTHON
