#!/usr/bin/env bash
# Guess, written down first: reslice of dipy takes a constant image of 10 slices of 5 mm to 50 slices of 1 mm of the same value, or to the 46 between the first middle and the last.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" dipy==1.12.1 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from dipy.align.reslice import reslice

image = np.full((8, 8, 10), 100.0, np.float32)
fine, _ = reslice(image, np.diag([1.0, 1.0, 5.0, 1.0]), (1, 1, 5), (1, 1, 1))
profile = fine[4, 4]
print("version: dipy", version("dipy"))
print("behaviour: the last slices, past the middle of the last thick one, are air: 4 mm of the vertex are gone, the mean of the head falls")
print("output: slices", fine.shape[2], "; of them 0:", int((profile == 0).sum()), "at the end", profile[-5:].tolist(), "; mean", float(fine.mean()), "for 100")
raise SystemExit(not (fine.shape == (8, 8, 50) and profile[:46].min() == 100 and profile[46:].max() == 0))
PYTHON
