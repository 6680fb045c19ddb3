"""A threshold learned from reports must find the value that masks would have chosen, without ever seeing one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annofree import thresholds
from annofree.errors import InputError, SettingsError
from annofree.reports import VolumeRange
from annofree.thresholds.learned import Learned, ReportedScores
from annofree.thresholds.report_losses import Counts, expected_dice, losses, soft_target
from annofree.thresholds.report_targets import ReportTarget

SHAPE = (20, 16, 12)
VOXEL_ML = 0.1


def case(seed: int, gain: float = 1.0, size: int = 150) -> tuple[ReportedScores, np.ndarray]:
    """A brain with N(0, 1) scores, and N(3, 1) in a tumour that lies in the reported half; and the hidden truth."""
    rng = np.random.default_rng(seed)
    brain = np.ones(SHAPE, dtype=bool)
    brain[0] = False
    inside = brain.copy()
    inside[10:] = False
    truth = np.zeros(SHAPE, dtype=bool)
    truth.flat[rng.choice(np.flatnonzero(inside), size, replace=False)] = True
    scores = gain * (rng.normal(size=SHAPE) + 3.0 * truth)
    volume = VolumeRange(0.5 * size * VOXEL_ML, size * VOXEL_ML, 2 * size * VOXEL_ML)
    target = ReportTarget(f"p{seed}", inside, brain & ~inside, volume, "lobe+size")
    return ReportedScores(f"p{seed}", scores.astype(np.float32), brain, VOXEL_ML, target), truth


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))


def best_constant(cases: list[tuple[ReportedScores, np.ndarray]]) -> float:
    values = np.linspace(-2, 8, 201)
    return max(np.mean([dice((c.scores > v) & c.brain, t) for c, t in cases]) for v in values)


@pytest.mark.parametrize("form", ["auto", "expected-dice"])
def test_it_comes_within_two_points_of_the_oracle_on_patients_it_has_not_seen(form: str) -> None:
    rule = Learned(form=form).learn(case(seed)[0] for seed in range(14))
    new = [case(seed) for seed in range(100, 110)]
    reached = np.mean([dice(rule.apply(c.scores, c.brain), truth) for c, truth in new])
    assert reached > best_constant(new) - 0.02
    assert rule.tier == "R"
    assert rule.saw["patients with reports"] == 14


def test_it_follows_scores_of_differing_scale_where_no_constant_can() -> None:
    gains = np.geomspace(0.5, 2.0, 16)
    learn = [case(seed, gain=float(gain))[0] for seed, gain in enumerate(gains)]
    rule = Learned().learn(learn)
    new = [case(200 + seed, gain=float(gain)) for seed, gain in enumerate(gains)]
    reached = np.mean([dice(rule.apply(c.scores, c.brain), truth) for c, truth in new])
    assert rule.quantiles
    assert reached > best_constant(new) + 0.03


def test_published_lobes_as_masks_pull_the_threshold_down() -> None:
    cases = [case(seed) for seed in range(8)]
    lobes = [
        ReportedScores(
            c.id,
            c.scores,
            c.brain,
            c.voxel_ml,
            ReportTarget(c.id, c.target.inside, c.target.outside, None, "published"),
        )
        for c, _ in cases
        if c.target is not None
    ]
    ours, theirs = Learned().learn(c for c, _ in cases), Learned().learn(lobes)
    assert theirs.weights[0] < ours.weights[0] - 1
    assert dice(theirs.apply(cases[0][0].scores, cases[0][0].brain), cases[0][1]) < 0.3


def test_healthy_people_raise_it() -> None:
    ill = [case(seed, size=40)[0] for seed in range(6)]
    noisy = [1.5 * case(seed + 50, size=1)[0].scores for seed in range(6)]
    well = [ReportedScores(f"h{i}", scores, ill[0].brain, VOXEL_ML, None) for i, scores in enumerate(noisy)]
    assert Learned().learn([*ill, *well]).weights[0] > Learned().learn(ill).weights[0] + 0.05


def unsized(c: ReportedScores) -> ReportedScores:
    assert c.target is not None
    return replace(c, target=replace(c.target, volume=None, use="lobe"))


def test_reports_without_a_size_move_the_healthy_quantile_only_as_far_as_they_can_tell() -> None:
    well = [ReportedScores(f"h{i}", case(60 + i, size=1)[0].scores, case(0)[0].brain, VOXEL_ML, None) for i in range(3)]
    healthy = float(np.quantile(np.concatenate([c.scores[c.brain] for c in well]), 0.99))
    sized = [case(seed, size=400)[0] for seed in range(30)]
    ill = [unsized(c) for c in sized]
    alone, few, many = Learned().learn(ill[:2]), Learned().learn([*ill[:2], *well]), Learned().learn([*ill, *well])
    assert alone.weights[0] < healthy - 0.2  # this tumour is best cut lower
    assert alone.weights[0] + 0.05 < many.weights[0] < few.weights[0] < healthy + 0.05
    assert "99 % quantile" in few.source
    for rule in (alone, Learned().learn([*sized[:3], *well])):
        assert "99 %" not in rule.source


def test_nobody_is_segmented_with_what_he_taught() -> None:
    cases = [case(seed)[0] for seed in range(5)]
    folds = Learned().cross_fit(cases)
    assert set(folds) == {c.id for c in cases}
    for name, rule in folds.items():
        assert name not in rule.saw["ids"]
        alone = Learned().learn(c for c in cases if c.id != name)
        assert rule.weights == pytest.approx(alone.weights, abs=0.15)  # candidate values differ a little


def test_it_is_saved_as_json_and_read_by_its_short_form(tmp_path: Path) -> None:
    scores = case(1)[0]
    rule = Learned().learn(case(seed)[0] for seed in range(4))
    file = rule.save(tmp_path / "rule.json")
    for again in (
        Learned.load(file),
        thresholds.parse(f"learned:{file}"),
        thresholds.from_dict(json.loads(json.dumps(rule.to_dict()))),
    ):
        assert again == rule
        assert again.value_for(scores.scores, scores.brain) == rule.value_for(scores.scores, scores.brain)
    (tmp_path / "other.json").write_text('{"kind": "otsu"}')
    with pytest.raises(InputError, match="not a learned threshold"):
        thresholds.parse(f"learned:{tmp_path / 'other.json'}")
    with pytest.raises(SettingsError, match="not been learned"):
        Learned().value_for(scores.scores, scores.brain)


def test_reports_that_name_no_tumour_teach_nothing() -> None:
    healthy = ReportedScores("h", case(0)[0].scores, case(0)[0].brain, VOXEL_ML, None)
    with pytest.raises(InputError, match="none of them names a tumour"):
        Learned().learn([healthy])


# what the losses promise


def test_the_dice_expected_from_a_report_is_near_the_true_one() -> None:
    values = np.linspace(1, 5, 25)
    for seed in range(4):
        c, truth = case(seed)
        assert c.target is not None
        counts = Counts.of(c.scores, c.target.inside, c.target.outside, values)
        expected = expected_dice(counts, c.target.volume, VOXEL_ML)
        true = [dice((c.scores > v) & c.brain, truth) for v in values]
        assert np.abs(expected - true).max() < 0.12


def test_the_excess_never_claims_much_more_than_the_tumour() -> None:
    for seed in range(6):
        c, truth = case(seed)
        assert c.target is not None
        counts = Counts.of(c.scores, c.target.inside, c.target.outside, np.linspace(-3, 6, 200))
        assert 0.6 * truth.sum() < counts.tumour_voxels() < 1.6 * truth.sum()


def test_a_soft_target_has_the_reported_volume_and_stays_inside() -> None:
    c, truth = case(3)
    assert c.target is not None
    soft = soft_target(c.scores, c.brain, c.target, VOXEL_ML)
    assert not soft[~c.target.inside].any()
    assert c.target.volume is not None
    assert c.target.volume.low_ml * 0.99 <= soft.sum() * VOXEL_ML <= c.target.volume.high_ml * 1.01
    assert soft[truth].mean() > 4 * soft[c.target.inside & ~truth].mean()


def test_what_is_called_outside_the_region_costs_and_so_does_a_volume_out_of_range() -> None:
    c, _ = case(5)
    assert c.target is not None
    values = np.array([2.0])
    plain = losses(c.scores, c.brain, c.target, values, VOXEL_ML, "soft-target")[0]
    noisy = c.scores.copy()
    noisy[c.target.outside] += 1.5
    assert losses(noisy, c.brain, c.target, values, VOXEL_ML, "soft-target")[0] > plain + 0.05
    tiny = ReportTarget(c.id, c.target.inside, c.target.outside, VolumeRange(0.1, 0.2, 0.5), "lobe+size")
    assert losses(c.scores, c.brain, tiny, values, VOXEL_ML, "soft-target")[0] > plain + 0.2
