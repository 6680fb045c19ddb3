#!/usr/bin/env bash
# What one would expect: largest_k of cc3d numbers the pieces from the largest on: 1 is the largest.
# It is not so. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" connected-components-3d==4.1.1 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import cc3d
import numpy as np

lesions = np.zeros((12, 12, 12), np.uint8)
lesions[2:5, 2:5, 2:5] = 1
lesions[7:11, 7:11, 7:11] = 1
sizes = np.bincount(cc3d.largest_k(lesions, k=2).ravel())[1:].tolist()
print("version: connected-components-3d", version("connected-components-3d"))
print("behaviour: of the k largest pieces number k is the largest, number 1 the smallest")
print("output: voxels of numbers 1 and 2 where the lesions have 64 and 27:", sizes)
raise SystemExit(sizes != [27, 64])
PYTHON
