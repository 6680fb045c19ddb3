#!/usr/bin/env bash
# 120 slices of 1.25 mm whose positions are written to a tenth of a millimetre, as some scanners and archives write them: 0, 1.2, 2.5, 3.8 ...
# Guess, written down first: the slice spacing is the mean of all gaps, 1.25 mm, or what SpacingBetweenSlices states, 1.25 mm.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" dcm2niix==1.0.20260724 pydicom==3.0.2 nibabel==5.4.2 SimpleITK==2.5.7 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - "$folder" <<'PYTHON'
import subprocess
import sys
from pathlib import Path

import dcm2niix
import nibabel
import numpy as np
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

folder = Path(sys.argv[1])


def series(name, places, step):
    (folder / name).mkdir()
    study, one, frame = generate_uid(), generate_uid(), generate_uid()
    for k, place in enumerate(places):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, one, frame
        ds.PatientID, ds.PatientName, ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "p", "p", "MR", 1, k + 1
        ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName, ds.Manufacturer = "", "", "", "made"
        ds.StudyDate, ds.StudyTime, ds.AccessionNumber, ds.StudyID = "20200101", "100000", "", "1"
        ds.SeriesDescription, ds.ImageType, ds.ScanningSequence = "t1", ["ORIGINAL", "PRIMARY", "M"], "GR"
        ds.SequenceVariant, ds.MRAcquisitionType, ds.RepetitionTime, ds.EchoTime = "SP", "3D", 10, 3
        ds.SliceThickness = ds.SpacingBetweenSlices = step
        ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, place]
        ds.PixelSpacing, ds.Rows, ds.Columns = [1, 1], 16, 16
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.PixelData = np.full((16, 16), 100 + k, "<u2").tobytes()
        ds.save_as(folder / name / f"{k:03d}.dcm", enforce_file_format=True)


def look(name, places, step):
    series(name, places, step)
    done = subprocess.run([dcm2niix.bin, "-z", "n", "-b", "n", "-f", name, "-o", str(folder), str(folder / name)], capture_output=True, text=True)
    image = nibabel.load(folder / f"{name}.nii")
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder / name)))
    off = float((image.affine @ [0, 0, image.shape[2] - 1, 1])[2]) - places[-1]
    said = done.returncode != 0 or "distance" in (done.stdout + done.stderr).lower()
    return round(float(image.header.get_zooms()[2]), 3), round(off, 1), said, round(reader.Execute().GetSpacing()[2], 3)


SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
tenth = look("tenth", [round(k * 1.25, 1) for k in range(120)], 1.25)
thin = look("thin", [round(k * 0.75, 1) for k in range(200)], 0.75)
print("version: dcm2niix 1.0.20260724")
print("behaviour: the first gap is the spacing of all slices, without a word: the far end of the head is millimetres off, every volume some percent")
print("output: spacing, mm off at the last slice, said, SimpleITK's spacing: 1.25 mm", tenth, "; 0.75 mm", thin)
raise SystemExit(not (tenth[:3] == (1.2, -6.0, False) and tenth[3] == 1.25 and abs(thin[1]) > 9 and not thin[2]))
PYTHON
