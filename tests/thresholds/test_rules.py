"""Every rule against a slow reference, and the promises that a user relies on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annofree import thresholds
from annofree.errors import InputError, LeakError, SettingsError
from annofree.scan import Grid, Truth, scoring
from annofree.thresholds import Conformal, Fixed, HealthyQuantile, HealthyScores, Mad, Oracle, Otsu

SHAPE = (12, 11, 10)
seeds = st.integers(0, 2**32 - 1)
#: Powers of two and small integers: the map is exact in float32, so that equivariance can be tested exactly.
gains = st.sampled_from([0.25, 0.5, 2.0, 4.0])
shifts = st.integers(-8, 8)


def made(seed: int, shape: tuple[int, int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Scores on a lattice of 1/1024 (exact under the maps above) and a brain that leaves out the worst of them."""
    generator = np.random.default_rng(seed)
    scores = (np.round(generator.standard_t(4, shape).clip(-50, 50) * 1024) / 1024).astype(np.float32)
    brain = generator.random(shape) < 0.7
    scores[~brain] = generator.choice([-1e6, 1e6], int((~brain).sum()))
    return scores, brain


def healthy(seed: int, count: int = 5, gain: float = 1.0, shift: float = 0.0) -> list[HealthyScores]:
    out = []
    for i in range(count):
        shape = (SHAPE[0] + i, SHAPE[1], SHAPE[2])
        scores, brain = made(seed + i, shape)
        out.append(HealthyScores(f"h{i}", (scores * gain + shift).astype(np.float32), brain, 0.001))
    return out


def quantile(q: float, **options: float) -> HealthyQuantile:
    return HealthyQuantile(q, **options)  # type: ignore[arg-type]


# ---- what every rule promises


@pytest.mark.parametrize(
    "text", ["fixed:0.3", "otsu", "otsu:3", "otsu:4", "mad:2.5", "healthy-quantile:0.95", "conformal:0.05ml@0.2"]
)
def test_value_depends_on_the_brain_only_and_the_mask_stays_inside(text: str) -> None:
    rule = thresholds.parse(text)
    if isinstance(rule, thresholds.Fittable):
        rule = rule.fit(healthy(1))
    scores, brain = made(7)
    value = rule.value_for(scores, brain)
    elsewhere = np.where(brain, scores, np.float32(1e30))
    mask = rule.apply(elsewhere, brain)
    assert np.isfinite(value)
    assert rule.value_for(elsewhere, brain) == value
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, (scores > value) & brain)


@pytest.mark.parametrize("text", ["otsu", "mad:3"])
def test_scores_without_an_honest_value_are_refused(text: str) -> None:
    rule = thresholds.parse(text)
    scores, brain = made(3)
    with pytest.raises(InputError, match="Use a fixed value"):
        rule.value_for(np.zeros(SHAPE, np.float32), brain)
    with pytest.raises(InputError, match="empty"):
        rule.value_for(scores, np.zeros(SHAPE, bool))
    with pytest.raises(InputError, match="shape"):
        rule.value_for(scores, brain[:-1])
    bad = scores.copy()
    bad[tuple(np.argwhere(brain)[0])] = np.nan
    with pytest.raises(InputError, match="1 voxels"):
        rule.value_for(bad, brain)


def test_resolve_records_the_value_of_a_rule_that_looks_at_each_image() -> None:
    scores, brain = made(5)
    rule = Mad(2.0)
    known = rule.resolve(scores, brain)
    assert rule.value is None
    assert known.value == rule.value_for(scores, brain)
    assert known.saw == {"voxels": int(brain.sum())}
    assert "per image" in str(rule)
    assert f"{known.value:.4g}" in str(known)


@pytest.mark.parametrize(
    "text", ["fixed:0.5,tier=T0", "otsu:3", "mad:3", "healthy-quantile:0.9,floor=0.25", "conformal:0.05ml@0.2"]
)
def test_a_threshold_survives_json(text: str) -> None:
    rule = thresholds.parse(text)
    assert thresholds.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule
    if isinstance(rule, thresholds.Fittable):
        fitted = rule.fit(healthy(2))
        again = thresholds.from_dict(json.loads(json.dumps(fitted.to_dict())))
        assert again == fitted
        assert str(again) == str(fitted)


