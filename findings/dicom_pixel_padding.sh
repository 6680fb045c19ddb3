#!/usr/bin/env bash
# MR slices whose first rows hold the PixelPaddingValue -2000, which says that there is no picture.
# Guess, written down first: readers that give a volume set padding to air, or to the lowest grey level.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 dcm2niix==1.0.20260724 dicom2nifti==2.6.2 highdicom==0.28.2 pydicom==3.0.2 nibabel==5.4.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import dicom2nifti
import highdicom
import nibabel
import numpy as np
import pydicom
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


def change(k, ds):
    pixels = np.full((32, 32), 100 + k, "<i2")
    pixels[:4] = ds.PixelPaddingValue = -2000
    ds.PixelData = pixels.tobytes()


with tempfile.TemporaryDirectory() as place:
    folder, out = Path(place) / "in", Path(place) / "out"
    folder.mkdir(), out.mkdir()
    series(folder, change)
    slices = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    program = [sys.executable, "-m", "dcm2niix", "-z", "n", "-f", "x", "-o", str(out), str(folder)]
    subprocess.run(program, check=True, capture_output=True)
    dicom2nifti.dicom_series_to_nifti(folder, out / "y.nii")
    found = {
        "SimpleITK": SimpleITK.GetArrayFromImage(by_itk(folder)).min(),
        "dcm2niix": nibabel.load(out / "x.nii").get_fdata().min(),
        "dicom2nifti": nibabel.load(out / "y.nii").get_fdata().min(),
        "highdicom": highdicom.get_volume_from_series(slices).array.min(),
    }
found = {name: int(value) for name, value in found.items()}
print("version: SimpleITK 2.5.7, dcm2niix 1.0.20260724, dicom2nifti 2.6.2, highdicom 0.28.2")
print("behaviour: padding is handed out as grey levels, far below the air of 0; mean, percentiles and histograms are of both")
print("output: lowest value of slices of 100 to 111:", found)
raise SystemExit(set(found.values()) != {-2000})
PYTHON
