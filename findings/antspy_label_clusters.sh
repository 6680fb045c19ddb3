#!/usr/bin/env bash
# Guess, written down first: label_clusters of ANTsPy numbers all the pieces of a label map that are large enough.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" antspyx==0.6.3 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import ants
import numpy as np

labels = np.zeros((40, 40, 40), np.float32)
labels[5:15, 5:15, 5:15] = 1  # core
labels[20:30, 20:30, 20:30] = 2  # oedema
labels[20:30, 5:15, 20:30] = 4  # enhancing tumour
image = ants.from_numpy(labels)


def sizes(clusters):
    return np.bincount(clusters.numpy().astype(int).ravel())[1:].tolist()


found = (sizes(ants.label_clusters(image)), sizes(ants.label_clusters(image, max_thresh=4)), sizes(ants.label_clusters(ants.from_numpy(labels * 255))))
print("version: antspyx", version("antspyx"))
print("behaviour: only values up to max_thresh = 1 are looked at: of a label map label 1 alone is left, of a mask of 255 nothing")
print("output: voxels of each piece of a map with 1000 voxels of labels 1, 2 and 4:", found[0], "; with max_thresh=4:", found[1], "; of a mask of 255 and more:", found[2])
raise SystemExit(found != ([1000], [1000, 1000, 1000], []))
PYTHON
