#!/usr/bin/env bash
# Guess, written down first: with index_order='C' pynrrd takes header fields in the order of the array: spacings (1, 2, 3) are those of axes 0, 1, 2.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" pynrrd==1.1.3 SimpleITK==2.5.7 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version
from pathlib import Path

import nrrd
import numpy as np
import SimpleITK

with tempfile.TemporaryDirectory() as folder:
    path = str(Path(folder) / "image.nrrd")
    nrrd.write(path, np.zeros((3, 4, 5), np.uint8), {"spacings": [1, 2, 3]}, index_order="C")
    array, header = nrrd.read(path, index_order="C")
    image = SimpleITK.ReadImage(path)
sizes = dict(zip(image.GetSize(), image.GetSpacing(), strict=True))
print("version: pynrrd", version("pynrrd"), "; SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: index_order='C' reverses the array and not the header: the first axis gets the last spacing, "
      "and reading it back shows no difference")
print("output: array", array.shape, "spacings", header["spacings"].tolist(), "; spacing of the axis of 3, 4, 5 in SimpleITK",
      [sizes[n] for n in (3, 4, 5)])
raise SystemExit(not (array.shape == (3, 4, 5) and [sizes[n] for n in (3, 4, 5)] == [3.0, 2.0, 1.0]))
PYTHON
