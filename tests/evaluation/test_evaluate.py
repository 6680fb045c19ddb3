"""Scores of a cohort would drop a patient, count a region that nobody drew, or replace somebody's file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from annofree.cli.main import main
from annofree.errors import InputError, OutputError
from annofree.evaluation.evaluate import evaluate
from annofree.formats import write_segmentation
from annofree.formats.label_sets import UnclearLabels
from annofree.scan import Grid
from annofree.segmentation import ScoreMap, Segmentation

SHAPE = (40, 40, 30)
LPS = np.array([[-1.0, 0, 0, 39], [0, -1, 0, 39], [0, 0, 1, 0], [0, 0, 0, 1]])


def blocks(*labels: int) -> np.ndarray:
    """A label map with a block of 6x6x6 voxels per label, in a row."""
    made = np.zeros(SHAPE, np.uint8)
    for place, label in enumerate(labels):
        made[4 + 6 * place : 10 + 6 * place, 10:16, 10:16] = label
    return made


def answer(scan_id: str, labels: np.ndarray, affine: np.ndarray | None = None, **more: Any) -> Segmentation:
    affine = np.eye(4) if affine is None else affine
    brain = np.zeros(SHAPE, bool)
    brain[2:38, 2:38, 2:28] = True
    told = {"regions": ("WT", "TC", "ET"), "brain": brain, "provenance": {"method": "made", "tier": "T0"}, **more}
    return Segmentation(scan_id=scan_id, labels=labels, affine=affine, native=Grid(SHAPE, affine), **told)


def cohort(folder: Path, answers: Mapping[str, np.ndarray], truths: Mapping[str, np.ndarray]) -> tuple[Path, Path]:
    for scan_id, labels in answers.items():
        write_segmentation(answer(scan_id, labels), folder / "out")
    (folder / "truth").mkdir(parents=True)
    for scan_id, labels in truths.items():
        nib.save(nib.Nifti1Image(labels, np.eye(4)), folder / "truth" / f"{scan_id}_seg.nii.gz")
    return folder / "out", folder / "truth"


@pytest.mark.parametrize("poor", [(), (2,), (1,)], ids=["no tumour", "oedema only", "core only"])
def test_a_false_enhancing_tumour_counts_where_the_truth_has_none(tmp_path: Path, poor: tuple[int, ...]) -> None:
    full = blocks(1, 2, 3)
    out, truth = cohort(tmp_path, {"a": full, "b": blocks(*poor, 3)}, {"a": full, "b": blocks(*poor)})
    scores = evaluate(out, truth)
    row = scores.summary.row("dice", "ET")
    assert (row.n, row.mean) == (2, 0.5)
    assert scores.summary.row("dice", "TC").n == 2
    assert scores.cases[1].value("lesionwise_dice", "ET") == 0.0


@pytest.mark.parametrize(
    ("name", "labels", "region"),
    [
        ("p_core_seg.nii.gz", "core", "TC"),
        ("p_ET_mask.nii.gz", "enhancing", "ET"),
        ("enhancing/p_seg.nii.gz", "enhancing", "ET"),
        ("p_edema_seg.nii.gz", "binary", "WT"),
    ],
)
def test_a_map_of_a_part_is_no_map_of_the_whole(tmp_path: Path, name: str, labels: str, region: str) -> None:
    parts = {"WT": blocks(2), "TC": blocks(1, 2), "ET": blocks(3, 1, 2)}
    write_segmentation(answer("p", parts[region]), tmp_path / "out")
    path = tmp_path / "truth" / name
    path.parent.mkdir(parents=True)
    nib.save(nib.Nifti1Image(blocks(1), np.eye(4)), path)
    with pytest.raises(UnclearLabels, match=r"is a part of the tumour.*--labels core, enhancing or binary"):
        evaluate(tmp_path / "out", tmp_path / "truth")
    scores = evaluate(tmp_path / "out", tmp_path / "truth", labels=labels)
    assert [case.regions for case in scores.cases] == [(region,)]
    assert scores.cases[0].value("dice", region) == 1.0
    assert ("whole-tumour" in repr(scores)) is (region == "WT")
    assert (scores.cases[0].strata["volume"] == "unstated") is (region != "WT")
    assert scores.summary_table()[1]


def test_a_region_that_no_image_shows_is_left_out_and_the_tables_say_so(tmp_path: Path) -> None:
    out, truth = cohort(tmp_path, {"p": blocks(1, 2, 3)}, {"p": blocks(1, 2, 3)})
    told = {"method": "made", "tier": "T0", "guessed_ml": {"ET": 0.2}}
    write_segmentation(answer("p", blocks(1, 2, 1), regions=("WT", "TC"), provenance=told), out)
    found = evaluate(out, truth)
    assert [case.regions for case in found.cases] == [("WT", "TC")]
    assert found.cases[0].value("dice", "TC") == 1.0
    assert "ET is not scored: the answer leaves it open, for want of T1C" in [note for _, note in found.notes]


def test_the_cavity_is_not_scored_as_enhancing(tmp_path: Path) -> None:
    out, truth = cohort(
        tmp_path, {"a": blocks(1, 2, 3), "b": blocks(1, 2)}, {"a": blocks(1, 2, 3), "b": blocks(1, 2, 4)}
    )
    with pytest.raises(UnclearLabels, match="--labels"):
        evaluate(out, truth)
    scores = evaluate(out, truth, labels="post-treatment")
    assert [case.value("dice", "ET") for case in scores.cases] == [1.0, 1.0]
    assert scores.cases[1].value("truth_ml", "WT") == pytest.approx(2 * 0.216)


def test_old_labels_are_understood_across_the_set(tmp_path: Path) -> None:
    out, truth = cohort(tmp_path, {"a": blocks(1, 2, 3), "b": blocks(3)}, {"a": blocks(1, 2, 4), "b": blocks(4)})
    scores = evaluate(out, truth)
    assert scores.summary.row("dice", "ET").mean == 1.0
    assert scores.read_as == "labels 0/1/2/4 (BraTS 2017 to 2021), 4 read as enhancing"


def test_two_labels_alone_are_said_to_be_read_as_core_and_oedema(tmp_path: Path) -> None:
    maps = {"a": blocks(1, 2), "b": blocks(2, 1)}
    out, truth = cohort(tmp_path, maps, maps)
    said = [note for note in evaluate(out, truth).screen_notes() if "1 and 2 alone" in note]
    assert len(said) == 1
    assert "(a, b)" in said[0]
    assert "--labels" in said[0]
    other = evaluate(out, truth, labels="hd-glio")
    assert other.cases[0].value("dice", "ET") == 0
    assert not any("1 and 2 alone" in note for note in other.screen_notes())


def test_labels_of_2021_that_somebody_renumbered_are_told(tmp_path: Path) -> None:
    maps = {"BraTS2021_00001": blocks(1, 2, 3)}
    out, truth = cohort(tmp_path, maps, maps)
    (said,) = evaluate(out, truth).screen_notes()
    assert "and hold 3" in said
    assert "--labels msd" in said
    assert evaluate(out, truth, labels="brats2023").screen_notes() == []


def test_a_truth_that_fits_mirrored_is_told(tmp_path: Path) -> None:
    full, other = blocks(2, 1), blocks(0, 0, 2)
    out, truth = cohort(
        tmp_path, {"a": full, "b": full, "c": full}, {"a": full[::-1], "b": other, "c": full[:, :, ::-1]}
    )
    said = dict(note for note in evaluate(out, truth).notes if "exchanged" in note[1])
    assert set(said) == {"a", "c"}
    assert "With left and right exchanged the truth would fit (Dice 1.00)" in said["a"]
    assert "bottom and top" in said["c"]


def test_a_map_of_fractions_is_refused_by_what_it_is(tmp_path: Path) -> None:
    soft = np.where(blocks(2) > 0, 0.93, 0.02).astype(np.float32)
    out, truth = cohort(tmp_path, {"a": blocks(2)}, {"a": soft})
    with pytest.raises(
        InputError, match=r"holds fractions .*for instance 0\.02; linear interpolation.*nearest neighbour"
    ):
        evaluate(out, truth)


def test_a_brain_mask_is_refused_by_what_it_holds(tmp_path: Path) -> None:
    brain = np.zeros(SHAPE, np.uint8)
    brain[2:38, 2:38, 2:28] = 1
    out, truth = cohort(tmp_path, {"a": blocks(2)}, {"a": brain})
    with pytest.raises(InputError, match=r"no tumour map.*marks 100 % of the brain"):
        evaluate(out, truth)


def test_one_truth_is_not_taken_for_many_scans(tmp_path: Path) -> None:
    out, truth = cohort(tmp_path, {"a": blocks(2), "b": blocks(2)}, {"a": blocks(2)})
    with pytest.raises(InputError, match="One truth was given for 2 scans"):
        evaluate(out, truth / "a_seg.nii.gz")


def test_score_maps_that_scoring_does_not_use_may_be_gone(tmp_path: Path) -> None:
    maps = {
        name: ScoreMap(np.random.default_rng(0).random(SHAPE), name, "z", Grid(SHAPE, np.eye(4)))
        for name in ("WT", "residual-FLAIR")
    }
    write_segmentation(answer("a", blocks(2), scores=maps), tmp_path / "out")
    nib.save(nib.Nifti1Image(blocks(2), np.eye(4)), tmp_path / "a_seg.nii.gz")
    anat = tmp_path / "out" / "sub-a" / "anat"
    for file in anat.glob("*residual*"):
        file.unlink()
    scores = evaluate(tmp_path / "out", tmp_path / "a_seg.nii.gz")
    assert (scores.notes, scores.cases[0].value("dice")) == ((), 1.0)
    assert 0 < scores.cases[0].value("auroc") < 1
    (anat / "sub-a_space-orig_label-WT_desc-made_probseg.nii.gz").write_bytes(b"damaged")
    (tmp_path / "out" / "sub-a" / "lesions.tsv").write_text("nothing\nof use\n")
    scores = evaluate(tmp_path / "out", tmp_path / "a_seg.nii.gz")
    assert scores.cases[0].value("dice") == 1.0
    assert any("Ranking rows are left out" in note for _, note in scores.notes)


def test_nothing_that_stands_at_out_is_replaced(tmp_path: Path) -> None:
    out, truth = cohort(tmp_path, {"a": blocks(2)}, {"a": blocks(2)})
    mine = tmp_path / "mine.tsv"
    for standing in (mine, tmp_path / "mine_summary.tsv", tmp_path / "mine_sanity.tsv", tmp_path / "mine_notes.tsv"):
        standing.write_text("years of work")
        with pytest.raises(OutputError, match="stands there already"):
            evaluate(out, truth, out=mine)
        assert standing.read_text() == "years of work"
        assert mine.exists() == (standing == mine)
        standing.unlink()
    evaluate(out, truth, out=mine)
    first = mine.read_bytes()
    with pytest.raises(OutputError, match="stands there already"):
        evaluate(out, truth, out=mine)
    evaluate(out, truth, out=mine, overwrite=True)
    assert mine.read_bytes() == first
    evaluate(out, truth)
    evaluate(out, truth)  # its own table in the results folder is made anew
    (out / "evaluation.tsv").write_text("a table of my own\n")
    with pytest.raises(OutputError, match="stands there already"):
        evaluate(out, truth)


def test_volumes_of_a_sheared_grid_go_by_the_determinant(tmp_path: Path) -> None:
    sheared = np.eye(4)
    sheared[0, 1] = 0.5
    made = answer("a", blocks(2), sheared)
    write_segmentation(made, tmp_path / "out")
    nib.save(nib.Nifti1Image(blocks(2), sheared), tmp_path / "a_seg.nii.gz")
    case = evaluate(tmp_path / "out", tmp_path / "a_seg.nii.gz").cases[0]
    assert case.value("truth_ml") == pytest.approx(0.216)
    assert case.value("predicted_ml") == pytest.approx(made.volumes_ml["WT"])


def test_sanity_rows_stand_in_every_evaluation(tmp_path: Path) -> None:
    far = np.zeros(SHAPE, np.uint8)
    far[30:36, 30:36, 20:26] = 2
    out, truth = cohort(
        tmp_path, {"a": blocks(2), "b": blocks(2), "c": far}, {"a": blocks(2), "b": blocks(2), "c": far}
    )
    scores = evaluate(out, truth)
    found = {(row.prediction, row.region, row.metric): (row.n, row.mean) for row in scores.sanity}
    voxels, brain = 6**3, 36 * 36 * 26
    assert found["all background", "WT", "dice"] == (3, 0.0)
    assert found["all foreground", "WT", "dice"] == (3, pytest.approx(2 * voxels / (voxels + brain)))
    # b meets a's truth, c meets b's, a meets c's.
    assert found["shuffled truth", "WT", "dice"] == (3, pytest.approx(1 / 3))
    # Truth without core: calling nothing is right there, calling everything is not.
    assert found["all background", "TC", "dice"] == (3, 1.0)
    assert found["all foreground", "TC", "dice"] == (3, 0.0)
    assert (out / "evaluation_sanity.tsv").read_text().splitlines()[0] == "prediction\tregion\tmetric\tn\tmean"


def test_a_scan_that_failed_is_named(tmp_path: Path) -> None:
    out, truth = cohort(tmp_path, {"a": blocks(2)}, {"a": blocks(2), "b": blocks(2)})
    (out / "failures.tsv").write_text("id\twhat\nb\tno brain\n")
    scores = evaluate(out, truth)
    assert any("'b' has truth but no segmentation" in sentence for sentence in scores.skipped)
    assert "b\tno\t" in (out / "evaluation_notes.tsv").read_text()


@pytest.mark.parametrize("failed", [["b"], ["b", "c"]])
def test_one_file_is_no_truth_of_the_scans_that_failed(tmp_path: Path, failed: list[str]) -> None:
    """One was said to have truth; two ended the command by "One truth was given for 2 scans"."""
    out, truth = cohort(tmp_path, {"a": blocks(2)}, {"a": blocks(2)})
    (out / "failures.tsv").write_text("".join(f"{row}\tno brain\n" for row in ["id", *failed]))
    (file,) = truth.rglob("a*.nii.gz")
    scores = evaluate(out, file)
    assert [case.value("dice", "WT") for case in scores.cases] == [1.0]
    assert scores.skipped == ()


@pytest.mark.parametrize("rule", ["brats2023", "brats2025", "panoptic"])
def test_every_rule_keeps_every_case(tmp_path: Path, rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = np.zeros(SHAPE, np.uint8)
    missed = blocks(2)
    missed[30:36, 30:36, 20:26] = 2
    answers = {"empty": nothing, "false": blocks(2), "hit": blocks(2), "silent": nothing}
    truths = {"empty": nothing, "false": nothing, "hit": missed, "silent": missed}
    out, truth = cohort(tmp_path, answers, truths)
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(out), "--truth", str(truth), "--rule", rule])
    assert not ended.value.code
    scores = evaluate(out, truth, rule=rule)
    lesionwise = {
        "brats2023": [1.0, 0.0, 0.5, 0.0],
        "brats2025": [1.0, 0.0, 1.0, 0.0],
        "panoptic": [1.0, 0.0, 2 / 3, 0.0],
    }[rule]
    metric = {"brats2023": "lesionwise_dice", "brats2025": "brats2025_lesionwise_dice", "panoptic": "panoptic_pq"}[rule]
    assert [case.value(metric) for case in scores.cases] == pytest.approx(lesionwise)
    assert np.isfinite(scores.summary.row(metric).mean)
    said = " ".join(sentence for _, sentence in scores.notes)
    assert ("here the case counts 1" in said or "here it counts 1" in said) == (rule != "brats2023")
    assert ("here it counts 373 mm" in said) == (rule == "brats2025")
    assert rule == "brats2023" or "here" in capsys.readouterr().err


def test_an_unknown_rule_or_label_set_names_the_known(tmp_path: Path) -> None:
    out, truth = cohort(tmp_path, {"a": blocks(2)}, {"a": blocks(2)})
    with pytest.raises(InputError, match="brats2025"):
        evaluate(out, truth, rule="brats")
    with pytest.raises(InputError, match=r"^There is no label set 'brats'; did you mean 'brats20.*post-treatment"):
        evaluate(out, truth, labels="brats")


def test_a_truth_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    out, _ = cohort(tmp_path, {"a": blocks(2), "b": blocks(2)}, {})
    with pytest.raises(InputError, match="no such file or folder") as told:
        evaluate(out, tmp_path / "no truth")
    assert str(told.value).count("no truth") == 1


def test_a_sentence_that_differs_in_the_scans_name_alone_is_said_once(tmp_path: Path) -> None:
    out, truth = cohort(tmp_path, {"one": blocks(2), "two": blocks(2)}, {"other": blocks(2)})
    with pytest.raises(InputError, match="Nothing could be scored") as caught:
        evaluate(out, truth)
    assert str(caught.value).count("No truth for scan") == 1
    assert "No truth for scan 'one'" in str(caught.value)
