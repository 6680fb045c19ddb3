#!/usr/bin/env bash
# Guess, written down first: dcm2niix makes one volume of a series whose echo time is 2.5 ms in every second slice and 2.5001 ms in the others, as a scanner may write it that acquires them in two packages.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" dcm2niix==1.0.20260724 pydicom==3.0.2 nibabel==5.4.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid


def write_series(folder, echo_times):
    """Twelve slices of 3 mm with these echo times, every second one the other."""
    study, series = generate_uid(), generate_uid()
    for index in range(12):
        slice_ = Dataset()
        slice_.file_meta = FileMetaDataset()
        slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice_.file_meta.MediaStorageSOPClassUID = slice_.SOPClassUID = MRImageStorage
        slice_.file_meta.MediaStorageSOPInstanceUID = slice_.SOPInstanceUID = generate_uid()
        slice_.StudyInstanceUID, slice_.SeriesInstanceUID, slice_.FrameOfReferenceUID = study, series, study
        slice_.Modality, slice_.PatientID, slice_.SeriesNumber, slice_.InstanceNumber = "MR", "1", 3, index + 1
        slice_.StudyDate, slice_.StudyTime, slice_.SeriesDescription, slice_.PatientPosition = "20200101", "120000", "T1", "HFS"
        slice_.ImageType, slice_.EchoTime, slice_.RepetitionTime = ["ORIGINAL", "PRIMARY", "M"], echo_times[index % 2], 600
        slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, 0, 3 * index], [1, 0, 0, 0, 1, 0]
        slice_.PixelSpacing, slice_.SliceThickness, slice_.SpacingBetweenSlices = [1, 1], 3, 3
        slice_.Rows, slice_.Columns, slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 20, 24, 1, "MONOCHROME2"
        slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 16, 12, 11, 0
        slice_.PixelData = np.full((20, 24), 100 + index, np.uint16).tobytes()
        slice_["PixelData"].VR = "OW"
        slice_.save_as(f"{folder}/{index:03}.dcm", enforce_file_format=True)


found = {}
for times in ((2.5, 2.5), (2.5, 2.5001)):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in").mkdir()
        (Path(folder) / "out").mkdir()
        write_series(Path(folder) / "in", times)
        call = [sys.executable, "-m", "dcm2niix", "-z", "n", "-f", "t1", "-o", f"{folder}/out", f"{folder}/in"]
        code = subprocess.run(call, capture_output=True, check=False).returncode
        images = {path.name: nibabel.load(path) for path in sorted(Path(folder, "out").glob("*.nii"))}
        found[times] = (code, {name: (image.shape[2], float(image.header.get_zooms()[2])) for name, image in images.items()})
print("version: dcm2niix", version("dcm2niix"))
print("behaviour: echo times that differ in the fourth place are two echoes: two heads of every second slice, twice as thick, and exit 0")
print("output: exit code, and slices and their step in mm, for the two echo times in ms:", found)
raise SystemExit(
    found[2.5, 2.5] != (0, {"t1.nii": (12, 3.0)}) or found[2.5, 2.5001][0] or list(found[2.5, 2.5001][1].values()) != [(6, 6.0), (6, 6.0)]
)
PYTHON
