#!/usr/bin/env bash
# Guess, written down first: pynrrd either refuses space directions without a space, or writes a file that SimpleITK takes as left-posterior-superior.
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

directions = {"space directions": np.diag([1.0, 2.0, 3.0]), "space origin": [10, 20, 30]}
found = {}
with tempfile.TemporaryDirectory() as folder:
    for name, header in {"none": directions, "space": directions | {"space": "left-posterior-superior"}}.items():
        path = str(Path(folder) / f"{name}.nrrd")
        nrrd.write(path, np.zeros((3, 4, 5), np.uint8), header)
        pynrrd_reads = nrrd.read(path)[0].shape == (3, 4, 5)
        try:
            found[name] = pynrrd_reads, SimpleITK.ReadImage(path).GetSpacing()
        except RuntimeError as error:
            found[name] = pynrrd_reads, str(error).strip().splitlines()[-1].split(": ")[-1]
print("version: pynrrd", version("pynrrd"), "; SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: without a space pynrrd writes and reads a file that SimpleITK cannot read")
print("output: (read by pynrrd, by SimpleITK)", found)
raise SystemExit(not (found["space"] == (True, (1.0, 2.0, 3.0)) and found["none"][0] and isinstance(found["none"][1], str)))
PYTHON
