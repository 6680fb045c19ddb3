#!/usr/bin/env bash
# Guess, written down first: LabelOverlapMeasuresImageFilter given the truth and then the prediction, the order of most metrics, has a false positive error where the prediction adds voxels, and none for what it misses.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK

truth = np.zeros((20, 20, 20), np.uint8)
truth[5:15, 5:15, 5:15] = 1
larger = truth.copy()
larger[5:15, 5:15, 15:18] = 1  # 300 voxels too many, none too few
images = {"truth": SimpleITK.GetImageFromArray(truth), "prediction": SimpleITK.GetImageFromArray(larger)}
found = {}
for order in (("truth", "prediction"), ("prediction", "truth")):
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*(images[name] for name in order))
    found[order] = [
        round(value, 3)
        for value in (overlap.GetFalseNegativeError(), overlap.GetFalsePositiveError(), overlap.GetFalseDiscoveryRate(), overlap.GetVolumeSimilarity(), overlap.GetDiceCoefficient())
    ]
print("version: SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: what is given first is measured against what is given second: a mask that is too large has missed 23 % and added nothing, and its volume is too small, while Dice is the same")
print("output: false negative error, false positive error, false discovery rate, volume similarity, Dice by order:", found)
raise SystemExit(
    found
    != {("truth", "prediction"): [0.231, 0.0, 0.0, -0.261, 0.87], ("prediction", "truth"): [0.0, 0.043, 0.231, 0.261, 0.87]}
)
PYTHON
