"""Real heads written as DICOM come back voxel by voxel, and give the same masks as the files they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import annofree as af
from annofree.formats import open_scan
from annofree.formats.dicom import DicomCase, DicomSettings, find
from annofree.modality import Modality
from annofree.scan import to_canonical

from .made import header, save, slices


def written(folder: Path, files: dict[str, Path], **changes: Any) -> Path:
    """Each file as a series of its own, on its own grid, in its own axis order."""
    import nibabel as nib

    for number, (kind, path) in enumerate(files.items(), 1):
        image: Any = nib.load(path)
        array = np.asarray(image.dataobj)
        assert np.array_equal(array, np.rint(array)), "the source has fractions"
        datasets = slices(array.astype(np.int32), image.affine, header(kind, number, **changes))
        save(folder / f"s{number}", datasets)
    return folder


@pytest.mark.real
@pytest.mark.parametrize("words", [True, False])
def test_a_raw_study_is_recognised_and_comes_back(shared_data: Path, tmp_path: Path, words: bool) -> None:
    import nibabel as nib

    case = shared_data / "raw" / "TCGA-FG-6692"
    names = {"T1": "raw_t1", "T1C": "raw_t1c", "T2": "raw_t2", "FLAIR": "raw_fla"}
    files = {kind: case / f"{name}.nii.gz" for kind, name in names.items()}
    times = {} if words else {"SeriesDescription": ""}
    folder = written(tmp_path / "dicom", files, **times)
    (found,) = find(folder)
    assert isinstance(found, DicomCase)
    guesses = {verdict.series.key: str(verdict.modality) for verdict in found.verdicts}
    if words:
        assert guesses == {str(number): kind for number, kind in enumerate(files, 1)}
    else:  # the native T1 has the brighter spots here (inflow), so neither is called T1C, and that is said
        assert guesses == {"1": "T1", "2": "T1", "3": "T2", "4": "FLAIR"}
        assert all(not verdict.sure for verdict in found.verdicts if verdict.modality == Modality.T1)
        assert "which of the T1 series has contrast agent cannot be told" in found.verdicts[0].reasons[-1]
        named = DicomSettings(series=("T1=1", "T1C=2", "3", "4"))
        found = find(folder, named)[0]
    volumes, _ = found.read()
    assert {str(kind) for kind in volumes} == set(files)
    for kind, volume in volumes.items():
        image: Any = nib.as_closest_canonical(nib.load(files[str(kind)]))
        assert np.array_equal(to_canonical(volume.array, volume.grid), np.asarray(image.dataobj))


@pytest.mark.real
def test_a_patient_gives_the_same_mask_as_from_nifti(shared_data: Path, tmp_path: Path) -> None:
    case = shared_data / "patients" / "BraTS2021_00006"
    names = {"T1": "t1", "T1C": "t1ce", "T2": "t2", "FLAIR": "flair"}
    files = {kind: case / f"{case.name}_{name}.nii.gz" for kind, name in names.items()}
    folder = written(tmp_path / "dicom", files)
    one = open_scan(files)
    other = open_scan(folder)
    assert one.sequences == other.sequences
    assert np.allclose(one.affine, other.affine, atol=1e-4)
    for kind in one.sequences:
        assert np.array_equal(one.images[kind], other.images[kind])
    masks = [af.segment(scan, method="intensity-published", locate=False).labels for scan in (one, other)]
    assert np.array_equal(*masks)
    assert masks[0].any()
