#!/usr/bin/env bash
# Two echoes that share one SeriesInstanceUID, read as the examples of SimpleITK read a series.
# Guess, written down first: two series, or an error, because each position occurs twice.
# The guess was wrong: one volume of 24 slices, the echoes behind one another, with the slice spacing made up to fit.
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


def second(k, ds):
    ds.EchoTime, ds.EchoNumbers = 14, 2
    ds.PixelData = np.full((32, 32), 500 + k, "<u2").tobytes()


series(folder, second, start=12)
reader = sitk.ImageSeriesReader()
ids = reader.GetGDCMSeriesIDs(str(folder))
reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), ids[0]))
image = reader.Execute()
print("version: SimpleITK 2.5.7")
print("behaviour: two echoes of 12 slices of 3 mm in one series are read as one volume, with a spacing that is that of neither")
print(f"output: series {len(ids)}, size {image.GetSize()}, spacing {image.GetSpacing()[2]:.4f} mm")
sys.exit(not (len(ids) == 1 and image.GetSize()[2] == 24 and abs(image.GetSpacing()[2] - 33 / 23) < 1e-6))
PYTHON
