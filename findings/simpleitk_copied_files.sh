#!/usr/bin/env bash
# A series of which three files were copied into the folder a second time, under other names.
# Guess, written down first: 12 slices, or 15 slices in the order of their positions.
# The guess was wrong: 15 slices in an order that is not that of the positions, though all 12 positions are in the headers.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install -q SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.4.6
PLACE="$place" PATH="$place/env/bin:$PATH" "$place/env/bin/python" - <<'PYTHON'
import sys, tempfile
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import shutil

import SimpleITK as sitk

def series(folder, change=lambda k, ds: None, n=12, start=0):
    """n axial slices of 3 mm; the grey level of slice k is 100 + k."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(n):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(start + k)])
        ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(entropy_srcs=["a"]), generate_uid(entropy_srcs=["b"])
        ds.FrameOfReferenceUID = generate_uid(entropy_srcs=["c"])
        ds.PatientID, ds.PatientName, ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "p", "p", "MR", 1, start + k + 1
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID = "20200101", "100000", "", "1"
        ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName, ds.Manufacturer = "", "", "", "made"
        ds.SeriesDescription, ds.ImageType = "t2", ["ORIGINAL", "PRIMARY", "M"]
        ds.ScanningSequence, ds.SequenceVariant, ds.MRAcquisitionType = "SE", "SK", "2D"
        ds.RepetitionTime, ds.EchoTime, ds.SliceThickness = 4000, 90, 3
        ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * k]
        ds.PixelSpacing, ds.Rows, ds.Columns = [1, 1], 32, 32
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.PixelData = np.full((32, 32), 100 + k, "<u2").tobytes()
        change(k, ds)
        ds.save_as(folder / f"{start + k:02d}.dcm", enforce_file_format=True)

folder = Path(tempfile.mkdtemp())
series(folder)
names = "gcahkfbjeild"
for k, path in enumerate(sorted(folder.iterdir())):
    path.rename(folder / f"{names[k]}.dcm")
for k in range(3):
    shutil.copy(folder / f"{names[k]}.dcm", folder / f"z{k}.dcm")
reader = sitk.ImageSeriesReader()
(series_id,) = reader.GetGDCMSeriesIDs(str(folder))
reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), series_id))
levels = sitk.GetArrayFromImage(reader.Execute())[:, 5, 5].tolist()
print("version: SimpleITK 2.5.7")
print("behaviour: a series and copies of three of its files: slices come back in the order of the file names, though every position is known and differs")
print("output: slices", [level - 100 for level in levels])
sys.exit(not (len(levels) == 15 and levels[:12] != sorted(levels[:12])))
PYTHON
