"""An expected Dice and an interval of the volume without truth."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError
from annofree.methods.intensity import Intensity
from annofree.phantom import phantom_subject
from annofree.pipeline import Choice, segment_scan
from annofree.review.words import finding_sentence
from annofree.scan import Grid, Modality, Scan
from annofree.segmentation import ScoreMap, Segmentation
from annofree.trust.calibrations import weights_fingerprint
from annofree.trust.expectation import CHANGED, FILE, UNKNOWN, Expectation, Judged
from annofree.trust.marks import marks_of


def _cases(n: int, seed: int = 0) -> list[Judged]:
    """Dice rises with one mark, the volume's error falls with it; another mark is noise."""
    rng = np.random.default_rng(seed)
    cases = []
    for _ in range(n):
        sure, said = rng.uniform(0, 1), float(rng.uniform(5, 80))
        true = said * float(np.exp(rng.normal(0.1, 0.05 + 0.4 * (1 - sure))))
        marks = {"log volume": float(np.log(said)), "sure": float(sure), "noise": float(rng.normal())}
        cases.append(Judged(marks, float(np.clip(0.4 + 0.5 * sure + rng.normal(0, 0.03), 0, 1)), said, true))
    return cases


def test_a_dice_that_hangs_on_a_mark_is_foretold() -> None:
    known = Expectation.learn(_cases(200), "r", "w")
    told = [(known.expect(case.marks, {}).dice, case.dice) for case in _cases(100, seed=1)]
    expected, real = np.array(told).T
    assert np.corrcoef(expected, real)[0, 1] > 0.9
    assert np.abs(expected - real).mean() < 0.05


def test_nine_of_ten_volumes_lie_inside_and_doubtful_ones_get_more_room() -> None:
    held: list[bool] = []
    sure: list[float] = []
    doubtful: list[float] = []
    for seed in range(5):
        known = Expectation.learn(_cases(150, seed=10 + seed), "r", "w")
        for case in _cases(200, seed=50 + seed):
            assert case.marks is not None
            told = known.expect(case.marks, {})
            assert told.low_ml is not None
            assert told.high_ml is not None
            held.append(told.low_ml <= case.true_ml <= told.high_ml)
            (sure if case.marks["sure"] > 0.5 else doubtful).append(told.high_ml / told.low_ml)
    assert 0.86 < np.mean(held) < 0.94  # 0.9 stated, of 1000
    assert np.median(doubtful) > 1.2 * np.median(sure)


@pytest.mark.parametrize(("ratio", "word"), [(1.5, "larger"), (0.6, "smaller"), (1.0, "")])
def test_an_answer_outside_of_its_own_interval_is_told(ratio: float, word: str) -> None:
    rng = np.random.default_rng(0)
    cases = []
    for said in rng.uniform(5, 80, 80):
        marks = {"log volume": float(np.log(said)), "noise": float(rng.normal())}
        cases.append(Judged(marks, 0.8, float(said), float(said * ratio * np.exp(rng.normal(0, 0.1)))))
    told = Expectation.learn(cases, "r", "w").expect({"log volume": float(np.log(40.0)), "noise": 0.0}, {})
    assert told.outside.startswith("The volume of 40 ml lies outside of its own interval, ") == bool(word)
    assert told.outside.endswith(f"nearly all made tumours with such an answer were {word}") == bool(word)


def test_nothing_found_says_what_is_overlooked() -> None:
    missed = [Judged(None, 0.0, 0.0, float(ml)) for ml in range(1, 20)]
    told = Expectation.learn([*_cases(60), *missed], "r", "w").expect(None, {})
    assert (told.dice, told.low_ml, told.high_ml) == (None, 0.0, 18.0)  # the 18th of 19: ceil(0.9 x 20)
    few = Expectation.learn([*_cases(60), *missed[:8]], "r", "w").expect(None, {})
    assert few.high_ml is None


def test_a_mark_beyond_what_was_learned_is_named_and_changes_no_more() -> None:
    known = Expectation.learn(_cases(100), "r", "w")
    usual = {"log volume": 3.0, "sure": 0.5, "noise": 0.0}
    far, farther = (known.expect({**usual, "noise": value}, {}) for value in (50.0, 500.0))
    assert far.unusual == ("noise",)
    assert "noise" in far.sentence
    assert far.dice == farther.dice
    assert known.expect(usual, {}).unusual == ()


def test_without_a_sequence_that_all_had_nothing_is_stated() -> None:
    """The shipped numbers were learned on scans with FLAIR."""
    scan, method = phantom_subject(3, kind="diffuse", spacing_mm=6.0).scan, Choice("synthtumour").build()
    whole, alone, t1 = (
        segment_scan(scan.replace(images={name: scan.images[name] for name in names}), method, locate=False)
        for names in (tuple(scan.images), (Modality.FLAIR,), (Modality.T1,))
    )
    assert t1.lesions
    assert None not in (whole.expected_dice, alone.expected_dice)
    assert (t1.expected_dice, t1.volume_interval) == (None, None)
    said = "No expectation is stated: it was learned on scans with FLAIR."
    assert t1.provenance["expectation"]["sentence"] == t1.provenance["notes"][-1] == said
    assert t1.provenance["finding"]["word"] == "unsure"
    assert t1.provenance["finding"]["sentence"].endswith(
        "no false-alarm rate is stated: it was learned on scans with FLAIR."
    )


