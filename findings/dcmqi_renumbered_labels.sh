#!/usr/bin/env bash
# A label map of BraTS 2024 (1 core, 2 oedema, 3 enhancing, 4 cavity) of a patient without a core, to DICOM SEG by dcmqi with the labels' own table, and back.
# Guess, written down first: the labels come back as they were, since the table gives each its labelID: 2, 3 and 4.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" dcmqi==1.5.7 pydicom==3.0.2 SimpleITK==2.5.7 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - "$folder" <<'PYTHON'
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dcmqi
import numpy as np
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

folder, programs = Path(sys.argv[1]), Path(dcmqi.__file__).parent / "bin"
names = {1: "core", 2: "oedema", 3: "enhancing", 4: "cavity"}


def series(scan):
    scan.mkdir()
    study, one, frame = generate_uid(), generate_uid(), generate_uid()
    for k in range(10):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, one, frame
        ds.PatientID, ds.PatientName, ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "p", "p", "MR", 1, k + 1
        ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName, ds.Manufacturer = "", "", "", "made"
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID = "20200101", "100000", "", "1"
        ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * k]
        ds.PixelSpacing, ds.SliceThickness, ds.Rows, ds.Columns = [1, 1], 3, 40, 40
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.PixelData = np.zeros((40, 40), "<u2").tobytes()
        ds.save_as(scan / f"{k:02d}.dcm", enforce_file_format=True)


def coded(value, meaning):
    return {"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning}


def run(program, *words):
    subprocess.run([programs / program, *map(str, words)], check=True, capture_output=True)


def there_and_back(labels, name):
    image = SimpleITK.GetImageFromArray(labels)
    image.SetSpacing((1.0, 1.0, 3.0))
    SimpleITK.WriteImage(image, folder / f"{name}.nii.gz")
    run("itkimage2segimage", "--inputImageList", folder / f"{name}.nii.gz", "--inputDICOMDirectory", folder / "scan",
        "--inputMetadata", folder / "table.json", "--outputDICOM", folder / f"{name}.dcm")
    (folder / name).mkdir()
    run("segimage2itkimage", "--inputDICOM", folder / f"{name}.dcm", "--outputDirectory", folder / name, "--outputType", "nii", "--mergeSegments")
    back = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(next((folder / name).glob("*.nii.gz"))))
    return {int(value): int(count) for value, count in zip(*np.unique(back[back > 0], return_counts=True))}


series(folder / "scan")
attributes = [
    {"labelID": number, "SegmentLabel": name, "SegmentDescription": name, "SegmentAlgorithmType": "MANUAL",
     "SegmentedPropertyCategoryCodeSequence": coded("49755003", "Morphologically Abnormal Structure"),
     "SegmentedPropertyTypeCodeSequence": coded("4147007", "Mass")}
    for number, name in names.items()
]
table = {"ContentCreatorName": "p", "SeriesDescription": "s", "SeriesNumber": "300", "InstanceNumber": "1", "ContentLabel": "SEG",
         "ContentDescription": "d", "segmentAttributes": [attributes]}
(folder / "table.json").write_text(json.dumps(table))
labels = np.zeros((10, 40, 40), np.uint8)
labels[2:6, 10:20, 10:20] = 2
labels[3:5, 12:16, 12:16] = 3
labels[3, 17:19, 17:19] = 4
before = {int(value): int(count) for value, count in zip(*np.unique(labels[labels > 0], return_counts=True))}
after = there_and_back(labels, "without_core")
kept = subprocess.run(
    [programs / "itkimage2segimage", "--inputImageList", folder / "without_core.nii.gz", "--inputDICOMDirectory", folder / "scan",
     "--inputMetadata", folder / "table.json", "--outputDICOM", folder / "kept.dcm", "--useLabelIDAsSegmentNumber"],
    capture_output=True,
).returncode
labels[3, 13:15, 13:15] = 1
whole = there_and_back(labels, "with_core")
print("version: dcmqi", version("dcmqi"))
print("behaviour: segments are numbered as they occur in this patient: oedema becomes core's number, enhancing oedema's, the cavity enhancing tumour's; --useLabelIDAsSegmentNumber gives no file")
print("output: voxels of each label before", before, "; after", after, "; numbers of a patient who has a core too", sorted(whole), "; exit with the option", kept)
raise SystemExit(not (after == {key - 1: count for key, count in before.items()} and sorted(whole) == [1, 2, 3, 4] and kept != 0))
PYTHON
