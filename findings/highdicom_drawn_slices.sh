#!/usr/bin/env bash
# Guess, written down first: a segmentation of ten slices, saved and read as a volume, has ten slices in the order in which they were given.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" highdicom==0.28.2 pydicom==3.0.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid


def series(folder, rows, columns, count=10, step=3.0):
    """Slices of MR, `step` mm apart along their normal; `rows` and `columns` are their directions."""
    ids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
    made = []
    for number in range(count):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        place = np.array([-10.0, -10.0, -20.0]) + np.cross(rows, columns) * step * number
        values = ids | {
            "SOPClassUID": MRImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID, "Modality": "MR",
            "PatientID": "made", "PatientName": "Made", "PatientBirthDate": "", "PatientSex": "", "StudyID": "1",
            "StudyDate": "20200101", "StudyTime": "120000", "AccessionNumber": "", "ReferringPhysicianName": "",
            "SeriesNumber": 1, "InstanceNumber": number + 1, "Manufacturer": "made", "PositionReferenceIndicator": "",
            "ImagePositionPatient": [float(x) for x in place], "ImageOrientationPatient": [float(x) for x in (*rows, *columns)],
            "PixelSpacing": [1.0, 1.0], "SliceThickness": step, "Rows": 16, "Columns": 20, "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
            "PixelRepresentation": 0, "PixelData": np.full((16, 20), number + 1, np.uint16).tobytes(),
        }
        for keyword, value in values.items():
            setattr(one, keyword, value)
        one.save_as(Path(folder) / f"{number:03d}.dcm", enforce_file_format=True)
        made.append(one)
    return made


import highdicom
from pydicom.sr.codedict import codes

found = {}
with tempfile.TemporaryDirectory() as folder:
    source = series(folder, (1, 0, 0), (0, 1, 0))
    for name, slices in (("lesion on 3 slices", slice(3, 6)), ("lesion on 2 slices with 4 between", slice(2, 8, 5))):
        mask = np.zeros((10, 16, 20), np.uint8)
        mask[slices, 4:9, 5:12] = 1
        mask[slices.start, 9, 5] = 1  # one voxel more on the first slice
        kind = highdicom.seg.SegmentAlgorithmTypeValues.MANUAL
        segment = highdicom.seg.SegmentDescription(
            1, "lesion", codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Tumor, kind
        )
        drawn = highdicom.seg.Segmentation(
            source, mask, highdicom.seg.SegmentationTypeValues.BINARY, [segment], highdicom.UID(), 1, highdicom.UID(), 1,
            "made", "made", "1", "1",
        )
        volume = drawn.get_volume(combine_segments=True)
        found[name] = (volume.array.shape[0], [int(one.sum()) for one in volume.array], float(volume.affine[2, 3]))
print("version: highdicom", version("highdicom"), "; pydicom", version("pydicom"))
print("behaviour: get_volume hands out the slices from the last on which something is drawn down to the first: fewer than the "
      "images have, and in the other order; only its affine says where they lie")
print("output: slices of 10, voxels drawn on each, z of the first (those of the images: -20, -17 ... 7)", found)
raise SystemExit(list(found.values()) != [(3, [35, 35, 36], -5.0), (6, [35, 0, 0, 0, 0, 36], 1.0)])
PYTHON
