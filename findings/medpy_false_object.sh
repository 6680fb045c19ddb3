#!/usr/bin/env bash
# What one would expect: in medpy an object that the prediction adds leaves obj_tpr at 1 and raises obj_fpr to 0.5.
# It is not so. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" medpy==0.5.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from medpy.metric import binary

truth = np.zeros((20, 20, 20), bool)
truth[5:10, 5:10, 5:10] = True
result = truth.copy()
result[15, 15, 15] = True
added = float(binary.obj_tpr(result, truth)), float(binary.obj_fpr(result, truth))
missed = float(binary.obj_tpr(truth, result)), float(binary.obj_fpr(truth, result))
print("version: medpy", version("medpy"))
print("behaviour: a false object halves the object-wise true-positive rate and leaves the false-positive rate at 0; "
      "a missed object does the reverse")
print("output: (obj_tpr, obj_fpr) with one object found and one added", added, "; one found and one missed", missed)
raise SystemExit((added, missed) != ((0.5, 0.0), (1.0, 0.5)))
PYTHON
