#!/usr/bin/env bash
# What one would expect: pydicom's apply_rescale applies the slope of an enhanced MR file, or says that it found none.
# It is not so. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" pydicom==3.0.2 highdicom==0.28.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from highdicom.legacy import LegacyConvertedEnhancedMRImage
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_rescale
from pydicom.uid import ExplicitVRLittleEndian, generate_uid


def slices(slope, intercept):
    """Six classic MR slices of 3 mm, all of the stored value 100."""
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    found = []
    for k in range(6):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = "p", "p^", "", ""
        ds.StudyID, ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.ReferringPhysicianName = "1", "20200101", "10", "", ""
        ds.Modality, ds.SeriesNumber, ds.InstanceNumber, ds.Manufacturer = "MR", 1, k + 1, "made"
        ds.PatientPosition, ds.PositionReferenceIndicator, ds.Laterality = "HFS", "", ""
        ds.ImageType, ds.BodyPartExamined = ["ORIGINAL", "PRIMARY", "M"], "BRAIN"
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "SE", "SK", "", "2D"
        ds.EchoTime, ds.RepetitionTime, ds.EchoTrainLength = 100, 9000, 1
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 3 * k], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness, ds.SpacingBetweenSlices = [1, 1], 3, 3
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = slope, intercept, "US"
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 16, 16, 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.PixelData = np.full((16, 16), 100, "<u2").tobytes()
        ds["PixelData"].VR = "OW"
        found.append(ds)
    return found


classic = slices(2, 10)
enhanced = LegacyConvertedEnhancedMRImage(classic, generate_uid(), 2, generate_uid(), 1)
stated = (enhanced.SharedFunctionalGroupsSequence[0].get("PixelValueTransformationSequence")
          or enhanced.PerFrameFunctionalGroupsSequence[0].PixelValueTransformationSequence)[0]
found = {
    "classic": int(apply_rescale(classic[0].pixel_array, classic[0]).max()),
    "enhanced": int(apply_rescale(enhanced.pixel_array, enhanced).max()),
}
print("version: pydicom", version("pydicom"))
print("behaviour: the slope of an enhanced file stands in its functional groups, where apply_rescale does not look: stored values come back")
print(f"output: a stored 100 with slope {stated.RescaleSlope} and intercept {stated.RescaleIntercept}", found)
raise SystemExit(found != {"classic": 210, "enhanced": 100})
PYTHON
