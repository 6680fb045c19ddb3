#!/usr/bin/env bash
# Guess, written down first: the gradient magnitude of an MR image stored as int16 or uint16 is that of the same image as floats, cut to whole numbers.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" scipy==1.17.1 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import scipy
from scipy import ndimage

edges = {}
for kind in ("float32", "int16", "uint16"):
    for height in (300, 600, 1200):  # an edge between air and a head of that grey level
        image = np.zeros((20, 20, 20), kind)
        image[10:] = height
        edges.setdefault(kind, []).append(int(ndimage.gaussian_gradient_magnitude(image, 1.0).max()))
print("version: scipy", scipy.__version__)
print("behaviour: squares are summed in the type of the image and run over, at 600 in int16 and at 1200 in uint16: higher edges have the weaker gradient")
print("output: gradient of edges of 300, 600 and 1200", edges)
raise SystemExit(not (edges["float32"] == [109, 218, 436] and max(edges["int16"][1:]) < 200 and edges["uint16"][2] < 300))
PYTHON
