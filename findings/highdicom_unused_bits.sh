#!/usr/bin/env bash
# Guess, written down first: highdicom gives the grey levels of a picture of 12 bits as pydicom does, be it by get_frame, get_volume or get_volume_from_series.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" highdicom==0.28.2 pydicom==3.0.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - "$folder" <<'PYTHON'
import sys
from importlib.metadata import version

import highdicom
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid


def written(name, stored, signed, overlay):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    one.SOPClassUID, one.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = generate_uid(), generate_uid(), generate_uid()
    one.PatientID, one.PatientName, one.Modality, one.InstanceNumber = "P", "P", "MR", 1
    one.StudyDate = one.StudyTime = one.AccessionNumber = one.StudyID = one.PatientBirthDate = one.PatientSex = ""
    one.Rows = one.Columns = 8
    one.PixelSpacing, one.SliceThickness, one.ImagePositionPatient = [1, 1], 3, [0, 0, 0]
    one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, int(signed)
    if overlay:  # a drawing in the fourth bit from the top, as scanners before 2004 kept it
        one.add_new(0x60000010, "US", 8)
        one.add_new(0x60000011, "US", 8)
        one.add_new(0x60000040, "CS", "G")
        one.add_new(0x60000050, "SS", [1, 1])
        one.add_new(0x60000100, "US", 16)
        one.add_new(0x60000102, "US", 12)
    one.PixelData = stored.astype("<u2").tobytes()
    one.save_as(name, enforce_file_format=True)
    return name


drawn, phase = np.full((8, 8), 100), np.full((8, 8), 100)
drawn[2:4, 2:4] |= 1 << 12  # the drawing lies above the 12 bits of the grey level
phase[2:4, 2:4] = 0xFFE  # -2 in 12 bits with a sign
files = {
    "drawing above the grey levels": written(f"{sys.argv[1]}/drawn.dcm", drawn, False, True),
    "12 bits with a sign": written(f"{sys.argv[1]}/phase.dcm", phase, True, False),
}
found = {}
for name, path in files.items():
    found[name] = [
        np.unique(values).astype(int).tolist()
        for values in (
            pydicom.dcmread(path).pixel_array,
            highdicom.get_volume_from_series([pydicom.dcmread(path)]).array,
            highdicom.imread(path).get_frame(1),
            highdicom.imread(path).get_volume().array,
        )
    ]
print("version: highdicom", version("highdicom"), "; pydicom", version("pydicom"))
print("behaviour: get_frame and get_volume of highdicom hand out the bits above the grey level with it: a drawing adds 4096, and -2 is 4094")
print("output: grey levels by pydicom, get_volume_from_series, get_frame, get_volume:", found)
raise SystemExit(
    found
    != {
        "drawing above the grey levels": [[100], [100], [100, 4196], [100, 4196]],
        "12 bits with a sign": [[-2, 100], [-2, 100], [100, 4094], [100, 4094]],
    }
)
PYTHON
