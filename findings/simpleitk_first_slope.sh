#!/usr/bin/env bash
# A series whose slices have slopes of their own, as some scanners write them: 1 in the first slice, 0.001 in the others, all with the stored value 1400.
# Guess, written down first: SimpleITK gives 1400 and 1.4, since it applies slopes and gives floats where one is no whole number.
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
from pydicom.uid import ExplicitVRLittleEndian, generate_uid


def series(folder, change):
    """12 axial MR slices of 3 mm, each of one grey level."""
    for k in range(12):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", "1.2.4", "1.2.5"
        ds.PatientID, ds.PatientName, ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "p", "p", "MR", 1, k + 1
        ds.StudyDate, ds.StudyTime, ds.SeriesDescription, ds.ImageType = "20200101", "100000", "t2", ["ORIGINAL", "PRIMARY", "M"]
        ds.ScanningSequence, ds.RepetitionTime, ds.EchoTime, ds.SliceThickness = "SE", 4000, 90, 3
        ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * k]
        ds.PixelSpacing, ds.Rows, ds.Columns = [1, 1], 32, 32
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        change(k, ds)
        ds.save_as(folder / f"{k:02d}.dcm", enforce_file_format=True)


def by_itk(folder):
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def read(first):
    def change(k, ds):
        ds.RescaleSlope, ds.RescaleIntercept = "1" if k == first else "0.001", "0"
        ds.PixelData = np.full((32, 32), 1400, "<i2").tobytes()

    with tempfile.TemporaryDirectory() as folder:
        series(Path(folder), change)
        image = by_itk(folder)
        return image.GetPixelIDTypeAsString(), [round(float(v), 4) for v in SimpleITK.GetArrayFromImage(image)[:3, 0, 0]]


found = {"first slice": read(0), "second slice": read(1)}
print("version: SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: the first file's slope decides the type of the volume: where it is 1 all others are cut to whole numbers")
print("output: slope 1 in the: (type, first three slices)", found)
raise SystemExit(
    found
    != {
        "first slice": ("16-bit signed integer", [1400.0, 1.0, 1.0]),
        "second slice": ("64-bit float", [1.4, 1400.0, 1.4]),
    }
)
PYTHON
