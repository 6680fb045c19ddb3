#!/usr/bin/env bash
# MR slices each of which is shifted by 0.8 mm within its plane against the one before (a stack that leans).
# Guess, written down first: a sheared affine, or the stack resampled upright, as for a tilted CT.
# The guess was wrong: an upright affine whose slices are farther apart: the volume of a voxel is too large, the last slice off.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install -q pydicom==3.0.2 numpy==2.4.6 dcm2niix==1.0.20260724 nibabel==5.4.2
PLACE="$place" PATH="$place/env/bin:$PATH" "$place/env/bin/python" - <<'PYTHON'
import sys, tempfile
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import subprocess

import nibabel as nib

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

folder, out = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
series(folder, lambda k, ds: setattr(ds, "ImagePositionPatient", [0, 0.8 * k, 3 * k]))
done = subprocess.run(["dcm2niix", "-z", "n", "-f", "x", "-o", str(out), str(folder)], capture_output=True)
image = nib.load(out / "x.nii")
volume = float(abs(np.linalg.det(image.affine[:3, :3])))
there = image.affine @ [0, 31, 11, 1]  # the first row of the last slice; rows are stored the other way round
truth = np.array([0, -0.8 * 11, 33])
off = float(np.linalg.norm(there[:3] - truth))
print("version: dcm2niix 1.0.20260724")
print("behaviour: 12 slices of 3 mm, shifted by 0.8 mm each: exit 0, an affine without shear, steps of sqrt(3^2 + 0.8^2) mm straight up")
print(f"output: voxel {volume:.4f} mm3 (3 is right), last slice {off:.2f} mm off")
sys.exit(not (done.returncode == 0 and abs(volume - 3.1048) < 1e-3 and off > 8))
PYTHON
