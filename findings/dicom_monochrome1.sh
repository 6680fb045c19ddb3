#!/usr/bin/env bash
# MR slices with PhotometricInterpretation MONOCHROME1 (the smallest value is white), 12 of 16 bits stored.
# Guess, written down first: all readers turn the values over, or none does.
# The guess was wrong: SimpleITK turns them over within the stored bits; pydicom and dcm2niix do not.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install -q SimpleITK==2.5.7 pydicom==3.0.2 numpy==2.4.6 dcm2niix==1.0.20260724 nibabel==5.4.2
PLACE="$place" PATH="$place/env/bin:$PATH" "$place/env/bin/python" - <<'PYTHON'
import sys, tempfile
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import subprocess

import nibabel as nib
import pydicom
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
series(folder, lambda k, ds: setattr(ds, "PhotometricInterpretation", "MONOCHROME1"))
one = folder / "00.dcm"
by_pydicom = int(pydicom.dcmread(one).pixel_array.max())
by_itk = int(sitk.GetArrayFromImage(sitk.ReadImage(str(one))).max())
out = Path(tempfile.mkdtemp())
subprocess.run(["dcm2niix", "-z", "n", "-f", "x", "-o", str(out), str(folder)], check=True, capture_output=True)
by_dcm2niix = int(np.asarray(nib.load(out / "x.nii").dataobj)[..., 0].max())
print("version: SimpleITK 2.5.7, pydicom 3.0.2, dcm2niix 1.0.20260724")
print("behaviour: a MONOCHROME1 slice of the stored value 100 in 12 bits: three readers, two answers")
print(f"output: pydicom {by_pydicom}, dcm2niix {by_dcm2niix}, SimpleITK {by_itk}")
sys.exit((by_pydicom, by_dcm2niix, by_itk) != (100, 100, 3995))
PYTHON