def test_nothing_found_without_a_sequence_that_all_had_rules_nothing_out() -> None:
    """Nothing seen on T1 alone says nothing about what is overlooked on FLAIR."""
    brain = phantom_subject(3, kind="healthy", spacing_mm=6.0).scan
    method, t1 = Choice("synthtumour").build(), brain.replace(images={Modality.T1: brain.images[Modality.T1]})
    without = segment_scan(t1, method, locate=False)
    assert not without.lesions
    assert method.expectation is not None
    known = method.replace(expectation=replace(method.expectation, overlooked_ml=50.0))
    whole = known.expect(without, brain)
    assert (whole.low_ml, whole.high_ml, whole.unseen) == (0.0, 50.0, "")
    assert (without.expected_dice, without.volume_interval) == (None, None)
    said = "No expectation is stated: it was learned on scans with FLAIR."
    assert without.provenance["expectation"]["sentence"] == without.provenance["notes"][-1] == said
    finding = without.provenance["finding"]
    assert (finding["word"], finding["rate"]) == ("none", None)


def test_a_sequence_that_none_had_is_told_as_such() -> None:
    cases = [replace(case, marks={**(case.marks or {}), "with T1": 0.0, "with FLAIR": 1.0}) for case in _cases(60)]
    known, usual = Expectation.learn(cases, "r", "w"), {"log volume": 3.0, "sure": 0.5, "noise": 0.0}
    same, added, missing = ({"with T1": t1, "with FLAIR": flair} for t1, flair in ((0.0, 1.0), (1.0, 1.0), (0.0, 0.0)))
    for marks in (usual, None):
        assert known.expect(marks, same).unseen == ""
        assert known.expect(marks, added).unseen == "it was learned on scans without T1"
        assert known.expect(marks, missing).unseen == "it was learned on scans with FLAIR"


def test_too_few_made_tumours_teach_nothing() -> None:
    with pytest.raises(InputError, match="39 made tumours"):
        Expectation.learn(_cases(39), "r", "w")


def _answer(odds: np.ndarray, images: np.ndarray, spacing_mm: float = 1.0) -> tuple[Segmentation, Scan]:
    affine = np.diag([spacing_mm] * 3 + [1.0])
    scan = Scan("s", {"FLAIR": images.astype(np.float32)}, affine, brain=np.ones(odds.shape, bool))  # type: ignore[dict-item]
    grid = Grid(odds.shape, affine)  # type: ignore[arg-type]
    score = ScoreMap(odds.astype(np.float32), "WT", "probability", grid)
    labels = (odds > 0.5).astype(np.uint8) * 2
    return Segmentation("s", labels, affine, grid, scores={"WT": score}, brain=scan.brain), scan


def test_marks_of_a_ball_by_hand() -> None:
    place = np.stack(np.meshgrid(*[np.arange(48) - 23.5] * 3, indexing="ij"))
    distance = np.sqrt((place**2).sum(0))
    rng = np.random.default_rng(0)
    image = 100 + rng.normal(0, 1, distance.shape) + 10.0 * (distance < 12)
    sharp = marks_of(*_answer(np.where(distance < 12, 0.9, 0.1), image))
    soft = marks_of(*_answer(1 / (1 + np.exp((distance - 12) / 3)), image))
    assert sharp is not None
    assert soft is not None
    assert sharp["confidence"] == pytest.approx(0.9)
    assert np.exp(sharp["log volume"]) == pytest.approx((distance < 12).sum() / 1000)
    assert sharp["entropy in the shell"] == pytest.approx(0.469, abs=1e-3)  # of 0.1 and 0.9, bits
    assert soft["entropy in the shell"] > 0.7
    assert soft["width of the border"] > sharp["width of the border"] + 0.3
    assert sharp["moved by the rules"] == 1.0
    assert sharp["plain rule"] > 0.85  # what is bright is what was called
    assert sharp["sharpest edge"] == pytest.approx(10, rel=0.15)
    assert sharp["with FLAIR"] == 1.0
    assert sharp["with T1"] == 0.0


def test_marks_hang_little_on_the_size_of_voxels() -> None:
    found = []
    for spacing, n in ((1.0, 64), (2.0, 32)):
        place = np.stack(np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * spacing] * 3, indexing="ij"))
        distance = np.sqrt((place**2).sum(0))
        image = 100 + 10.0 / (1 + np.exp(distance - 14)) + np.cos(place[0] / 3)
        found.append(marks_of(*_answer(1 / (1 + np.exp((distance - 14) / 2)), image, spacing)))
    fine, coarse = found
    assert fine is not None
    assert coarse is not None
    for name, value in fine.items():
        assert coarse[name] == pytest.approx(value, abs=0.1, rel=0.1), name


