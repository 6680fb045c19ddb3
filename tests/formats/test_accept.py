"""A mask corrected elsewhere comes back beside the original, checked, with what changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from annofree.errors import InputError, OutputError
from annofree.evaluation.accept import accept
from annofree.formats import read_segmentation
from annofree.formats.accepted import accepted_masks
from annofree.formats.nifti import read_labels, write_volume
from annofree.formats.stored import written_ids
from command_line import told

from .test_bids import errors_of_validator, made


@pytest.fixture
def results(tmp_path: Path) -> tuple[Path, Path]:
    """An output folder, and its label map with one enhancing voxel more, stored in another axis order."""
    made("sub-01_ses-pre").save(tmp_path / "out")
    original = next((tmp_path / "out").rglob("*_dseg.nii.gz"))
    labels, _ = read_labels(original)
    labels = labels.copy()
    labels[12, 22, 21] = 3
    image = nib.Nifti1Image(labels.astype(np.int16), nib.load(original).affine)
    turned = image.as_reoriented(np.array([[1, 1], [0, -1], [2, 1]]))
    (tmp_path / "back").mkdir()
    nib.save(turned, tmp_path / "back" / original.name)
    return tmp_path / "out", tmp_path / "back"


def test_what_changed_is_said_and_the_original_stays(results: tuple[Path, Path]) -> None:
    out, back = results
    before = {path: path.read_bytes() for path in out.rglob("*.nii.gz")}
    rows = {row["region"]: row for row in accept(back, out)}
    voxel = 4.5**3 / 1000
    assert rows["ET"]["before_ml"] == pytest.approx(voxel, abs=1e-4)
    assert rows["ET"]["after_ml"] == pytest.approx(2 * voxel, abs=1e-4)
    assert rows["ET"]["dice"] == pytest.approx(2 / 3, abs=1e-4)
    assert rows["WT"]["dice"] == 1
    assert all(path.read_bytes() == content for path, content in before.items())
    (target,) = set(out.rglob("*.nii.gz")) - set(before)
    assert target.name == "sub-01_ses-pre_space-orig_desc-testCorrected_dseg.nii.gz"
    corrected, _ = read_labels(target)
    assert corrected[12, 22, 21] == 3
    assert json.loads(target.with_name(target.name.replace(".nii.gz", ".json")).read_text())["Tier"] == "S"
    assert np.array_equal(read_segmentation(out, "sub-01_ses-pre").labels, made("x").labels)
    assert errors_of_validator(out) == []


def test_enhancing_tumour_that_no_image_shows_is_no_empty_one(tmp_path: Path) -> None:
    """The answer without T1C leaves it open; a person may have drawn it or not."""
    without = made("sub-01").replace(regions=("WT", "TC"))
    without = without.replace(labels=np.where(without.labels == 3, 1, without.labels).astype(np.uint8))
    without.save(tmp_path / "out")
    original = next((tmp_path / "out").rglob("*_dseg.nii.gz"))
    (tmp_path / "back").mkdir()
    shutil.copy(original, tmp_path / "back")
    rows = {row["region"]: row for row in accept(tmp_path / "back", tmp_path / "out")}
    assert [rows["ET"][name] for name in ("before_ml", "after_ml", "dice")] == [None, None, None]
    assert rows["TC"]["before_ml"] == rows["TC"]["after_ml"] > 0
    assert rows["TC"]["dice"] == 1
    line = (tmp_path / "out" / "accepted.tsv").read_text().splitlines()[3]
    assert line.split("\t")[2:] == ["ET", "n/a", "n/a", "n/a"]
    labels, grid = read_labels(original)
    drawn = labels.copy()
    drawn[tuple(np.argwhere(labels == 1)[0])] = 3
    write_volume(tmp_path / "back" / original.name, drawn, grid)
    told("accept", tmp_path / "back", "-o", tmp_path / "out", "--overwrite")
    line = (tmp_path / "out" / "accepted.tsv").read_text().splitlines()[3]
    assert line.split("\t")[2:] == ["ET", "n/a", f"{4.5**3 / 1000:.4f}", "n/a"]


@pytest.mark.parametrize("kind", [np.uint8, np.int16])
def test_labels_that_nibabel_scaled_come_back_whole(results: tuple[Path, Path], kind: type) -> None:
    """Floats under the header of whole numbers get a scale, and 1 becomes 1.00000002 or 1.00003."""
    out, back = results
    (path,) = back.iterdir()
    image = nib.load(path)
    header = nib.Nifti1Image(np.zeros(image.shape, kind), image.affine).header
    nib.save(nib.Nifti1Image(image.get_fdata(), image.affine, header), path)
    assert 1.0 not in np.unique(nib.load(path).dataobj)
    rows = {row["region"]: row for row in accept(back, out)}
    assert rows["ET"]["after_ml"] == pytest.approx(2 * rows["ET"]["before_ml"], abs=1e-4)
    assert rows["TC"]["dice"] > 0.9


def test_a_second_time_needs_overwrite(results: tuple[Path, Path]) -> None:
    out, back = results
    accept(back, out)
    with pytest.raises(OutputError, match=r"accepted already"):
        accept(back, out)
    (corrected,) = out.rglob("*Corrected_dseg.nii.gz")  # itself corrects nothing that a run answered
    (back / corrected.name).write_bytes(corrected.read_bytes())
    with pytest.raises(InputError, match=r"belongs to no result.*Corrected_dseg"):
        accept(back / corrected.name, out)
    (back / corrected.name).unlink()
    accept(back, out, overwrite=True)
    assert len((out / "accepted.tsv").read_text().splitlines()) == 4


def test_what_does_not_belong_is_refused_before_anything_is_written(results: tuple[Path, Path]) -> None:
    out, back = results
    (path,) = back.iterdir()
    image = nib.load(path)
    shutil.copy(path, back / "other_dseg.nii.gz")
    with pytest.raises(InputError, match=r"belongs to no result"):
        accept(back, out)
    (back / "other_dseg.nii.gz").unlink()
    voxels, affine = np.array(image.dataobj), np.array(image.affine)
    moved = affine.copy()
    moved[0, 3] += 2
    nib.save(nib.Nifti1Image(voxels, moved), path)
    with pytest.raises(InputError, match=r"lies on another grid"):
        accept(back, out)
    nib.save(nib.Nifti1Image(voxels * 2, affine), path)
    with pytest.raises(InputError, match=r"it holds 4, 6; known are"):
        accept(back, out)
    assert not (out / "accepted.tsv").exists()
    assert not list(out.rglob("*Corrected*"))


@pytest.mark.parametrize("kind", ["mask", "dseg"])
def test_a_record_that_is_gone_is_named_before_anything_is_written(results: tuple[Path, Path], kind: str) -> None:
    out, back = results
    (gone,) = (path for path in out.rglob(f"*_{kind}.json") if "label-brain" not in path.name)
    gone.unlink()
    before = set(out.rglob("*"))
    with pytest.raises(InputError, match="A record cannot be read") as caught:
        accept(back, out)
    assert gone.name in str(caught.value)
    assert set(out.rglob("*")) == before


def test_a_corrected_mask_is_no_result_of_the_run(results: tuple[Path, Path]) -> None:
    out, back = results
    for path in back.iterdir():
        path.unlink()
    original = next(out.rglob("*label-lesion*_mask.nii.gz"))
    shutil.copy(original, back / original.name)
    accept(back, out)
    assert list(out.rglob("*Corrected_mask.json"))
    assert written_ids(out) == ("sub-01_ses-pre",)
    assert np.array_equal(read_segmentation(out, "sub-01_ses-pre").labels, made("x").labels)


def test_what_was_stopped_between_two_masks_is_not_accepted_and_goes_with_the_same_call(
    results: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, back = results
    mask = next(out.rglob("*label-lesion*_mask.nii.gz"))
    shutil.copy(mask, back / mask.name)
    written: list[str] = []

    def dies_at_the_second(path: Path, *rest: Any, **more: Any) -> None:
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(path.name)
        write_volume(path, *rest, **more)

    for overwrite in (False, True):
        with monkeypatch.context() as patch:
            patch.setattr("annofree.evaluation.accept.write_volume", dies_at_the_second)
            with pytest.raises(KeyboardInterrupt):
                accept(back, out, overwrite=overwrite)
        assert len(list(out.rglob("*Corrected_*.nii.gz"))) == (2 if overwrite else 1)
        with pytest.raises(InputError, match="holds no accepted masks"):
            accepted_masks(out)
        assert len(accept(back, out)) == 4  # three regions of the label map, and the whole tumour
        assert accepted_masks(out)
        written.clear()


def test_a_correction_that_no_table_names_is_not_lost(results: tuple[Path, Path]) -> None:
    out, back = results
    accept(back, out)
    (out / "accepted.tsv").unlink()
    assert len(accept(back, out)) == 3  # the very mask that stands there already
    (out / "accepted.tsv").unlink()
    (path,) = back.iterdir()
    image = nib.load(path)
    other = np.zeros(image.shape, np.uint8)
    nib.save(nib.Nifti1Image(other, image.affine), path)
    target = next(out.rglob("*Corrected_dseg.nii.gz"))
    kept = target.read_bytes()
    with pytest.raises(OutputError, match=r"Another correction stands here .*accepted.tsv does not name it"):
        accept(back, out)
    assert target.read_bytes() == kept
    assert len(accept(back, out, overwrite=True)) == 3
    assert not np.asanyarray(nib.load(target).dataobj).any()


def test_masks_that_cannot_be_told_from_others_are_refused(results: tuple[Path, Path]) -> None:
    out, back = results
    (path,) = back.iterdir()
    (back / "again").mkdir()
    shutil.copy(path, back / "again")
    with pytest.raises(InputError, match=rf"Two corrected masks belong to one result .*{path.name} is called the same"):
        accept(back, out)
    shutil.rmtree(back / "again")
    original = next(out.rglob("*_dseg.nii.gz"))
    with pytest.raises(InputError, match="A corrected mask is the result itself"):
        accept(original, out)
    shutil.move(back, out / "mine")  # a folder of one's own among the results
    rows = {row["region"]: row for row in accept(out / "mine", out)}
    assert rows["ET"]["dice"] == pytest.approx(2 / 3, abs=1e-4)
    assert [p.parent for p in out.rglob("*Corrected_dseg.nii.gz")] == [original.parent]
