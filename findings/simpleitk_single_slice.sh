#!/usr/bin/env bash
# Guess, written down first: the z spacing of a single DICOM slice is its SliceThickness, whether or not it states SpacingBetweenSlices.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid


def z_spacing(kind: str, between_slices_mm: float | None) -> float:
    slice_ = Dataset()
    slice_.file_meta = FileMetaDataset()
    slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    slice_.SOPClassUID = slice_.file_meta.MediaStorageSOPClassUID = kind
    slice_.SOPInstanceUID = slice_.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    slice_.StudyInstanceUID, slice_.SeriesInstanceUID = generate_uid(), generate_uid()
    slice_.Modality = "MR" if kind == MRImageStorage else "CT"
    slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    slice_.PixelSpacing, slice_.SliceThickness = [2, 1], 3
    if between_slices_mm is not None:
        slice_.SpacingBetweenSlices = between_slices_mm
    slice_.Rows, slice_.Columns, slice_.SamplesPerPixel = 8, 10, 1
    slice_.PhotometricInterpretation = "MONOCHROME2"
    slice_.BitsAllocated = slice_.BitsStored = 16
    slice_.HighBit, slice_.PixelRepresentation = 15, 0
    slice_.PixelData = np.zeros((8, 10), np.uint16).tobytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slice.dcm"
        slice_.save_as(path, enforce_file_format=True)
        return SimpleITK.ReadImage(str(path)).GetSpacing()[2]


found = {
    "MR": z_spacing(MRImageStorage, None),
    "MR with 5 mm between slices": z_spacing(MRImageStorage, 5),
    "CT": z_spacing(CTImageStorage, None),
}
print("version: SimpleITK", SimpleITK.Version.VersionString(), "; pydicom", version("pydicom"))
print("behaviour: one slice of 3 mm without SpacingBetweenSlices has a z spacing of 1 mm: its thickness is not looked at")
print("output: z spacing in mm", found)
raise SystemExit(found != {"MR": 1.0, "MR with 5 mm between slices": 5.0, "CT": 1.0})
PYTHON
