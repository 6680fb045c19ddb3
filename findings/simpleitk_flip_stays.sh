#!/usr/bin/env bash
# Guess, written down first: Flip of SimpleITK mirrors a head left to right, so that the difference to its mirror image shows what is on one side alone.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" SimpleITK==2.5.7 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK

head = np.zeros((20, 30, 40), np.float32)
head[4:16, 5:25, 5:35] = 100
head[8:12, 10:15, 8:14] = 200  # a lesion on one side
image = SimpleITK.GetImageFromArray(head)
image.SetOrigin((-19.5, -14.5, -9.5))  # x = 0 is the middle of the field of view


def asymmetry(mirrored):
    """The largest difference between a head and its mirror image in the same place."""
    there = SimpleITK.GetArrayFromImage(SimpleITK.Resample(mirrored, image))
    return float(np.abs(there - head).max())


plain = SimpleITK.Flip(image, [True, False, False])
about = SimpleITK.Flip(image, [True, False, False], True)
found = (asymmetry(plain), asymmetry(about), plain.GetDirection()[0])
print("version: SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: voxels change places and the direction in the header with them, so nothing moves: an asymmetry is 0 everywhere, a flipped copy for training is the same head; flipAboutOrigin=True mirrors it")
print("output: largest difference between a head with a lesion on one side and its mirror image:", found[0], "; with flipAboutOrigin:", found[1], "; direction along x after Flip:", found[2])
raise SystemExit(found != (0.0, 100.0, -1.0))
PYTHON
