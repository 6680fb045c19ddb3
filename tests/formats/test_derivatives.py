"""What was found is on disk in the scan's own space, can be read back, and never costs anybody a file."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from annofree.errors import InputError, OutputError
from annofree.formats import open_scan, read_segmentation, write_segmentation, written_ids
from annofree.formats.bids_names import bids_label, mask_path
from annofree.formats.outfolder import atomic_write, claim_folder, claimed, together
from annofree.formats.stored import StoredThreshold
from annofree.segmentation import Lesion, ScoreMap, Segmentation

from .conftest import save_patient


def answer(folder: Path, regions: tuple[str, ...] = ("WT", "TC", "ET"), **changes: object) -> Segmentation:
    scan = open_scan(folder)
    rng = np.random.default_rng(3)
    z = rng.normal(0, 2, scan.shape).astype(np.float32)
    labels = rng.integers(0, 4, scan.shape).astype(np.uint8) if len(regions) > 1 else (z > 2).astype(np.uint8) * 2
    result = Segmentation(
        scan_id=scan.id,
        labels=labels,
        affine=scan.affine,
        native=scan.native,  # type: ignore[arg-type]
        regions=regions,
        scores={
            "WT": ScoreMap(z, "WT", "z", scan.grid),
            "residual-T2": ScoreMap(rng.random(scan.shape), "residual-T2", "probability", scan.grid),
        },
        brain=scan.foreground(),
        lesions=(
            Lesion(1, 12.5, (-10.25, 3.0, 4.5), "left", "frontal lobe", 0.8, {"core": 2.5}),
            Lesion(2, 0.5, (1, 2, 3)),
        ),
        provenance={"method": "weak-to-strong", "tier": "T0"},
    )
    return result.replace(**changes)


@pytest.mark.parametrize("regions", [("WT",), ("WT", "TC", "ET")])
def test_round_trip(patient: Path, tmp_path: Path, regions: tuple[str, ...]) -> None:
    result = answer(patient, regions)
    path = write_segmentation(result, tmp_path / "out")
    back = read_segmentation(tmp_path / "out", "BraTS2021_00042")
    assert np.array_equal(back.labels, result.labels)
    assert back.regions == regions
    assert np.array_equal(back.affine, result.affine)
    assert back.lesions == result.lesions
    assert back.provenance == result.provenance
    assert back.brain is not None
    assert np.array_equal(back.brain, result.brain)
    for name, score in result.scores.items():
        about = json.loads(next(path.parent.glob(f"*label-{bids_label(name)}_*probseg.json")).read_text())
        assert (back.scores[name].name, back.scores[name].unit) == (name, score.unit)
        error = np.abs(back.scores[name].values - score.values).max()
        assert error <= about["LargestRoundingError"] * 1.01
        assert error < 2e-4
    assert written_ids(tmp_path / "out") == ("BraTS2021_00042",)


def test_files_have_bids_names_and_lie_on_the_input_voxel_for_voxel(patient: Path, tmp_path: Path) -> None:
    result = answer(patient)
    path = write_segmentation(result, tmp_path / "out")
    stem = "sub-BraTS202100042_space-orig"
    names = {p.name for p in path.parent.glob("*.nii.gz")}
    assert names == {
        f"{stem}_label-lesion_desc-weaktostrong_mask.nii.gz",
        f"{stem}_label-brain_desc-weaktostrong_mask.nii.gz",
        f"{stem}_desc-weaktostrong_dseg.nii.gz",
        f"{stem}_label-WT_desc-weaktostrong_probseg.nii.gz",
        f"{stem}_label-residualT2_desc-weaktostrong_probseg.nii.gz",
    }
    source, mask = nib.load(patient / "BraTS2021_00042_flair.nii.gz"), nib.load(path)
    assert np.array_equal(source.affine, mask.affine)
    assert source.header.get_zooms() == mask.header.get_zooms()
    assert np.array_equal(nib.as_closest_canonical(mask).dataobj, result.labels > 0)
    assert not list((tmp_path / "out").rglob("*.tmp"))
    assert json.loads((tmp_path / "out" / "dataset_description.json").read_text())["DatasetType"] == "derivative"


def test_a_score_written_once_reads_the_same_ever_after(patient: Path, tmp_path: Path) -> None:
    write_segmentation(answer(patient), tmp_path / "a")
    once = read_segmentation(tmp_path / "a", "BraTS2021_00042")
    write_segmentation(once, tmp_path / "b")
    twice = read_segmentation(tmp_path / "b", "BraTS2021_00042")
    for name in once.scores:
        assert np.array_equal(once.scores[name].values, twice.scores[name].values)


def test_others_files_are_never_touched(patient: Path, tmp_path: Path) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter1.tex").write_text("x")
    with pytest.raises(OutputError, match=r"did not write.*thesis.*chapter1.tex.*-o"):
        write_segmentation(answer(patient), out)
    assert [p.name for p in out.iterdir()] == ["chapter1.tex"]
    (out / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "fMRIPrep"}]}')
    with pytest.raises(OutputError):
        claim_folder(out)


def test_own_and_empty_folders_are_taken(patient: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").touch()
    write_segmentation(answer(patient), tmp_path / "out")
    write_segmentation(answer(patient), tmp_path / "out")


def test_the_same_answer_saved_again_keeps_what_describes_it(
    patient: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, stem = tmp_path / "out", "sub-BraTS202100042_space-"
    anat = write_segmentation(answer(patient), out).parent
    beside = [anat / f"{stem}{name}" for name in ("orig_desc-weaktostrong_seg.dcm", "orig_desc-weaktostrong_sr.dcm")]
    beside += [
        anat / f"{stem}T1_label-lesion_desc-weaktostrong_mask.nii.gz",
        anat / f"{stem}T2_desc-weaktostrong_dseg.tsv",
    ]
    for path in beside:
        path.write_bytes(b"x")
    same = read_segmentation(out, "BraTS2021_00042")
    same.save(out, page=False)
    assert all(path.read_bytes() == b"x" for path in beside)
    assert capsys.readouterr().err == ""
    labels = same.labels.copy()
    labels[0, 0, 0] = (labels[0, 0, 0] + 1) % 4
    same.replace(labels=labels).save(out, page=False)
    assert not any(path.exists() for path in beside)
    said = capsys.readouterr().err
    assert f"BraTS2021_00042: removed {beside[0].name} and {beside[1].name}, which described the answer before" in said
    assert f"annofree export dicom-seg {out} -o FOLDER --dicom STUDY --dicom-sr\n" in said


def test_a_place_that_may_not_be_entered_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("exists", "mkdir", "iterdir"):
        monkeypatch.setattr(Path, name, locked)
    with pytest.raises(OutputError, match=r"cannot be made .*: Permission denied"), claimed(tmp_path / "x" / "out"):
        pass


def test_unwritable_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match=r"cannot be made.*file"):
            claim_folder(out)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        claim_folder(tmp_path / "new")


def test_a_killed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mask.nii.gz"
    atomic_write(path, b"old")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["mask.nii.gz"]


def test_files_take_their_places_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask, record, elsewhere = tmp_path / "a" / "mask.nii.gz", tmp_path / "a" / "mask.json", tmp_path / "table.tsv"
    for path in (mask, record, elsewhere):
        atomic_write(path, "old")

    def stop_halfway() -> None:
        with together(tmp_path / "a"):
            for path in (mask, record, elsewhere):
                atomic_write(path, "new")
            assert [path.read_text() for path in (mask, record, elsewhere)] == ["old", "old", "new"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_halfway()
    assert [path.read_text() for path in (mask, record)] == ["old", "old"]
    assert sorted(os.listdir(tmp_path / "a")) == ["mask.json", "mask.nii.gz"]
    replace, places = Path.replace, []

    def noted(path: Path, place: Path) -> Path:
        places.append((place.name, record.exists()))
        return replace(path, place)

    monkeypatch.setattr(Path, "replace", noted)
    with together(tmp_path / "a"):
        atomic_write(record, "new")
        atomic_write(mask, "new")
    assert places == [("mask.nii.gz", False), ("mask.json", False)]  # no record while the mask is another
    assert [path.read_text() for path in (mask, record)] == ["new", "new"]


def test_ids_that_would_share_a_bids_name_are_refused(tmp_path: Path) -> None:
    write_segmentation(answer(save_patient(tmp_path / "a-1", "flair.nii.gz")), tmp_path / "out")
    with pytest.raises(OutputError, match=r"'a-1' and 'a_1' would share"):
        write_segmentation(answer(save_patient(tmp_path / "a_1", "flair.nii.gz")), tmp_path / "out")
    assert read_segmentation(tmp_path / "out", "a-1").scan_id == "a-1"


def test_ids_in_any_script_get_a_label() -> None:
    names = ("患者一", "患者二", "Müller", "Muller", "---", "M\udcfcller", "M\udcf6ller")
    labels = {bids_label(text) for text in names}
    assert len(labels) == len(names)
    assert all(label.isascii() and label.isalnum() for label in labels)


def test_two_methods_in_one_folder_are_told_apart(patient: Path, tmp_path: Path) -> None:
    write_segmentation(answer(patient), tmp_path / "out")
    write_segmentation(answer(patient, provenance={"method": "intensity"}), tmp_path / "out")
    with pytest.raises(InputError, match=r"more than one.*intensity, weak-to-strong"):
        read_segmentation(tmp_path / "out", "BraTS2021_00042")
    back = read_segmentation(tmp_path / "out", "BraTS2021_00042", "intensity")
    assert back.provenance == {"method": "intensity"}


def test_each_methods_lesions_are_its_own(patient: Path, tmp_path: Path) -> None:
    other = (Lesion(1, 7.0, (0.0, 0.0, 0.0)),)
    write_segmentation(answer(patient), tmp_path / "out")
    write_segmentation(answer(patient, provenance={"method": "intensity"}, lesions=other), tmp_path / "out")
    for method, wanted in (("weak-to-strong", answer(patient).lesions), ("intensity", other)):
        assert read_segmentation(tmp_path / "out", "BraTS2021_00042", method).lesions == wanted
    write_segmentation(answer(patient, provenance={"method": "intensity"}, lesions=()), tmp_path / "out")
    assert read_segmentation(tmp_path / "out", "BraTS2021_00042", "intensity").lesions == ()


def _without_methods(table: Path) -> None:
    """A table as older versions wrote it."""
    rows = [line.rsplit("\t", 1)[0] for line in table.read_text().splitlines()]
    table.write_text("\n".join(rows) + "\n")


def test_an_older_table_is_of_the_answer_whose_volume_it_has(patient: Path, tmp_path: Path) -> None:
    first = answer(patient)
    lesions = (Lesion(1, round(first.volumes_ml["WT"] - 0.02, 1), (1.0, 2.0, 3.0)),)  # what is tiny is no lesion
    first, out = first.replace(lesions=lesions), tmp_path / "out"
    second = answer(patient, ("WT",), provenance={"method": "intensity"}, lesions=())
    table = out / "sub-BraTS202100042" / "lesions.tsv"
    write_segmentation(first, out)
    _without_methods(table)
    for _ in range(2):  # the second time both answers lie there
        write_segmentation(second, out)
        assert read_segmentation(out, "BraTS2021_00042", "weak-to-strong").lesions == lesions
        assert read_segmentation(out, "BraTS2021_00042", "intensity").lesions == ()
        _without_methods(table)
        assert read_segmentation(out, "BraTS2021_00042", "weak-to-strong").lesions == lesions
        assert read_segmentation(out, "BraTS2021_00042", "intensity").lesions == ()
    write_segmentation(first.replace(lesions=()), out)  # its own rows are replaced
    assert read_segmentation(out, "BraTS2021_00042", "weak-to-strong").lesions == ()


@pytest.mark.parametrize("parts", [True, False])
def test_an_older_table_of_answers_of_equal_volume_is_told_by_their_parts(
    patient: Path, tmp_path: Path, parts: bool
) -> None:
    several = answer(patient, provenance={"method": "z-last"})
    whole = answer(patient, ("WT",), labels=(several.labels > 0).astype(np.uint8) * np.uint8(2), lesions=())
    assert several.volumes_ml["WT"] == whole.volumes_ml["WT"]
    tc, et = several.volumes_ml["TC"], several.volumes_ml["ET"]
    inside = {"core": tc - et, "enhancing": et} if parts else {}
    lesions = (Lesion(1, round(several.volumes_ml["WT"], 3), (1.0, 2.0, 3.0), label_ml=inside),)
    mine, other = (several, whole) if parts else (whole, several.replace(lesions=()))
    write_segmentation(other, tmp_path / "out")
    table = write_segmentation(mine.replace(lesions=lesions), tmp_path / "out").parents[1] / "lesions.tsv"
    _without_methods(table)
    for result, wanted in ((mine, 1), (other, 0)):
        found = read_segmentation(tmp_path / "out", "BraTS2021_00042", str(result.provenance["method"])).lesions
        assert len(found) == wanted


def test_a_new_answer_leaves_nothing_that_describes_the_old_one(patient: Path, tmp_path: Path) -> None:
    out, stem = tmp_path / "out", "sub-BraTS202100042_space-"
    write_segmentation(answer(patient, provenance={"method": "intensity"}), out)
    anat = out / "sub-BraTS202100042" / "anat"
    others = {path.name for path in anat.iterdir()}
    write_segmentation(answer(patient), out)
    corrected = anat / f"{stem}orig_desc-weaktostrongCorrected_dseg.nii.gz"
    stale = [f"{stem}orig_desc-weaktostrong_{kind}" for kind in ("seg.dcm", "sr.dcm")]
    stale += [f"{stem}T1_label-lesion_desc-weaktostrong_mask.{end}" for end in ("nii.gz", "json")]
    stem_of_mask = f"{stem}orig_label-lesion_desc-weaktostrong_mask"
    own = {f"{stem_of_mask}{rest}" for rest in ("_edited.nii.gz", "-reader2.nii.gz", ".mine.nii.gz", ".txt", ".json~")}
    own |= {f"{stem}orig_label-reader2_desc-weaktostrong_mask.nii.gz", "sub-BraTS202100042_desc-weaktostrong_notes.txt"}
    own |= {f"{stem}MNI152_label-lesion_desc-weaktostrong_mask.nii.gz", corrected.name}
    for name in (*own, *stale):
        (anat / name).write_bytes(b"x")
    only = answer(patient, ("WT",))
    write_segmentation(only.replace(scores={"WT": only.scores["WT"]}, brain=None), out)
    left = {path.name for path in anat.iterdir()} - others
    assert own <= left  # a person's own files
    left -= own
    assert left == {
        f"{stem}orig_label-{of}_desc-weaktostrong_{kind}.{end}"
        for of, kind in (("lesion", "mask"), ("WT", "probseg"))
        for end in ("nii.gz", "json")
    }
    assert others <= {path.name for path in anat.iterdir()}


def test_missing_and_damaged_answers(patient: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no such folder"):
        read_segmentation(out, "x")
    path = write_segmentation(answer(patient), out)
    with pytest.raises(InputError, match=r"no segmentation of 'x'.*BraTS2021_00042"):
        read_segmentation(out, "x")
    sidecar = mask_path(out, "BraTS2021_00042", "weak-to-strong").with_suffix("").with_suffix(".json")
    record = json.loads(sidecar.read_text())
    del record["Regions"]
    sidecar.write_text(json.dumps(record))
    with pytest.raises(InputError, match="record of scan 'BraTS2021_00042' is damaged"):
        read_segmentation(out, "BraTS2021_00042")
    sidecar.write_text("{")
    with pytest.raises(InputError, match="record cannot be read"):
        read_segmentation(out, "BraTS2021_00042")
    assert path.exists()


def test_scores_must_be_numbers(patient: Path, tmp_path: Path) -> None:
    result = answer(patient)
    bad = np.full(result.labels.shape, np.nan, np.float32)
    with pytest.raises(InputError, match="'WT' is not finite"):
        write_segmentation(result.replace(scores={"WT": ScoreMap(bad, "WT", "z", result.grid)}), tmp_path / "out")


def test_an_answer_pickled_before_its_threshold_moved_is_read() -> None:
    pickled = pickle.dumps(StoredThreshold({"name": "fixed", "tier": "T0"}), protocol=0)
    before = pickled.replace(b"annofree.formats.stored", b"annofree.formats.derivatives")
    assert isinstance(pickle.loads(before), StoredThreshold)
