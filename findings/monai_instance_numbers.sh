#!/usr/bin/env bash
# Guess, written down first: PydicomReader of MONAI puts the slices of a series where their positions say, whatever the instance numbers are, which need not follow the anatomy.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" monai==1.6.1 torch==2.13.0 pydicom==3.0.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import logging
import tempfile
from importlib.metadata import version

import numpy as np
from monai.transforms import LoadImage
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

logging.disable(logging.CRITICAL)


def write_series(folder, numbers):
    """Twelve slices of 3 mm whose only bright voxel says which slice it is, with these instance numbers."""
    study, series = generate_uid(), generate_uid()
    for index, number in enumerate(numbers):
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


found = {}
for name, numbers in {"from below": range(1, 13), "every second slice first": [1, 7, 2, 8, 3, 9, 4, 10, 5, 11, 6, 12]}.items():
    with tempfile.TemporaryDirectory() as folder:
        write_series(folder, numbers)
        image = LoadImage(image_only=True, reader="PydicomReader")(folder)
    found[name] = (np.asarray(image)[6, 4].astype(int).tolist(), float(image.affine[2, 2]))
print("version: monai", version("monai"))
print("behaviour: slices are stacked by instance number and spaced evenly from the first to the last: numbered as they were acquired, they come out shuffled, with a correct voxel size and without a word")
print("output: slices 100 to 111 and the step in mm, numbered", found)
raise SystemExit(found != {"from below": (list(range(100, 112)), 3.0), "every second slice first": ([*range(100, 112, 2), *range(101, 112, 2)], 3.0)})
PYTHON
