#!/usr/bin/env bash
# MR slices of Philips with the standard's RescaleSlope of 2 and Philips' own scale slope of 0.01 beside it, all with the stored value 100.
# Guess, written down first: dcm2niix gives 200, as the standard says and SimpleITK gives; or 10000, Philips' own unit, in every series alike.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" dcm2niix==1.0.20260724 SimpleITK==2.5.7 pydicom==3.0.2 nibabel==5.4.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - "$folder" <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid


def series(folder, slopes):
    """12 axial slices of 3 mm with these slopes."""
    folder.mkdir()
    for k in range(12):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", "1.2.4", "1.2.5"
        ds.PatientID, ds.PatientName, ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "p", "p", "MR", 1, k + 1
        ds.StudyDate, ds.StudyTime, ds.SeriesDescription, ds.ImageType = "20200101", "100000", "t1", ["ORIGINAL", "PRIMARY", "M"]
        ds.Manufacturer, ds.ScanningSequence, ds.RepetitionTime, ds.EchoTime, ds.SliceThickness = "Philips", "GR", 9, 3, 3
        ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * k]
        ds.PixelSpacing, ds.Rows, ds.Columns, ds.SpacingBetweenSlices = [1, 1], 32, 32, 3
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = str(slopes[k]), "0", "normalized"
        own = ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        own.add_new(0x0D, "FL", 0.0)
        own.add_new(0x0E, "FL", 0.01)
        ds.PixelData = np.full((32, 32), 100, "<u2").tobytes()
        ds.save_as(folder / f"{k:02d}.dcm", enforce_file_format=True)


def read(name, slopes):
    place = Path(sys.argv[1]) / name
    series(place, slopes)
    command = [sys.executable, "-c", "import dcm2niix; dcm2niix.main()", "-f", name, "-o", sys.argv[1], str(place)]
    subprocess.run(command, check=True, capture_output=True)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(place)))
    theirs = nibabel.load(Path(sys.argv[1]) / f"{name}.nii").get_fdata()[0, 0, :3]
    return [[round(float(value)) for value in values] for values in (theirs, SimpleITK.GetArrayFromImage(reader.Execute())[:3, 0, 0])]


found = {"one slope": read("one", [2.0] * 12), "a slope a slice": read("own", [2.0 + k / 10 for k in range(12)])}
print("version: dcm2niix", version("dcm2niix"), "SimpleITK", version("SimpleITK"))
print("behaviour: where all slices have one slope values are in Philips' own unit, 50 times those of the standard; where slopes differ they are 100 times, and follow the slopes")
print("output: first three slices by dcm2niix and by SimpleITK:", found)
raise SystemExit(found != {"one slope": [[10000] * 3, [200] * 3], "a slope a slice": [[20000, 21000, 22000], [200, 210, 220]]})
PYTHON
