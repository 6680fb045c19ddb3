#!/usr/bin/env bash
# A DICOM SEG of two segments on 12 slices of 3 mm: oedema on five slices, core inside it on one of them.
# Guess, written down first: SimpleITK refuses a DICOM SEG, or gives the five slices with their labels and a spacing of 3 mm.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 highdicom==0.28.2 pydicom==3.0.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - "$folder" <<'PYTHON'
import sys
from importlib.metadata import version

import highdicom as hd
import numpy as np
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid


def source(k):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", "1.2.4", "1.2.5"
    ds.PatientID, ds.PatientName, ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "p", "p", "MR", 1, k + 1
    ds.PatientBirthDate = ds.PatientSex = ds.AccessionNumber = ds.StudyID = ds.ReferringPhysicianName = ""
    ds.StudyDate, ds.StudyTime, ds.SliceThickness = "20200101", "100000", 3
    ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * k]
    ds.PixelSpacing, ds.Rows, ds.Columns, ds.SpacingBetweenSlices = [1, 1], 32, 32, 3
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = bytes(2 * 32 * 32)
    return ds


labels = np.zeros((12, 32, 32), np.uint8)
labels[3:8, 8:20, 8:20] = 1
labels[5, 10:14, 10:14] = 2
described = [
    hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    for number, name in ((1, "oedema"), (2, "core"))
]
made = hd.seg.Segmentation(
    [source(k) for k in range(12)], labels, hd.seg.SegmentationTypeValues.BINARY, described,
    series_instance_uid=hd.UID(), series_number=9, sop_instance_uid=hd.UID(), instance_number=1,
    manufacturer="x", manufacturer_model_name="x", software_versions="1", device_serial_number="1",
)
made.save_as(f"{sys.argv[1]}/seg.dcm")
image = SimpleITK.ReadImage(f"{sys.argv[1]}/seg.dcm")
voxels = SimpleITK.GetArrayFromImage(image)
found = image.GetSize(), image.GetSpacing(), np.unique(voxels).tolist(), [int((plane > 0).sum()) for plane in voxels]
print("version: SimpleITK", version("SimpleITK"), "highdicom", version("highdicom"))
print("behaviour: the frames of all segments come back as one stack of slices, the core as a sixth slice behind the oedema, all 255, 1 mm apart for 3")
print("output: size, spacing, values, voxels of each slice:", found)
raise SystemExit(found != ((32, 32, 6), (1.0, 1.0, 1.0), [0, 255], [144, 144, 128, 144, 144, 16]))
PYTHON