def test_what_no_image_shows_is_a_mark_though_no_volume_of_it_is_stated() -> None:
    odds = np.zeros((24, 24, 24))
    odds[6:18, 6:18, 6:18] = 0.9
    result, scan = _answer(odds, odds * 100)
    labels = np.where(odds > 0.5, 1, 0).astype(np.uint8)
    told = result.replace(labels=labels, regions=("WT", "TC"), provenance={"guessed_ml": {"ET": 12**3 / 4000}})
    marks = marks_of(told, scan)
    assert marks is not None
    assert (marks["core"], marks["enhancing"]) == (1.0, pytest.approx(0.25))


def test_nothing_found_has_no_marks() -> None:
    zeros = np.zeros((16, 16, 16))
    assert marks_of(*_answer(zeros, zeros + 1)) is None


def test_results_and_python_carry_it(tmp_path: Path) -> None:
    from annofree.batch.record import make_row

    scan = phantom_subject(3, kind="diffuse", spacing_mm=4.0).scan
    method = Choice("synthtumour").build()
    plain = segment_scan(scan, method.replace(expectation=None), locate=False)
    assert plain.provenance["expectation"] == asdict(UNKNOWN)
    assert plain.volume_interval is None
    assert make_row(plain)["expected_dice"] == "n/a"
    marks = marks_of(plain, scan)
    assert marks is not None
    assert "agreement" in marks  # the default looks twice
    rng = np.random.default_rng(0)
    cases = [
        Judged({name: value + rng.normal(0, 0.1) for name, value in marks.items()}, 0.8, 10.0, 10.0 + rng.normal())
        for _ in range(50)
    ]
    known = Expectation.learn(cases, method.deciding, "w")
    result = segment_scan(scan, method.replace(expectation=known), locate=False)
    row = make_row(result)
    assert result.expected_dice == pytest.approx(0.8, abs=0.02)
    assert row["expected_dice"] == f"{result.expected_dice:.3f}"
    assert result.volume_interval is not None
    assert row["WT_low_ml"] == f"{result.volume_interval[0]:.3f}"
    assert float(row["WT_low_ml"]) < float(row["WT_ml"]) < float(row["WT_high_ml"])
    other = method.replace(
        expectation=known, thresholds={"WT": Choice("synthtumour", threshold=0.3).build().thresholds["WT"]}
    )
    changed = segment_scan(scan, other, locate=False)  # not calibrated with that threshold
    assert changed.expected_dice is None
    assert changed.provenance["expectation"] == asdict(CHANGED)
    assert make_row(changed)["notes"].endswith(CHANGED.sentence)
    assert CHANGED.sentence not in make_row(result)["notes"]
    assert finding_sentence(plain).endswith(UNKNOWN.sentence)  # the page never passes over it


def test_the_shipped_models_expectation_is_of_its_own_quality() -> None:
    scan = phantom_subject(3, kind="diffuse", spacing_mm=6.0).scan
    shipped = Choice("synthtumour").build()
    result = segment_scan(scan, shipped, locate=False)
    told = [
        Choice("synthtumour", options={"quality": quality}).build().expect(result, scan)
        for quality in ("default", "fast", "best")
    ]
    assert [one == CHANGED for one in told] == [False, True, True]


def test_an_expectation_holds_for_its_weights_only_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    Intensity().save(tmp_path)
    known = Expectation.learn(_cases(60), Intensity().deciding, weights_fingerprint(tmp_path))
    known.write(tmp_path)
    read = Intensity.load(tmp_path).expectation
    assert read is not None
    assert read.expect(_cases(1)[0].marks, {}).dice == pytest.approx(
        known.expect(_cases(1)[0].marks, {}).dice, abs=1e-4
    )
    (tmp_path / "network.safetensors").write_bytes(b"other weights")
    assert Intensity.load(tmp_path).expectation is None
    (tmp_path / FILE).write_text(json.dumps({**json.loads((tmp_path / FILE).read_text()), "dice": [1.0]}))
    with pytest.raises(InputError, match="cannot be read"):
        Intensity.load(tmp_path)


def test_a_scan_that_does_not_belong_gets_no_expectation_and_no_rate() -> None:
    """T1 named FLAIR as well: both were learned on scans that belong."""
    scan = phantom_subject(3, kind="glioblastoma", spacing_mm=2.0).scan
    segmenter = Choice().build()
    good = segment_scan(scan, segmenter, locate=False)
    assert good.expected_dice is not None
    assert good.provenance["finding"]["rate"] is not None
    twice = scan.replace(images={**scan.images, Modality.FLAIR: scan.images[Modality.T1]})
    wrong = segment_scan(twice, segmenter, locate=False)
    assert wrong.expected_dice is None
    assert wrong.volume_interval is None
    assert wrong.provenance["finding"]["rate"] is None
    for told in ("finding", "expectation"):
        assert "may not belong (same image" in wrong.provenance[told]["sentence"]
