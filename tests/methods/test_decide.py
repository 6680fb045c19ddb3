"""Scores to labels: what a threshold can and cannot decide."""

from __future__ import annotations

import numpy as np
import pytest

from annofree.errors import SettingsError
from annofree.methods.decide import Decision, Rules, Scored, decide
from annofree.pipeline import Choice
from annofree.refine import chosen_chain, parse_chain
from annofree.scan import Modality, Scan
from annofree.segmentation import ScoreMap, Unit
from annofree.thresholds import parse


def _decided(threshold: str, unit: Unit, top: float, shown: Modality = Modality.FLAIR) -> Decision:
    values = np.linspace(0.1, top, 1000, dtype=np.float32).reshape(10, 10, 10)
    scan = Scan("p", {shown: values}, np.eye(4), brain=np.ones(values.shape, bool))
    return decide(Scored({"WT": ScoreMap(values, "WT", unit, scan.grid)}, Rules({"WT": parse(threshold)})), scan)


@pytest.mark.parametrize("threshold", ["fixed:7", "fixed:-1", "fixed:1"])
def test_a_threshold_that_no_probability_can_pass_is_refused(threshold: str) -> None:
    with pytest.raises(SettingsError, match="outside 0 to 1, where probabilities lie"):
        _decided(threshold, "probability", 0.9)
    assert (_decided("fixed:0.5", "probability", 0.9).labels == 2).sum() == 500


def test_a_users_threshold_outside_all_scores_is_told() -> None:
    above, below, usual = (_decided(text, "z", 5.0) for text in ("fixed:7", "fixed:-1", "fixed:2"))
    assert not above.labels.any()
    assert "WT, 7, lies above every score (5 and less)" in above.notes[0]
    assert below.labels.all()
    assert "lies below every score" in below.notes[0]
    assert usual.notes == ()


def test_a_user_who_moves_a_threshold_is_told_where_the_border_does_not_follow_it() -> None:
    values = np.zeros((20, 20, 20), np.float32)
    values[5:15, 5:15, 5:15] = 0.8
    scan = Scan("p", {Modality.FLAIR: values * 100}, np.eye(4), brain=np.ones(values.shape, bool))
    scores = {"WT": ScoreMap(values, "WT", "probability", scan.grid)}

    def notes(threshold: str, *refiners: str) -> tuple[str, ...]:
        rules = Rules({"WT": parse(threshold)}, {"WT": chosen_chain(refiners, ())})
        return decide(Scored(scores, rules), scan).notes

    told = (
        "The threshold of WT decides what is found and hardly where its border lies, which appearance draws anew; "
        "--refine none shows what the threshold alone cuts"
    )
    assert told in notes("fixed:0.7", "fill-holes", "appearance")
    assert told in notes("otsu", "appearance")
    assert not [note for note in notes("fixed:0.7", "fill-holes", "components") if "border" in note]
    assert told not in notes("fixed:0.9", "appearance")  # nothing is found
    assert told not in notes("fixed:0.5,tier=T0,source=even odds", "appearance")  # a method's own


def test_refiners_can_be_left_out() -> None:
    assert Choice("intensity", refine=("none",)).build().refiners["WT"] == ()
    assert chosen_chain(("own", "median:3"), parse_chain("fill-holes")) == parse_chain("fill-holes + median:3")
    with pytest.raises(SettingsError, match=r"no refiner 'nonne'; did you mean 'none'\? Use one of: own, none, compo"):
        Choice("intensity", refine=("nonne",)).build()


def test_filled_holes_keep_the_labels_inside_of_them() -> None:
    """Necrosis in an enhancing rim in oedema, with one hole in the oedema: that alone is filled."""
    away = np.sqrt(((np.indices((40, 40, 40)) - 20) ** 2).sum(axis=0))
    wanted = np.select([away < 8, away < 12, away < 17], [1, 3, 2], 0).astype(np.uint8)
    drawn = wanted.copy()
    drawn[20, 20, 34] = 0
    images = {Modality.FLAIR: drawn.astype(np.float32), Modality.T1C: drawn.astype(np.float32)}
    scan = Scan("p", images, np.eye(4), brain=np.ones(drawn.shape, bool))
    regions = {"WT": drawn > 0, "TC": np.isin(drawn, (1, 3)), "ET": drawn == 3}
    scores = {name: ScoreMap(mask.astype(np.float32), name, "probability", scan.grid) for name, mask in regions.items()}
    rules = Rules(dict.fromkeys(regions, parse("fixed:0.5")), dict.fromkeys(("WT", "TC"), parse_chain("fill-holes")))
    assert np.array_equal(decide(Scored(scores, rules), scan).labels, wanted)


@pytest.mark.parametrize("shown", list(Modality))
def test_what_neither_flair_nor_t2_shows_may_be_missed(shown: Modality) -> None:
    told = "oedema shows on FLAIR and T2, and both are missing"
    for threshold, may in (("fixed:2", "The whole tumour may be much larger"), ("fixed:7", "may have been overlooked")):
        notes = " ".join(_decided(threshold, "z", 5.0, shown).notes)
        assert (told in notes) == (may in notes) == (shown in (Modality.T1, Modality.T1C))


@pytest.mark.parametrize(
    ("shown", "lacks"), [([Modality.FLAIR], "T1 and T1C"), ([Modality.T1, Modality.FLAIR], "T1C"), (list(Modality), "")]
)
def test_enhancing_tumour_that_no_t1c_shows_is_no_measurement(shown: list[Modality], lacks: str) -> None:
    box = np.zeros((20, 20, 20), np.float32)
    scan = Scan("p", dict.fromkeys(shown, box + 100), np.diag([2, 2, 2, 1]), brain=np.ones(box.shape, bool))
    nested = {"WT": slice(2, 18), "TC": slice(5, 15), "ET": slice(7, 13)}
    scores = {}
    for region, inside in nested.items():
        values = box.copy()
        values[inside, inside, inside] = 0.9
        scores[region] = ScoreMap(values, region, "probability", scan.grid)
    decision = decide(Scored(scores, Rules(dict.fromkeys(nested, parse("fixed:0.5")))), scan)
    voxels = [int((decision.labels == label).sum()) for label in (1, 2, 3)]
    assert sum(voxels) == 16**3
    if not lacks:
        assert (decision.regions, decision.guessed_ml, decision.notes) == (("WT", "TC", "ET"), {}, ())
        assert voxels[0::2] == [10**3 - 6**3, 6**3]
        return
    assert (decision.regions, list(decision.thresholds)) == (("WT", "TC"), ["WT", "TC"])
    assert voxels[0::2] == [10**3, 0], "what was guessed to enhance stays in the core"
    assert decision.guessed_ml == {"ET": pytest.approx(6**3 * 0.008)}
    assert decision.notes == (
        f"Enhancing tumour is n/a and the core of low confidence: {lacks} missing "
        "(2 ml guessed to enhance count as core)",
    )