# ---- text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fixd:2", "did you mean 'fixed'"),
        ("quantile:0.9", "healthy-quantile"),
        ("", "fixed:2.0, healthy-quantile:0.99"),
        ("fixed", "'value' is missing"),
        ("fixed:two", "valid number, unable to parse string as a number (given 'two'"),
        ("fixed:inf", "finite"),
        ("fixed:1,tier=T9", "'T0', 'R', 'T1'"),
        ("mad:3,kk=1", "did you mean 'k'"),
        ("otsu:5", "2, 3 or 4"),
        ("conformal:2@0.2", "conformal:2ml@0.2"),
        ("conformal:2ml@1.5", "less than 1"),
        ("conformal:0ml@0.2", "greater than 0"),
        ("healthy-quantile:1", "less than 1"),
        ("oracle:XX", "'WT', 'TC' or 'ET'"),
        ("0.7", "Write 'fixed:0.7'"),
        ("mad:-3", "greater than or equal to 0"),
        ("conformal:2ml@inf", "no volume and level"),
    ],
)
def test_a_wrong_spec_is_answered_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace("(", r"\(")):
        thresholds.parse(text)


def test_every_listed_form_can_be_parsed() -> None:
    for kind, row in thresholds.THRESHOLDS.items():
        assert thresholds.parse(row.form).kind == kind


def test_a_fixed_number_is_of_the_tier_of_who_chose_it() -> None:
    assert Fixed(1.5).tier == "T2"
    assert thresholds.parse("fixed:1.5").tier == "T2"
    assert Fixed(0.5, tier="T0").tier == "T0"
    with pytest.raises(SettingsError, match="valid number"):
        thresholds.from_dict({"kind": "fixed", "value": None})


@pytest.mark.parametrize("text", ["healthy-quantile:0.99", "conformal:2ml@0.2", "oracle"])
def test_a_rule_that_must_be_fitted_says_so_when_applied(text: str) -> None:
    with pytest.raises(SettingsError, match=r"[Ff]it"):
        thresholds.parse(text).apply(*made(1))


# ---- healthy quantile


@given(seed=seeds, q=st.floats(0.05, 0.95))
@settings(max_examples=20)
def test_every_healthy_scan_has_equal_weight_in_the_quantile(seed: int, q: float) -> None:
    scans = healthy(seed, 3)
    # A much larger scan must not drown the others.
    scans[2] = HealthyScores("large", np.tile(scans[2].scores, (1, 1, 4)), np.tile(scans[2].brain, (1, 1, 4)), 0.001)
    value = quantile(q).fit(scans).value
    share = np.mean([np.mean(s.scores[s.brain] <= value) for s in scans])
    just_below = np.mean([np.mean(s.scores[s.brain] < value) for s in scans])
    assert just_below < q + 1e-9
    assert share >= q - 1e-9


@given(seed=seeds, low=st.floats(0.05, 0.95), high=st.floats(0.05, 0.95), gain=gains, shift=shifts)
@settings(max_examples=20)
def test_quantile_grows_with_its_level_and_follows_the_scores(
    seed: int, low: float, high: float, gain: float, shift: int
) -> None:
    low, high = sorted((low, high))
    scans = healthy(seed, 3)
    value = quantile(low).fit(scans).value
    assert value is not None
    assert value <= quantile(high).fit(scans).value
    assert quantile(low).fit(healthy(seed, 3, gain, shift)).value == value * gain + shift


def test_quantile_of_a_large_scan_is_that_of_all_its_voxels() -> None:
    """Large scans are thinned to keep memory small; the value may move by a few ranks only."""
    scores = np.random.default_rng(0).normal(size=(120, 120, 60)).astype(np.float32)
    scans = [HealthyScores(str(i), scores + 0, np.ones(scores.shape, bool), 0.001) for i in range(3)]
    value = quantile(0.999).fit(scans).value
    assert abs(np.mean(scores <= value) - 0.999) < 4e-6


