#!/usr/bin/env bash
# Guess, written down first: a patient without tumour in whom no tumour was found scores 1 in the segmentation metrics of torchmetrics, or is left out of the mean by all of them.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import torch
from torchmetrics.functional.segmentation import mean_iou
from torchmetrics.segmentation import DiceScore, GeneralizedDiceScore, MeanIoU

truth = torch.zeros(2, 16, 16, 16, dtype=torch.long)  # the second patient has no tumour
truth[0, 4:12, 4:12, 4:12] = 2
truth[0, 6:10, 6:10, 6:10] = 1
options = {"num_classes": 3, "include_background": False, "input_format": "index"}
found = {}
for metric in (DiceScore(average="macro", **options), MeanIoU(**options), GeneralizedDiceScore(**options)):
    found[type(metric).__name__] = float(metric(truth.clone(), truth))
per_class = mean_iou(truth, truth, per_class=True, **options)
print("version: torchmetrics", version("torchmetrics"))
print("behaviour: the patient without tumour is left out by DiceScore and MeanIoU and counts 0 in GeneralizedDiceScore; mean_iou per class gives -1 for it, which a mean takes in")
print("output: of a perfect answer for two patients, one without tumour:", found, "; mean_iou per class:", per_class.tolist(), "and its mean:", float(per_class.mean()))
raise SystemExit(found != {"DiceScore": 1.0, "MeanIoU": 1.0, "GeneralizedDiceScore": 0.5} or per_class.tolist() != [[1.0, 1.0], [-1.0, -1.0]])
PYTHON
