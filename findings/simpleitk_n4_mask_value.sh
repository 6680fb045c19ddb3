#!/usr/bin/env bash
# Guess, written down first: N4 takes every voxel of its mask that is not zero, so a mask of 255 corrects as one of 1.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK

field = np.linspace(0.5, 1.5, 24)
noise = np.random.default_rng(0).normal(0, 1, (24, 24, 24))
image = SimpleITK.GetImageFromArray((100 * field + noise).astype(np.float32))
ratios = {}
for value in (1, 255):
    mask = np.full((24, 24, 24), value, np.uint8)
    mask[:2] = 0
    correct = SimpleITK.N4BiasFieldCorrectionImageFilter()
    correct.SetMaximumNumberOfIterations([20, 20])
    corrected = SimpleITK.GetArrayFromImage(correct.Execute(image, SimpleITK.GetImageFromArray(mask)))
    ratios[value] = round(float(corrected[..., -1].mean() / corrected[..., 0].mean()), 2)
print("version: SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: N4 counts mask voxels of value 1 only; with a mask of 255 it finishes, without a word, "
      "and the field is still there")
print("output: bright side over dark side, 3.0 as made;", ", ".join(f"mask of {k}: {v}" for k, v in ratios.items()))
raise SystemExit(not (ratios[1] < 2.95 and ratios[255] == 3.0))
PYTHON
