#!/usr/bin/env bash
# Guess, written down first: OtsuThreshold of a head in air marks the head with 1, as OtsuMultipleThresholds with one threshold does.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" numpy==2.4.6 SimpleITK==2.5.7
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import SimpleITK

head = np.random.default_rng(0).normal(10, 2, (20, 20, 20)).astype(np.float32)
head[5:15, 5:15, 5:15] += 90
image = SimpleITK.GetImageFromArray(head)
found = {}
for name in ("OtsuThreshold", "LiThreshold", "TriangleThreshold", "OtsuMultipleThresholds"):
    mask = SimpleITK.GetArrayFromImage(getattr(SimpleITK, name)(image))
    found[name] = (int(mask[0, 0, 0]), int(mask[10, 10, 10]), int((mask == 1).sum()))
print("version: SimpleITK", version("SimpleITK"))
print("behaviour: the filters that find one threshold mark what lies below it, air; the one that finds several marks what lies above the first, the head")
print("output: value in air, value in the head, voxels marked 1 (the head has 1000 of 8000):", found)
below, above = (1, 0, 7000), (0, 1, 1000)
raise SystemExit(found != {"OtsuThreshold": below, "LiThreshold": below, "TriangleThreshold": below, "OtsuMultipleThresholds": above})
PYTHON
