#!/usr/bin/env bash
# Guess, written down first: TissueClassifierHMRF of dipy divides a brain on a background of zeros, as every skull-stripped image is, into its tissues, the easier the less noise there is.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" dipy==1.12.1 scipy==1.17.1 nibabel==5.4.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from dipy.segment.tissue import TissueClassifierHMRF

away = np.sqrt(((np.indices((30, 30, 30)) - 14.5) ** 2).sum(axis=0))
tissue = np.select([away < 5, away < 9, away < 12], [3, 2, 1], 0)
generator = np.random.default_rng(0)
found = {}
for noise in (20, 10, 5):
    noisy = np.clip(100.0 * tissue + generator.normal(0, noise, tissue.shape), 1, None)
    for name, image in {"air of zeros": np.where(tissue > 0, noisy, 0), "noisy air": noisy}.items():
        _, labels, probability = TissueClassifierHMRF(verbose=False).classify(image, 3, 0.1, max_iter=5)
        found[name, noise] = np.unique(labels).tolist(), bool(np.isnan(probability).any())
print("version: dipy", version("dipy"))
print("behaviour: air of zeros has no variance; with tissues that are told apart well every probability is then NaN and every voxel -1, without an error, and a noisier image is divided")
print("output: (labels, any NaN) by (air, noise of a tissue whose grey levels lie 100 apart):", found)
bad, good = ([-1], True), ([0, 1, 2, 3], False)
raise SystemExit(
    not (found["air of zeros", 5] == found["air of zeros", 10] == bad and found["air of zeros", 20] == good and all(found["noisy air", noise] == good for noise in (20, 10, 5)))
)
PYTHON
