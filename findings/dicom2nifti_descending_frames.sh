#!/usr/bin/env bash
# Guess, written down first: dicom2nifti puts the frames of an enhanced MR file where their positions say, whichever end of the head comes first.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" dicom2nifti==2.6.2 pydicom==3.0.2 nibabel==5.4.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import dicom2nifti
import nibabel
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid


def enhanced(path, order, slopes=None):
    """One multi-frame MR file of 12 axial slices of 3 mm, its frames in an order of their own; slice k holds 100 + k."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = generate_uid(), generate_uid(), generate_uid()
    ds.PatientID, ds.PatientName, ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "p", "p", "MR", 1, 1
    ds.ImageType, ds.Manufacturer, ds.NumberOfFrames = ["ORIGINAL", "PRIMARY", "T2", "NONE"], "made", 12
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 32, 32, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.DimensionOrganizationSequence = [item(DimensionOrganizationUID="1.2.3")]
    ds.DimensionIndexSequence = [
        item(DimensionOrganizationUID="1.2.3", DimensionIndexPointer=tag, FunctionalGroupPointer=0x00209111)
        for tag in (0x00209056, 0x00209057)
    ]
    ds.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[item(PixelSpacing=[1, 1], SliceThickness=3, SpacingBetweenSlices=3)],
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            MRImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", "T2", "NONE"])],
        )
    ]
    ds.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 3 * k])],
            FrameContentSequence=[item(StackID="1", InStackPositionNumber=k + 1, DimensionIndexValues=[1, k + 1])],
            PixelValueTransformationSequence=[
                item(RescaleSlope=slopes[k] if slopes else 1, RescaleIntercept=0, RescaleType="US")
            ],
        )
        for k in order
    ]
    ds.PixelData = np.stack([np.full((32, 32), 100 + k, "<u2") for k in order]).tobytes()
    ds.save_as(path, enforce_file_format=True)


def item(**values):
    found = Dataset()
    for name, value in values.items():
        setattr(found, name, value)
    return found


def at(order, height_mm):
    """The value that the converted file has at a height."""
    with tempfile.TemporaryDirectory() as folder:
        enhanced(Path(folder) / "t2.dcm", order)
        dicom2nifti.dicom_series_to_nifti(folder, f"{folder}/t2.nii")
        image = nibabel.load(f"{folder}/t2.nii")
        index = np.rint(np.linalg.inv(image.affine) @ [-5, -5, height_mm, 1]).astype(int)[:3]
        return int(image.get_fdata()[tuple(index)])


found = {"upwards": at(range(12), 9), "downwards": at(range(11, -1, -1), 9)}
print("version: dicom2nifti", version("dicom2nifti"))
print("behaviour: frames are sorted upwards, and the affine still begins at the first frame of the file: top and bottom of the head are exchanged")
print("output: value at 9 mm, where the header puts 103:", found)
raise SystemExit(found != {"upwards": 103, "downwards": 108})
PYTHON