def test_quantile_refuses_an_extreme() -> None:
    scans = healthy(0)
    with pytest.raises(InputError, match="at least 3 healthy scans: 2 were given"):
        quantile(0.9).fit(scans[:2])
    with pytest.raises(InputError, match=r"too few brain voxels .* are needed"):
        quantile(0.9999).fit(scans)
    silent = [HealthyScores(s.id, (s.scores > 2).astype(np.float32), s.brain, 0.001) for s in scans]
    with pytest.raises(InputError, match="lowest healthy score"):
        quantile(0.9).fit(silent)
    loud = [HealthyScores(s.id, (s.scores > -2).astype(np.float32), s.brain, 0.001) for s in scans]
    with pytest.raises(InputError, match="highest healthy score"):
        quantile(0.9).fit(loud)
    floored = quantile(0.9, floor=0.5).fit(silent)
    assert floored.value == 0.5
    assert "floor" in str(floored)


# ---- conformal


def smallest_cut(scan: HealthyScores, max_ml: float) -> float:
    """Slow reference: try every score of the scan."""
    values = scan.scores[scan.brain]
    fits = [v for v in np.unique(values) if np.sum(values > v) * scan.voxel_ml <= max_ml + 1e-12]
    return float(min(fits))


@given(seed=seeds, max_ml=st.floats(0.002, 0.2), alpha=st.sampled_from([0.2, 0.3, 0.5]))
@settings(max_examples=20)
def test_conformal_is_the_order_statistic_of_the_scans_own_cuts(seed: int, max_ml: float, alpha: float) -> None:
    scans = healthy(seed, 5)
    cuts = sorted(smallest_cut(s, max_ml) for s in scans)
    rank = {0.2: 5, 0.3: 5, 0.5: 3}[alpha]
    assert Conformal(max_ml, alpha).fit(scans).value == cuts[rank - 1]


@given(seed=seeds, strict=st.floats(0.002, 0.1), loose=st.floats(0.002, 0.1), gain=gains, shift=shifts)
@settings(max_examples=20)
def test_a_stricter_promise_needs_a_higher_value(
    seed: int, strict: float, loose: float, gain: float, shift: int
) -> None:
    strict, loose = sorted((strict, loose))
    scans = healthy(seed)
    value = Conformal(strict, 0.2).fit(scans).value
    assert value is not None
    assert value >= Conformal(loose, 0.2).fit(scans).value
    assert value >= Conformal(strict, 0.4).fit(scans).value
    assert Conformal(strict, 0.2).fit(healthy(seed, 5, gain, shift)).value == value * gain + shift


def test_conformal_keeps_its_promise_on_new_healthy_people() -> None:
    """People differ in level; over many draws the promise fails in no more than alpha of them, and not far fewer."""
    generator = np.random.default_rng(11)
    brain = np.ones((8, 8, 8), bool)

    def person() -> HealthyScores:
        scores = generator.normal(generator.normal(), 1, brain.shape)
        return HealthyScores("p", scores.astype(np.float32), brain, 0.001)

    broken = [
        Conformal(0.02, 0.2).fit([person() for _ in range(9)]).apply((new := person()).scores, brain).sum()
        * new.voxel_ml
        > 0.02
        for _ in range(400)
    ]
    assert 0.1 < np.mean(broken) < 0.26  # 0.2 expected, 3 standard errors above


def test_conformal_says_how_many_scans_a_level_needs() -> None:
    rule = Conformal(0.05, 0.1)
    assert rule.needed_scans == 9
    with pytest.raises(InputError, match=r"at least 9 healthy scans: 5 were given.* alpha must be at least 0.167"):
        rule.fit(healthy(0))
    with pytest.raises(InputError, match="less than one voxel"):
        Conformal(0.0005, 0.2).fit(healthy(0))
    with pytest.raises(InputError, match="whole brain"):
        Conformal(50, 0.2).fit(healthy(0))
    silent = [HealthyScores(s.id, np.zeros_like(s.scores), s.brain, 0.001) for s in healthy(0)]
    with pytest.raises(InputError, match="lowest healthy score"):
        Conformal(0.05, 0.2).fit(silent)
    assert Conformal(0.05, 0.2, floor=0.5).fit(silent).value == 0.5


# ---- the image alone


