#!/usr/bin/env bash
# What one would expect: miseval agrees with itself on two empty masks: Dice and IoU are both 1 (or both undefined).
# It is not so. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" miseval==1.3.0
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from miseval import evaluate

nothing = np.zeros((8, 8), np.uint8)
values = {name: float(evaluate(nothing, nothing, metric=name)) for name in ("DSC", "IoU", "SENS", "PREC")}
print("version: miseval", version("miseval"))
print("behaviour: two empty masks have a Dice of 1 and an IoU of 0, although one follows from the other")
print("output:", values)
raise SystemExit(values != {"DSC": 1.0, "IoU": 0.0, "SENS": 0.0, "PREC": 0.0})
PYTHON
