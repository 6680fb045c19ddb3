#!/usr/bin/env bash
# Guess, written down first: nibabel's DICOM wrapper takes the slice spacing of an enhanced MR file from its header, or from slices that lie next to each other: 3 mm.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" nibabel==5.4.2 pydicom==3.0.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from nibabel.nicom import dicomwrappers
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


def read(order):
    with tempfile.TemporaryDirectory() as folder:
        enhanced(Path(folder) / "t2.dcm", order)
        wrapper = dicomwrappers.wrapper_from_file(Path(folder) / "t2.dcm")
        return float(wrapper.voxel_sizes[2]), wrapper.get_data()[0, 0].tolist() == list(range(111, 99, -1))


even = list(range(0, 12, 2)) + list(range(1, 12, 2))
found = {"in order": read(range(12)), "even slices first": read(even)}
print("version: nibabel", version("nibabel"))
print("behaviour: where the file holds every second slice first, the slices are sorted and their spacing is not: 12 mm, though the header says 3")
print("output: (spacing in mm, slices sorted)", found)
raise SystemExit(found != {"in order": (3.0, True), "even slices first": (12.0, True)})
PYTHON
