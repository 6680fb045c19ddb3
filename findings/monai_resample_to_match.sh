#!/usr/bin/env bash
# Guess, written down first: a label map brought onto the grid of a larger field of view by ResampleToMatch has its lesion where it was and background in the part that it never showed.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" monai==1.6.1 torch==2.13.0 scikit-image==0.26.0 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import torch
from monai.data import MetaTensor
from monai.transforms import ResampleToMatch, Spacing

lesion = torch.zeros(1, 20, 20, 20)
lesion[:, 8:12, 8:12, 16:] = 1  # reaches the top slice of its slab
slab = MetaTensor(lesion, affine=torch.eye(4))
head = MetaTensor(torch.zeros(1, 20, 20, 60), affine=torch.eye(4))
found = {
    padding: int(ResampleToMatch(mode="nearest", **({} if padding == "as it comes" else {"padding_mode": padding}))(slab, head).sum())
    for padding in ("as it comes", "zeros")
}
print("version: monai", version("monai"))
print("behaviour: what touches the edge of its own field of view is drawn on to the edge of the larger one, without a word")
print("output: voxels of a lesion of", int(lesion.sum()), "on a grid that shows 40 slices more:", found, "; on its own grid", int(Spacing((1, 1, 1), mode="nearest")(slab).sum()))
raise SystemExit(found != {"as it comes": 704, "zeros": 64})
PYTHON
