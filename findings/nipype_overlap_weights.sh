#!/usr/bin/env bash
# Guess, written down first: Overlap of nipype with weighting='volume' weighs the Dice of each label by its volume, as its help says: a perfect large label and a missed small one make nearly 1.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" nipype==1.11.0 nibabel==5.4.2 scipy==1.17.1 numpy==2.4.6
cd "$folder"
NIPYPE_NO_ET=1 NO_ET=1 PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import nibabel
import numpy as np
from nipype.algorithms.metrics import Overlap

truth = np.zeros((30, 30, 30), np.uint8)
truth[5:15, 5:15, 5:15] = 2  # 1000 voxels of oedema
truth[20:22, 20:22, 20:22] = 1  # 8 voxels of core
missed = np.where(truth == 2, 2, 0).astype(np.uint8)
alarm = truth.copy()
alarm[0:3, 0:3, 0:3] = 3  # enhancing tumour where there is none
for name, labels in (("truth", truth), ("missed", missed), ("alarm", alarm)):
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), f"{name}.nii")


def dice(first, second, weighting):
    return float(Overlap(volume1=f"{first}.nii", volume2=f"{second}.nii", weighting=weighting).run().outputs.dice)


found = {weighting: dice("truth", "missed", weighting) for weighting in ("none", "volume", "squared_vol")}
one, other = dice("truth", "alarm", "none"), dice("alarm", "truth", "none")
print("version: nipype", version("nipype"))
print("behaviour: weights are one over the volume: 8 voxels of 1008 decide; a label that only the second file has does not count")
print("output: Dice with the small label missed", found, "; with a false third label", round(one, 4), "; the files exchanged", round(other, 4))
raise SystemExit(not (found["none"] == 0.5 and found["volume"] < 0.01 and found["squared_vol"] < 0.001 and one == 1.0 and abs(other - 2 / 3) < 1e-4))
PYTHON
