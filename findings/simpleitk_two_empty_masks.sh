#!/usr/bin/env bash
# Guess, written down first: SimpleITK's overlap of two empty label maps is 1 or NaN.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK

nothing = SimpleITK.GetImageFromArray(np.zeros((8, 8, 8), np.uint8))
overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
overlap.Execute(nothing, nothing)
values = (overlap.GetDiceCoefficient(), overlap.GetJaccardCoefficient())
print("version: SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: two empty label maps have an infinite Dice and a Jaccard of the largest double, without a warning")
print("output:", values)
raise SystemExit(values != (float("inf"), float(np.finfo(float).max)))
PYTHON
