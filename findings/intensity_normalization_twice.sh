#!/usr/bin/env bash
# What one would expect: intensity-normalization's z-score leaves an image alone that is z-scored already, and air at 0.
# It is not so. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" intensity-normalization==3.0.1 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from intensity_normalization import ZScoreNormalizer
from intensity_normalization.adapters.images import NumpyImageAdapter

brain = np.zeros((30, 30, 30), bool)
brain[5:25, 5:25, 5:25] = True
image = np.where(brain, np.random.default_rng(0).normal(300, 30, brain.shape), 0.0)


def zscored(array):
    return ZScoreNormalizer().fit_transform(NumpyImageAdapter(array)).get_data()


once = zscored(image)
twice = zscored(once)
found = {
    name: (round(float(array[brain].mean()), 1) + 0.0, round(float(array[brain].std()), 1), round(float(array[~brain].mean()), 1))
    for name, array in (("as it was", image), ("once", once), ("twice", twice))
}
print("version: intensity-normalization", version("intensity-normalization"))
print(
    "behaviour: without a mask what is above 0 is taken for the head: air of 0 becomes the darkest value, and of an image "
    "that is z-scored already half of the brain alone gives mean and deviation"
)
print("output: (mean of the brain, its standard deviation, air)", found)
raise SystemExit(found != {"as it was": (300.1, 30.1, 0.0), "once": (0.0, 1.0, -10.0), "twice": (-1.4, 1.7, -18.0)})
PYTHON