@given(seed=seeds, gain=gains, shift=shifts, classes=st.sampled_from([2, 3]))
@settings(max_examples=20)
def test_otsu_follows_the_scores_within_a_bin(seed: int, gain: float, shift: int, classes: int) -> None:
    scores, brain = made(seed)
    bin_width = np.ptp(scores[brain]) / 256
    value = Otsu(classes).value_for(scores, brain)
    moved = Otsu(classes).value_for((scores * gain + shift).astype(np.float32), brain)
    assert abs(moved - (value * gain + shift)) <= bin_width * gain * 1.001


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_otsu_cuts_off_the_brightest_of_separate_classes(classes: int) -> None:
    generator = np.random.default_rng(0)
    group = generator.integers(0, classes, SHAPE)
    scores = (10 * group + generator.normal(0, 0.5, SHAPE)).astype(np.float32)
    np.testing.assert_array_equal(Otsu(classes).apply(scores, np.ones(SHAPE, bool)), group == classes - 1)


@given(seed=seeds, low=st.floats(0, 5), high=st.floats(0, 5), gain=gains, shift=shifts)
@settings(max_examples=20)
def test_mad_counts_robust_deviations(seed: int, low: float, high: float, gain: float, shift: int) -> None:
    low, high = sorted((low, high))
    scores, brain = made(seed)
    value = Mad(low).value_for(scores, brain)
    values = scores[brain].astype(float)
    assert value == pytest.approx(np.median(values) + low * 1.4826 * np.median(np.abs(values - np.median(values))))
    assert value <= Mad(high).value_for(scores, brain)
    moved = Mad(low).value_for((scores * gain + shift).astype(np.float32), brain)
    assert moved == pytest.approx(value * gain + shift, abs=1e-9)


# ---- oracle


def truth_of(mask: np.ndarray, name: str = "p") -> Truth:
    return Truth(name, lambda: mask.astype(np.uint8) * 2, Grid(SHAPE, np.eye(4)))


def test_oracle_cannot_be_fitted_outside_scoring() -> None:
    scores, brain = made(0)
    with pytest.raises(LeakError):
        Oracle().fit([(scores, brain, truth_of(scores > 1))])


def test_oracle_finds_the_best_dice_and_confesses() -> None:
    cases, wanted = [], []
    for seed in (1, 2):
        scores, brain = made(seed)
        noisy = scores + np.random.default_rng(seed).normal(size=SHAPE) > 1
        cases.append((scores, brain, truth_of(noisy & brain, str(seed))))
        wanted.append(noisy & brain)
    with scoring():
        rule = Oracle().fit(cases)

    def dice(value: float) -> float:
        masks = [(s > value) & b for s, b, _ in cases]
        return float(np.mean([2 * (m & t).sum() / (m.sum() + t.sum()) for m, t in zip(masks, wanted, strict=True)]))

    every = np.unique(np.concatenate([s[b] for s, b, _ in cases]))
    assert rule.dice == pytest.approx(dice(rule.value_for(*cases[0][:2])))
    assert rule.dice >= max(dice(v) for v in every) - 0.002  # candidates are quantiles, not all scores
    assert rule.tier == "T3"
    assert "CHEATING" in str(rule)
    assert thresholds.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule
    with pytest.raises(SettingsError, match="T3"):
        Oracle(tier="T0")


def test_oracle_takes_no_region_that_a_truth_leaves_open_for_an_empty_one() -> None:
    scores, brain = made(1)
    told = Truth("s", lambda: np.where(scores > 1, 3, 0).astype(np.uint8), Grid(SHAPE, np.eye(4)))
    whole = Truth("s", lambda: np.where(scores > 1, 2, 0).astype(np.uint8), Grid(SHAPE, np.eye(4)), ("WT",))
    with scoring():
        Oracle(region="ET").fit([(scores, brain, told)])
        with pytest.raises(InputError, match="The truth of 's' does not tell ET apart"):
            Oracle(region="ET").fit([(scores, brain, told), (scores, brain, whole)])


def test_oracle_needs_some_truth() -> None:
    scores, brain = made(0)
    with scoring(), pytest.raises(InputError, match="truth inside"):
        Oracle().fit([(scores, brain, truth_of(np.zeros(SHAPE, bool)))])


@pytest.mark.parametrize("text", ["fixed:True", "fixed:false", "mad:true", "healthy-quantile:True"])
def test_true_is_no_number(text: str) -> None:
    with pytest.raises(SettingsError, match="Input should be a number"):
        thresholds.parse(text)
    with pytest.raises(SettingsError, match="Input should be a number"):
        Fixed(True)
