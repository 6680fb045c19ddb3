"""nnU-Net raw data sets go both ways, with channel names, labels and an explicit split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from annofree.batch.rethreshold import rethreshold
from annofree.batch.run import run
from annofree.errors import InputError, MissingSequence, OutputError
from annofree.formats import export_nnunet, open_cohort, open_scan, open_truth, read_segmentation
from annofree.phantom import phantom_subject
from annofree.pipeline import Choice
from annofree.scan import Cohort, scoring

from .conftest import brain_image, save, save_patient


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    for name in ("a", "b", "c"):
        save_patient(tmp_path / "in" / name, "t1.nii.gz", "flair.nii.gz")
    return open_cohort(tmp_path / "in")


def labels_of(cohort: Cohort) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {scan.id: rng.integers(0, 2, scan.shape).astype(np.uint8) for scan in cohort}


def test_export_reads_back_voxel_for_voxel(cohort: Cohort, tmp_path: Path) -> None:
    labels = labels_of(cohort)
    root = export_nnunet(cohort, tmp_path / "Dataset501_Made", labels=labels, validation=["b"], mark_validation=True)
    names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*.nii.gz"))
    assert names[:4] == [f"imagesTr/{n}.nii.gz" for n in ("a_0000", "a_0001", "bval_0000", "bval_0001")]
    assert names[-3:] == [f"labelsTr/{n}.nii.gz" for n in ("a", "bval", "c")]
    dataset = json.loads((root / "dataset.json").read_text())
    assert dataset["channel_names"] == {"0": "T1", "1": "FLAIR"}
    assert dataset["labels"] == {"background": 0, "tumour": 1}
    assert dataset["numTraining"] == 3
    assert json.loads((root / "splits_final.json").read_text()) == [{"train": ["a", "c"], "val": ["bval"]}]
    again = open_cohort(root)
    assert again.ids == ("a", "bval", "c")
    for sequence in ("T1", "FLAIR"):
        assert np.array_equal(again["a"].images[sequence], cohort["a"].images[sequence])
    truth = open_truth(root, "a", again["a"].grid)
    with scoring():
        assert np.array_equal(truth.labels > 0, labels["a"] > 0)


def test_without_labels_scans_become_test_images(cohort: Cohort, tmp_path: Path) -> None:
    root = export_nnunet(cohort, tmp_path / "d", sequences=["FLAIR"])
    assert {p.name for p in root.iterdir()} == {"imagesTs", "dataset.json"}
    assert open_cohort(root / "imagesTs")["c"].sequences == ("FLAIR",)


def test_a_4d_file_is_read_by_the_names_of_its_channels(tmp_path: Path) -> None:
    """The Decathlon's folder says what the channels are; of a single file the caller does."""
    images = [brain_image(seed) for seed in range(4)]
    path = tmp_path / "Task01" / "imagesTr" / "BRATS_001.nii.gz"
    save(path, np.stack(images, axis=-1))
    save(tmp_path / "Task01" / "labelsTr" / "BRATS_001.nii.gz", (images[0] > 0).astype(np.uint8))
    modality = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    (tmp_path / "Task01" / "dataset.json").write_text(json.dumps({"tensorImageSize": "4D", "modality": modality}))
    named = open_cohort(tmp_path / "Task01")["BRATS_001"]
    said = open_scan(path, sequence="FLAIR,T1,T1C,T2")
    by_itk = save(tmp_path / "itk" / "BRATS_001.nii.gz", np.stack(images, axis=-1)[:, :, :, None])  # a fifth axis
    for scan in (named, said, open_scan(by_itk, sequence="FLAIR,T1,T1C,T2")):
        assert scan.sequences == ("T1", "T1C", "T2", "FLAIR")
        assert "The channels of BRATS_001.nii.gz were taken as FLAIR, T1, T1C, T2." in scan.notes
        for kind, image in zip(("FLAIR", "T1", "T1C", "T2"), images, strict=True):
            assert np.array_equal(scan.to_native(scan.images[kind]), image)
    assert open_cohort(tmp_path / "Task01", sequence="T1C")["BRATS_001"].sequences == ("T1C",)
    assert open_truth(tmp_path / "Task01", "BRATS_001", named.grid) is not None
    with pytest.raises(InputError, match=r"3 sequences are named for one file.*its shape is"):
        open_scan(path, sequence="FLAIR,T1,T2")
    with pytest.raises(InputError, match=r"4-D.*--sequence FLAIR,T1,T1C,T2"):
        open_scan(path, sequence="FLAIR")
    empty = save(tmp_path / "empty.nii.gz", np.stack([images[0], images[1] * 0], axis=-1))
    with pytest.raises(InputError, match=r"empty\.nii\.gz, channel 2\)"):
        open_scan(empty, sequence="T1,FLAIR")


def test_the_channels_of_an_answer_are_found_again(tmp_path: Path) -> None:
    scan = phantom_subject(3, kind="glioblastoma", spacing_mm=4.0).scan
    path = tmp_path / "brain.nii.gz"
    save(path, np.stack([scan.to_native(image) for image in scan.images.values()], axis=-1), scan.native.affine)
    named = ",".join(scan.sequences)
    run(open_cohort(path, sequence=named), Choice("intensity-published"), tmp_path / "out", review=False)
    rethreshold(tmp_path / "out", "fixed:2.5", out=tmp_path / "new", locate=False)
    again = open_cohort(path, sequence=named)
    run(again, Choice("intensity-published", threshold="fixed:2.5"), tmp_path / "direct", review=False)
    before, new, direct = (
        read_segmentation(tmp_path / folder, "brain", None).mask("WT") for folder in ("out", "new", "direct")
    )
    assert 0 < new.sum() < before.sum()
    assert np.array_equal(new, direct)


def test_channels_without_names_ask_for_them(cohort: Cohort, tmp_path: Path) -> None:
    root = export_nnunet(cohort, tmp_path / "d", sequences=["FLAIR"])
    (root / "dataset.json").unlink()
    with pytest.raises(InputError, match=r"channels of scan 'a' have no names.*dataset.json"):
        open_cohort(root)["a"]
    assert open_cohort(root, sequence="FLAIR")["a"].sequences == ("FLAIR",)
    (root / "dataset.json").write_text('{"channel_names": {"0": "FLAIR"}')
    with pytest.raises(InputError, match=r"dataset.json cannot be read"):
        open_cohort(root)


def test_first_version_data_sets(cohort: Cohort, tmp_path: Path) -> None:
    root = export_nnunet(cohort, tmp_path / "d")
    (root / "dataset.json").write_text('{"modality": {"0": "t1w", "1": "FLAIR"}}')
    assert open_cohort(root)["a"].sequences == ("T1", "FLAIR")


def test_bad_exports_are_refused(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(MissingSequence, match="lacks T2"):
        export_nnunet(cohort, tmp_path / "a", sequences=["T2"])
    labels = labels_of(cohort)
    labels["a"][0, 0, 0] = 9
    with pytest.raises(InputError, match=r"label map of 'a' holds \[9\]"):
        export_nnunet(cohort, tmp_path / "b", labels=labels)
    with pytest.raises(InputError, match="has no label map"):
        export_nnunet(cohort, tmp_path / "c", labels={})
    with pytest.raises(InputError, match="named for validation"):
        export_nnunet(cohort, tmp_path / "d", validation=["zz"])
    with pytest.raises(OutputError, match="not empty"):
        export_nnunet(cohort, tmp_path / "in")
