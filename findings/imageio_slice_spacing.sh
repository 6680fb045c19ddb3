#!/usr/bin/env bash
# Guess, written down first: imageio measures the distance of DICOM slices along their normal, whatever the plane.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" imageio==2.38.1 pillow==12.1.1 pydicom==3.0.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid


def series(folder, rows, columns, count=10, step=3.0):
    """Slices of MR, `step` mm apart along their normal; `rows` and `columns` are their directions."""
    ids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
    made = []
    for number in range(count):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        place = np.array([-10.0, -10.0, -20.0]) + np.cross(rows, columns) * step * number
        values = ids | {
            "SOPClassUID": MRImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID, "Modality": "MR",
            "PatientID": "made", "PatientName": "Made", "PatientBirthDate": "", "PatientSex": "", "StudyID": "1",
            "StudyDate": "20200101", "StudyTime": "120000", "AccessionNumber": "", "ReferringPhysicianName": "",
            "SeriesNumber": 1, "InstanceNumber": number + 1, "Manufacturer": "made", "PositionReferenceIndicator": "",
            "ImagePositionPatient": [float(x) for x in place], "ImageOrientationPatient": [float(x) for x in (*rows, *columns)],
            "PixelSpacing": [1.0, 1.0], "SliceThickness": step, "Rows": 16, "Columns": 20, "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
            "PixelRepresentation": 0, "PixelData": np.full((16, 20), number + 1, np.uint16).tobytes(),
        }
        for keyword, value in values.items():
            setattr(one, keyword, value)
        one.save_as(Path(folder) / f"{number:03d}.dcm", enforce_file_format=True)
        made.append(one)
    return made


import contextlib
import io

import imageio.v2

turned = np.radians(30.0)
planes = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "axial, head nodding by 30 degrees": ((1, 0, 0), (0, np.cos(turned), np.sin(turned))),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
}
found = {}
for name, (rows, columns) in planes.items():
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        series(folder, rows, columns)
        found[name] = round(float(imageio.v2.volread(folder, format="DICOM").meta["sampling"][0]), 3)
print("version: imageio", version("imageio"))
print("behaviour: the distance of slices is their difference along z of the patient: 0 in sagittal and coronal series, "
      "too small in tilted ones")
print("output: sampling of slices 3 mm apart", found)
raise SystemExit(list(found.values()) != [3.0, 2.598, 0.0, 0.0])
PYTHON
