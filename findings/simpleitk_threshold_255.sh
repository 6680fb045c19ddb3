#!/usr/bin/env bash
# Guess, written down first: BinaryThreshold of SimpleITK with a lower threshold alone marks everything above it.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" SimpleITK==2.5.7 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK

scan = np.zeros((20, 20, 20), np.int16)
scan[4:16, 4:16, 4:16] = 120  # brain
scan[6:12, 6:12, 6:12] = 240  # oedema
scan[8:10, 8:10, 8:10] = 900  # enhancing tumour
image = SimpleITK.GetImageFromArray(scan)
by_filter = SimpleITK.GetArrayFromImage(SimpleITK.BinaryThreshold(image, lowerThreshold=200)) > 0
by_operator = SimpleITK.GetArrayFromImage(image > 200) > 0
found = {"BinaryThreshold": (int(by_filter.sum()), bool(by_filter[9, 9, 9])), "image > 200": (int(by_operator.sum()), bool(by_operator[9, 9, 9]))}
print("version: SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: the upper threshold is 255 unless it is named, for 16-bit images and floats too: the brightest part of a lesion is a hole in its mask")
print("output: voxels above 200 and whether enhancing tumour of 900 is among them:", found)
raise SystemExit(found != {"BinaryThreshold": (208, False), "image > 200": (216, True)})
PYTHON
