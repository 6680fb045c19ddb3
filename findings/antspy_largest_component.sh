#!/usr/bin/env bash
# Guess, written down first: iMath GetLargestComponent keeps a lesion of 12 voxels, the only one there is; or nothing of it, since pieces under 50 voxels do not count.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" antspyx==0.6.3 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import ants
import numpy as np

found = {}
for edges in ((0, 0, 0), (2, 2, 3), (7, 7, 1), (5, 5, 2)):
    mask = np.zeros((40, 40, 40), np.float32)
    mask[tuple(slice(5, 5 + n) for n in edges)] = 1
    found[int(mask.sum())] = int(ants.iMath(ants.from_numpy(mask), "GetLargestComponent").numpy().sum())
print("version: antspyx", version("antspyx"))
print("behaviour: where no piece has 50 voxels the background is the largest component: every voxel of the image becomes lesion")
print("output: voxels before and after, of 64000:", found)
raise SystemExit(found != {0: 64000, 12: 64000, 49: 64000, 50: 50})
PYTHON
