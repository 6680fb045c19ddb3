#!/usr/bin/env bash
# Guess, written down first: mask_image of ANTsPy keeps the image wherever its mask is not zero, so that a brain mask of 255 masks as one of 1.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" antspyx==0.6.3 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import ants
import numpy as np

rng = np.random.default_rng(0)
image = ants.from_numpy(rng.uniform(50, 100, (20, 20, 20)).astype(np.float32))
brain = np.zeros((20, 20, 20), np.float32)
brain[5:15, 5:15, 5:15] = 1
probable = np.where(brain > 0, 0.98, 0).astype(np.float32)


def left(mask):
    return int((ants.mask_image(image, ants.from_numpy(mask)).numpy() > 0).sum())


found = (left(brain), left(brain * 255), left(probable))
print("version: antspyx", version("antspyx"))
print("behaviour: only voxels where the mask is exactly level = 1 are kept: a mask of 255, and a map of probabilities, leave nothing of the image")
print("output: voxels left of a brain of 1000, by its mask: of 1:", found[0], "; of 255:", found[1], "; of 0.98:", found[2])
raise SystemExit(found != (1000, 0, 0))
PYTHON
