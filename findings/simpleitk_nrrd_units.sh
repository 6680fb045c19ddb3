#!/usr/bin/env bash
# Guess, written down first: SimpleITK turns the units of a header into millimetres, in NRRD as it does in NIfTI.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 nibabel==5.4.2 pynrrd==1.1.3 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import SimpleITK

head = np.zeros((20, 20, 20), np.int16)
found = {}
with tempfile.TemporaryDirectory() as folder:
    for unit, edge in (("mm", 8.0), ("cm", 0.8), ("m", 0.008)):  # one head of 160 mm
        path = str(Path(folder) / f"{unit}.nrrd")
        header = {"space": "left-posterior-superior", "space directions": np.eye(3) * edge, "space origin": np.zeros(3)}
        nrrd.write(path, head, header | {"space units": [unit] * 3})
        found[f"NRRD in {unit}"] = round(SimpleITK.ReadImage(path).GetSpacing()[0], 4)
    image = nibabel.Nifti1Image(head, np.diag([0.008, 0.008, 0.008, 1]))
    image.header.set_xyzt_units("meter")
    nibabel.save(image, str(Path(folder) / "m.nii.gz"))
    found["NIfTI in m"] = round(SimpleITK.ReadImage(str(Path(folder) / "m.nii.gz")).GetSpacing()[0], 4)
print("version: SimpleITK", SimpleITK.Version.VersionString(), "; pynrrd", version("pynrrd"))
print("behaviour: the space units of a NRRD file are passed over, and not told among its metadata: voxels of 0.8 cm are 0.8 mm, "
      "a thousandth of the volume; the unit of a NIfTI file is honoured")
print("output: edge of one voxel of 8 mm", found)
raise SystemExit(found != {"NRRD in mm": 8.0, "NRRD in cm": 0.8, "NRRD in m": 0.008, "NIfTI in m": 8.0})
PYTHON
