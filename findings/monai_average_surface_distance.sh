#!/usr/bin/env bash
# Guess, written down first: the average surface distance of MONAI grows where a second lesion is missed.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" monai==1.6.1 torch==2.13.0 scikit-image==0.26.0 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import torch
from monai.metrics import SurfaceDistanceMetric

truth = torch.zeros(1, 2, 40, 40, 40)
truth[:, 1, 10:20, 10:20, 10:20] = 1
missed = truth.clone()  # this one is found to the voxel
truth[:, 1, 30:34, 30:34, 30:34] = 1  # and this one is missed
found = {}
for name, (first, second) in {"missed": (missed, truth), "false alarm": (truth, missed)}.items():
    for symmetric in (False, True):
        metric = SurfaceDistanceMetric(symmetric=symmetric)
        metric(y_pred=first, y=second)
        found[name, symmetric] = round(float(metric.aggregate()), 2)
print("version: monai", version("monai"))
print("behaviour: unless symmetric is named distances start at the prediction alone: a lesion that is missed costs nothing, and a prediction of less is never worse")
print("output: mm by (second lesion, symmetric):", found)
raise SystemExit(found != {("missed", False): 0.0, ("missed", True): 1.18, ("false alarm", False): 2.24, ("false alarm", True): 1.18})
PYTHON
