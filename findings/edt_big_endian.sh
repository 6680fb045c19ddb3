#!/usr/bin/env bash
# Guess, written down first: edt measures a big-endian mask, as a MGZ file gives one, like the same mask in native order, or refuses it.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" edt==3.1.2 nibabel==5.4.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import edt
import nibabel
import numpy as np

mask = np.zeros((12, 12, 12), np.int32)
mask[7:11, 7:11, 7:11] = 1
saved = nibabel.MGHImage.from_bytes(nibabel.MGHImage(mask, np.eye(4)).to_bytes())
read = np.asanyarray(saved.dataobj)
native, swapped = float(edt.edt(mask).max()), float(edt.edt(read).max())
print("version: edt", version("edt"), "nibabel", version("nibabel"))
print("behaviour: a mask in big-endian order, as nibabel hands it out for a MGZ through dataobj, is at no distance from its edge")
print("output: equal masks", bool((read == mask).all()), "; type", read.dtype.str, "; largest distance native", native, "big-endian", swapped)
raise SystemExit(not ((read == mask).all() and native == 2.0 and swapped == 0.0))
PYTHON
