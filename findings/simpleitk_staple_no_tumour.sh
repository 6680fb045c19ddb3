#!/usr/bin/env bash
# Guess, written down first: STAPLE of three readers who all find nothing is 0 everywhere.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK

tumour = np.zeros((10, 10, 10), np.uint8)
tumour[3:6, 3:6, 3:6] = 1
found = {}
for name, mask in {"a tumour": tumour, "nothing": tumour * 0}.items():
    probability = SimpleITK.GetArrayFromImage(SimpleITK.STAPLE([SimpleITK.GetImageFromArray(mask)] * 3))
    found[name] = np.unique(probability).tolist()
print("version: SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: readers who agree that there is a tumour give 0 and 1; readers who agree that there is none give NaN everywhere")
print("output: values of the consensus of three equal masks", found)
raise SystemExit(found["a tumour"] != [0.0, 1.0] or not np.isnan(found["nothing"]).all())
PYTHON
