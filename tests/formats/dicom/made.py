"""DICOM series made for tests: any grid, any header, with personal details planted where a text fits."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What stands in every text element of a planted header; no output may hold any of it.
PLANTED_WORD = "Zephyrine"
PLANTED_ID = "QX77341"
PLANTED_BIRTH = "19370219"
PLANTED_STUDY_DATE = "20210523"
PLANTED = (PLANTED_WORD, PLANTED_ID, PLANTED_BIRTH, "1937-02-19", PLANTED_STUDY_DATE, "2021-05-23")

#: Times of the usual sequences at 3 tesla: TR, TE, TI in ms.
TIMES = {"T1": (1900, 2.5, 900), "T1C": (1900, 2.5, 900), "T2": (4500, 95, None), "FLAIR": (9000, 110, 2500)}
WORDS = {"T1": "t1 mprage sag", "T1C": "t1 mprage sag +C", "T2": "t2 tse tra", "FLAIR": "flair tra"}

_LPS = np.diag([-1.0, -1.0, 1.0])


def uid(*parts: object) -> str:
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=[str(part) for part in parts]))


def header(kind: str, number: int, *, study: str = "one", **changes: Any) -> dict[str, Any]:
    """The header elements that a series has in common."""
    tr, te, ti = TIMES[kind]
    found: dict[str, Any] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
        "StudyInstanceUID": uid("study", study),
        "SeriesInstanceUID": uid("series", study, number),
        "FrameOfReferenceUID": uid("frame", study),
        "PatientID": PLANTED_ID,
        "PatientName": f"{PLANTED_WORD}^Anna",
        "PatientBirthDate": PLANTED_BIRTH,
        "PatientSex": "F",
        "AccessionNumber": f"A{PLANTED_ID}",
        "InstitutionName": f"{PLANTED_WORD} Hospital",
        "StudyID": "S1",
        "StudyDate": PLANTED_STUDY_DATE,
        "StudyTime": "101112",
        "Modality": "MR",
        "Manufacturer": "SIEMENS",
        "SeriesNumber": number,
        "SeriesDescription": f"{WORDS[kind]} {PLANTED_WORD}",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
        "BodyPartExamined": "HEAD",
        "ScanningSequence": "SE" if te > 20 else "GR",
        "SequenceVariant": "SK",
        "ScanOptions": "",
        "MRAcquisitionType": "2D" if te > 20 else "3D",
        "RepetitionTime": tr,
        "EchoTime": te,
        "EchoTrainLength": 1,
        "PatientPosition": "HFS",
        "PositionReferenceIndicator": "",
        "Laterality": "",
        "ReferringPhysicianName": f"{PLANTED_WORD}^Doctor",
    }
    if ti is not None:
        found["InversionTime"] = ti
    return found | changes


def slices(array: NDArray[Any], affine: NDArray[Any], common: dict[str, Any]) -> list[Any]:
    """One dataset for each slice along the last axis.

    Args:
        array: (i, j, k) whole numbers; i runs along a row, j down a column, k through the slices.
        affine: (4, 4) RAS+ affine of the array, with axes at right angles in each slice.
        common: Elements of the header.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    axes = _LPS @ np.asarray(affine)[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    signed = array.min() < 0
    found = []
    for k in range(array.shape[2]):
        dataset = Dataset()
        for name, value in common.items():
            if value is not None:
                setattr(dataset, name, value)
        dataset.SOPInstanceUID = uid(common["SeriesInstanceUID"], k)
        dataset.InstanceNumber = k + 1
        place = _LPS @ (np.asarray(affine) @ [0, 0, k, 1])[:3]
        dataset.ImagePositionPatient = [f"{x:.10g}"[:16] for x in place]
        cosines = np.concatenate([axes[:, 0] / lengths[0], axes[:, 1] / lengths[1]])
        dataset.ImageOrientationPatient = [f"{x:.12f}"[:16] for x in cosines]
        dataset.PixelSpacing = [f"{lengths[1]:.10g}"[:16], f"{lengths[0]:.10g}"[:16]]
        dataset.SliceThickness = f"{lengths[2]:.6g}"
        dataset.Rows, dataset.Columns = array.shape[1], array.shape[0]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
        dataset.PixelRepresentation = int(signed)
        kind = np.int16 if signed else np.uint16
        dataset.PixelData = np.ascontiguousarray(array[:, :, k].T.astype(kind)).tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        found.append(dataset)
    return found


def save(folder: Path, datasets: list[Any], name: str = "IM{:04d}.dcm") -> Path:
    """Write datasets, in a shuffled order of names."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(len(datasets)).permutation(len(datasets))
    for number, dataset in zip(order, datasets, strict=True):
        dataset.save_as(folder / name.format(number), enforce_file_format=True)
    return folder


def write_study(
    folder: Path, images: dict[str, NDArray[Any]], affine: NDArray[Any], *, study: str = "one", **changes: Any
) -> Path:
    """A study with a series for each image."""
    for number, (kind, array) in enumerate(images.items(), 1):
        save(folder / f"s{number}", slices(array, affine, header(kind, number, study=study, **changes)))
    return folder


def plant(dataset: Any) -> None:
    """Put a made name into every text element that the dictionary has and the dataset does not have."""
    for element in _planted():
        if element.tag not in dataset:
            dataset[element.tag] = element
    block = dataset.private_block(0x0029, "ANNOFREE TEST", create=True)
    block.add_new(0x10, "LO", f"{PLANTED_WORD} private")


@cache
def _planted() -> Any:
    from pydicom.datadict import DicomDictionary
    from pydicom.dataset import Dataset

    dataset = Dataset()
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        if retired or not keyword or tag >> 16 in (0x0000, 0x0002, 0x0004, 0x7FE0):
            continue
        if vr in ("PN", "LO", "SH", "ST", "LT", "UT", "UC"):
            setattr(dataset, keyword, f"{PLANTED_WORD}^Anna" if vr == "PN" else f"{PLANTED_WORD} text")
        elif vr == "DA":
            setattr(dataset, keyword, PLANTED_BIRTH)
    return dataset
