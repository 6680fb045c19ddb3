#!/usr/bin/env bash
# A DICOM SEG of three segments in the label-map form, asked how many segments it has.
# Guess, written down first: 3, as for the binary form of the same segments.
# The guess was wrong: 2. The background is taken off twice: once from the list of numbers, once from its length.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install -q highdicom==0.28.2 pydicom==3.0.2 numpy==2.4.6
PLACE="$place" PATH="$place/env/bin:$PATH" "$place/env/bin/python" - <<'PYTHON'
import sys, tempfile
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import highdicom as hd
import pydicom

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
sources = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
labels = np.zeros((12, 32, 32), np.uint8)
labels[3, 4:9, 4:9], labels[4, 4:9, 4:9], labels[5, 4:9, 4:9] = 1, 2, 3
code = hd.sr.CodedConcept("108369006", "SCT", "Neoplasm")
kind = hd.seg.SegmentAlgorithmTypeValues.MANUAL
described = [hd.seg.SegmentDescription(n, f"part {n}", code, code, kind) for n in (1, 2, 3)]
counts = {}
for form in ("BINARY", "LABELMAP"):
    made = hd.seg.Segmentation(
        sources, labels, form, described, hd.UID(), 9, hd.UID(), 1, "made", "made", "1", "1"
    )
    counts[form] = (made.number_of_segments, list(made.segment_numbers))
print("version: highdicom 0.28.2")
print("behaviour: three segments: number_of_segments of the label map is one short of its own list")
print("output:", counts)
sys.exit(counts != {"BINARY": (3, [1, 2, 3]), "LABELMAP": (2, [1, 2, 3])})
PYTHON
