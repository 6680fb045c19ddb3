#!/usr/bin/env bash
# Guess, written down first: dicom_read of ANTsPy puts the slices of a series where their positions say, or in the order of file names, with the spacing that they state.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" antspyx==0.6.3 pydicom==3.0.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import os
import random
import tempfile
from importlib.metadata import version

import ants
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid


def write_series(folder, numbers):
    """Twelve slices of 3 mm whose only bright voxel says which slice it is, with these instance numbers."""
    study, series = generate_uid(), generate_uid()
    for index, number in random.Random(0).sample(list(enumerate(numbers)), len(numbers)):
        slice_ = Dataset()
        slice_.file_meta = FileMetaDataset()
        slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice_.file_meta.MediaStorageSOPClassUID = slice_.SOPClassUID = MRImageStorage
        slice_.file_meta.MediaStorageSOPInstanceUID = slice_.SOPInstanceUID = generate_uid()
        slice_.StudyInstanceUID, slice_.SeriesInstanceUID, slice_.FrameOfReferenceUID = study, series, study
        slice_.Modality, slice_.PatientID, slice_.InstanceNumber = "MR", "1", number
        slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, 0, 3 * index], [1, 0, 0, 0, 1, 0]
        slice_.PixelSpacing, slice_.SliceThickness, slice_.SpacingBetweenSlices = [1, 1], 3, 3
        slice_.Rows, slice_.Columns, slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 20, 24, 1, "MONOCHROME2"
        slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 16, 16, 15, 0
        pixels = np.zeros((20, 24), np.uint16)
        pixels[4, 6] = 100 + index
        slice_.PixelData = pixels.tobytes()
        slice_["PixelData"].VR = "OW"
        slice_.save_as(f"{folder}/{index:03}.dcm", enforce_file_format=True)


with tempfile.TemporaryDirectory() as folder:
    write_series(folder, range(1, 13))
    listed = [100 + int(name[:3]) for name in os.listdir(folder)]
    image = ants.dicom_read(folder)
slices = image.numpy().max(axis=(0, 1)).astype(int).tolist()
print("version: antspyx", version("antspyx"))
print("behaviour: slices are stacked in the order in which the file system happens to list them, with the origin of the one that was listed first")
print("output: slices 100 to 111 come as", slices, "; spacing", image.spacing, "; origin", image.origin)
raise SystemExit(not (slices == listed and image.spacing == (1.0, 1.0, 3.0) and image.origin[2] == 3.0 * (listed[0] - 100)))
PYTHON
