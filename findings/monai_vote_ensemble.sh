#!/usr/bin/env bash
# Guess, written down first: VoteEnsemble gives each voxel the label that most readers gave it, as its name says.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" monai==1.6.1 torch==2.13.0 scikit-image==0.26.0 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import torch
from monai.transforms import VoteEnsemble

# one voxel each: what three readers say (1 core, 2 oedema, 3 enhancing tumour)
voxels = {"0 0 3": (0, 0, 3), "1 3 3": (1, 3, 3), "1 1 3": (1, 1, 3), "0 3 3": (0, 3, 3), "0 1 1": (0, 1, 1)}
readers = [torch.tensor([[said[reader] for said in voxels.values()]]) for reader in range(3)]
found = [int(value) for value in VoteEnsemble()([one.clone() for one in readers])[0]]
asked = [int(value) for value in VoteEnsemble(num_classes=4)([one.clone() for one in readers])[0]]
print("version: monai", version("monai"))
print("behaviour: label numbers are averaged and rounded unless the number of classes is given: a core appears that two of three readers deny, and oedema that nobody saw")
print("output:", {said: (mean, vote) for said, mean, vote in zip(voxels, found, asked)}, "(as it comes, with num_classes=4)")
raise SystemExit(not (found == [1, 2, 2, 2, 1] and asked == [0, 3, 1, 3, 1]))
PYTHON
