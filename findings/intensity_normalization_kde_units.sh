#!/usr/bin/env bash
# Guess, written down first: KDENormalizer of intensity-normalization divides by the grey level of white matter, so the unit in which an image is stored does not matter.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" intensity-normalization==3.0.1 scipy==1.17.1 nibabel==5.4.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import intensity_normalization
import numpy as np

generator = np.random.default_rng(0)
image = np.zeros((20, 20, 20))
grey, white = np.s_[3:17, 3:17, 3:8], np.s_[3:17, 3:17, 8:17]
image[grey] = generator.normal(600, 40, image[grey].shape)
image[white] = generator.normal(900, 40, image[white].shape)
found = {}
for unit in (0.001, 0.1, 1):
    stored = intensity_normalization.create_image(image * unit)
    kernel = intensity_normalization.KDENormalizer()
    stripe = intensity_normalization.WhiteStripeNormalizer()
    for one in (kernel, stripe):
        one.fit(stored)
    found[unit] = round(float(np.median(kernel.transform(stored).get_data()[white])), 2), round(stripe.mean / unit)
print("version: intensity-normalization", version("intensity-normalization"))
print("behaviour: the kernel's width follows the grey levels themselves: in larger units grey and white matter melt into one peak between them")
print("output: (white matter after KDENormalizer, white matter found by WhiteStripe in the first unit) by the unit of one image:", found)
raise SystemExit(not (found[0.001][0] < 1 and found[1][0] > 1.1 and all(abs(stripe - 900) < 10 for _, stripe in found.values())))
PYTHON
