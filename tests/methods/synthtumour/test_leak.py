"""Enhancing tumour is what leaks; its core is what it encloses."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from annofree.borders import BORDERS
from annofree.methods.synthtumour.core import (
    AROUND,
    core_around,
    drawn_core,
    enclosed,
    surrounded,
    told_from_oedema,
)
from annofree.methods.synthtumour.leak import Leak, healthy_brain, with_enhancement
from annofree.scan import Modality, Scan

SHAPE = (40, 40, 40)
SPACING = (2.0, 2.0, 2.0)


def ball(radius: float) -> NDArray[np.bool_]:
    return ((np.indices(SHAPE) - 19.5) ** 2).sum(0) < radius**2


def scene(*, ring: bool = True) -> tuple[Scan, dict[str, NDArray[np.float32]], NDArray[np.bool_]]:
    """Two tissues, oedema and a ring that leaks; the network sees a vague core."""
    rng = np.random.default_rng(0)
    brain, lesion, shell = ball(18), ball(8), ball(5) & ~ball(3)
    grey = rng.random(SHAPE) > 0.5
    tissue = np.where(grey, 70.0, 100.0) - 20.0 * lesion
    t1 = (tissue + rng.normal(0, 3, SHAPE)) * brain
    t1c = (1.4 * tissue + 80.0 * (shell & ring) + rng.normal(0, 4, SHAPE)) * brain
    scan = Scan(
        id="made",
        images={Modality.T1: t1.astype(np.float32), Modality.T1C: t1c.astype(np.float32)},
        affine=np.diag([2.0, 2.0, 2.0, 1.0]),
        brain=brain,
    )
    odds = {
        "WT": np.where(lesion, 0.9, 0.01).astype(np.float32),
        "TC": np.where(ball(6), 0.6, 0.01).astype(np.float32),
        "ET": np.where(ball(6), 0.2, 0.01).astype(np.float32),
    }
    return scan, odds, shell


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def test_the_ring_that_the_network_missed_is_found_and_what_it_encloses_is_core() -> None:
    scan, odds, shell = scene()
    notes: list[str] = []
    found = with_enhancement(odds, scan, scan, odds["WT"] > 0.5, notes=notes)
    lost_ml = float(((odds["TC"] > 0.5) & (found["TC"] <= 0.5)).sum()) * scan.voxel_ml
    assert lost_ml > 2
    assert [f"The core may be {lost_ml:.0f} ml larger" in note for note in notes] == [True]
    assert not (odds["ET"] > 0.5).any()
    assert dice(found["ET"] > 0.5, shell) > 0.9
    assert dice(found["TC"] > 0.5, ball(5)) > 0.9  # the vague core outside of the ring is not believed
    assert np.array_equal(found["WT"], odds["WT"])


def test_without_a_leak_nothing_enhances_and_a_core_that_no_image_shows_stays_the_networks() -> None:
    scan, odds, _ = scene(ring=False)
    odds["TC"] = np.where(ball(6), 0.9, 0.1).astype(np.float32)
    notes: list[str] = []
    found = with_enhancement(odds, scan, scan, odds["WT"] > 0.5, notes=notes)
    assert notes == []
    assert (found["ET"] > 0.5).mean() < 0.001
    assert np.array_equal(found["TC"] > 0.5, odds["TC"] > 0.5)


def test_the_border_lies_where_a_reader_sees_enhancement() -> None:
    """At the level of healthy tissue alone, a bright tumour would grow by what the scanner's blur adds around it."""
    rng = np.random.default_rng(0)
    tumour = ball(8)
    share = ndimage.gaussian_filter(tumour.astype(float), 1.0)
    tissue = np.where(rng.random(SHAPE) > 0.5, 70.0, 100.0)
    t1 = (tissue + rng.normal(0, 2, SHAPE)).astype(np.float32)
    t1c = (tissue + 150.0 * share + rng.normal(0, 2, SHAPE)).astype(np.float32)
    leak = Leak.of(t1, t1c, healthy_brain(ball(19), ball(10), SPACING))
    assert leak is not None
    found = leak.score(t1, t1c, np.where(ball(12), 1.0, 0.0).astype(np.float32), SPACING) > 0.5
    seen = share >= BORDERS["visible"].enhancing
    assert dice(found, seen) > 0.95
    assert dice(found, tumour) < 0.9  # half of a voxel is further in
    assert dice(t1c - t1 > 8.0, seen) < 0.9  # what leaks by more than the noise is further out


def test_a_rim_that_thick_slices_leave_open_encloses_its_core() -> None:
    rim = ball(9) & ~ball(6)
    rim[:, :, 24:] = False  # the field of view, or a thick first slice, ends within the tumour
    around = enclosed(rim, SPACING)
    inside = ball(6)
    inside[:, :, 24:] = False
    assert around[inside].mean() > 0.97


def test_a_faint_rim_beside_a_sure_voxel_enhances_and_one_alone_does_not() -> None:
    leak = Leak((0.0, 1.0), (0.0, 1.0), 1.0, 0.0, 1.0, stray=3.0, lowest=2.0, bright=1.0)
    t1, core = np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32)
    t1c = t1.copy()
    t1c[10, 10, 10], t1c[10, 10, 11], t1c[30, 30, 30] = 3.5, 2.5, 2.5
    found = leak.score(t1, t1c, core, SPACING) > 0.5
    assert found[10, 10, 10]
    assert found[10, 10, 11]
    assert found.sum() == 2


def test_a_hot_spot_does_not_raise_the_level_of_the_rim_around_it() -> None:
    leak = Leak((0.0, 1.0), (0.0, 1.0), 1.0, 0.0, 1.0, stray=3.0, lowest=2.0, bright=1.0)
    rim, core = ball(8) & ~ball(5), np.ones(SHAPE, np.float32)
    t1 = np.zeros(SHAPE, np.float32)
    t1c = np.where(rim, 6.0, 0.0).astype(np.float32)
    t1c[(np.indices(SHAPE)[2] < 15) & rim] = 14.0
    assert dice(leak.score(t1, t1c, core, SPACING) > 0.5, rim) > 0.99


def test_vessels_elsewhere_do_not_hide_a_faint_leak() -> None:
    scan, odds, shell = scene()
    t1c = scan.images[Modality.T1C].copy()
    vessels = (np.random.default_rng(1).random(SHAPE) < 0.01) & ball(18) & ~ball(10)
    t1c[vessels] += 400.0
    found = with_enhancement(odds, *[scan.replace(images={**scan.images, Modality.T1C: t1c})] * 2, odds["WT"] > 0.5)
    assert dice(found["ET"] > 0.5, shell) > 0.9


def test_any_scale_of_either_sequence_gives_the_same_answer() -> None:
    scan, odds, _ = scene()
    other = scan.replace(
        images={Modality.T1: scan.images[Modality.T1] * 7, Modality.T1C: scan.images[Modality.T1C] * 0.01 + 5}
    )
    lesion = odds["WT"] > 0.5
    one, two = (with_enhancement(odds, s, s, lesion)["ET"] for s in (scan, other))
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_one_t1_alone_leaves_the_networks_answer() -> None:
    scan, odds, _ = scene()
    alone = scan.replace(images={Modality.T1C: scan.images[Modality.T1C]})
    assert with_enhancement(odds, alone, alone, odds["WT"] > 0.5) is odds
    assert with_enhancement(odds, scan, scan, np.zeros(SHAPE, bool)) is odds


def test_too_little_healthy_brain_says_nothing() -> None:
    scan, _odds, _ = scene()
    assert scan.brain is not None
    t1, t1c = (scan.images[s] for s in (Modality.T1, Modality.T1C))
    assert Leak.of(t1, t1c, healthy_brain(ball(6), ball(5), SPACING)) is None


NOTHING = Scan("blank", {Modality.T2: np.zeros(SHAPE, np.float32)}, np.diag([2.0, 2.0, 2.0, 1.0]))
LEVEL = {Modality.T2: (0.0, 1.0)}


def test_a_broken_ring_is_closed_and_a_speck_tells_nothing() -> None:
    ring = ball(8) & ~ball(6)
    ring[18:22, 20:, 18:22] = False
    assert enclosed(ring, SPACING)[19, 19, 19]
    core = np.where(ball(9), 0.6, 0.4).astype(np.float32)
    speck = np.zeros(SHAPE, bool)
    speck[20, 20, 20] = True
    assert np.array_equal(core_around(core, ball(12), speck, NOTHING, LEVEL) > 0.5, ball(9))
    assert (core_around(core, ball(12), ring, NOTHING, LEVEL) > 0.5).sum() == enclosed(ring, SPACING).sum()


def test_a_nodule_does_not_speak_for_a_large_core() -> None:
    core = np.where(ball(15), 0.6, 0.4).astype(np.float32)
    for radius in (4, 8):  # 2 and 15 % of the core
        assert np.array_equal(core_around(core, ball(17), ball(radius), NOTHING, LEVEL) > 0.5, ball(15))
    assert np.array_equal(core_around(core, ball(17), ball(10), NOTHING, LEVEL) > 0.5, ball(10))  # 30 %


def test_a_thin_and_broken_rim_speaks_for_what_it_surrounds() -> None:
    core = np.where(ball(18), 0.6, 0.0).astype(np.float32)
    rim = ball(12) & ~ball(10.5) & ~((np.indices(SHAPE) - 19.5) > 0).all(axis=0)
    assert rim.sum() < 0.1 * (core > 0.5).sum()
    found = core_around(core, ball(19), rim, NOTHING, LEVEL) > 0.5
    assert dice(found, ball(12)) > 0.94


@pytest.mark.parametrize("unit", [1.0, 0.001, 5000.0])
@pytest.mark.parametrize("called", [6, 8, 10])
def test_a_core_that_the_network_draws_too_small_or_too_large_ends_where_the_images_show_it(
    called: int, unit: float
) -> None:
    rng = np.random.default_rng(0)
    core, whole = ball(8), ball(12)
    images = {m: (unit * (step * core + rng.normal(0, 1, SHAPE))).astype(np.float32) for m, step in STEPS.items()}
    scan = Scan("made", images, np.diag([2.0, 2.0, 2.0, 1.0]))
    # a network's odds fade out over some voxels
    away = np.sqrt(((np.indices(SHAPE) - 19.5) ** 2).sum(0)) - called
    odds = (1 / (1 + np.exp(away))).astype(np.float32)
    drawn = drawn_core(odds, whole, scan)
    assert dice(drawn > 0.5, core) > 0.97
    notes: list[str] = []
    assert np.array_equal(core_around(odds, whole, np.zeros(SHAPE, bool), scan, LEVEL, notes), drawn)
    assert notes == []  # where it was drawn smaller, the images say so and no enhancement speaks against it
    assert np.array_equal(drawn[~whole], odds[~whole])


STEPS = {Modality.T2: 2.0, Modality.T1: -1.5, Modality.FLAIR: 1.5}


def test_each_finding_shows_the_look_of_its_own_core() -> None:
    rng = np.random.default_rng(0)
    away = np.sqrt(((np.indices(SHAPE).T - [11, 19.5, 19.5]).T ** 2).sum(0))
    core, whole = away < 5, away < 9
    one, other = whole, whole[::-1]
    image = 3.0 * core - 3.0 * core[::-1] + rng.normal(0, 1, SHAPE)
    scan = Scan("made", {Modality.T2: image.astype(np.float32)}, np.diag([2.0, 2.0, 2.0, 1.0]))
    odds = 1 / (1 + np.exp(away - 4.5))
    drawn = drawn_core(np.maximum(odds, odds[::-1]).astype(np.float32), one | other, scan) > 0.5
    assert dice(drawn & one, core) > 0.95
    assert dice(drawn & other, core[::-1]) > 0.95


def test_a_finding_neither_gains_nor_loses_its_core_by_a_border(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it has one decides whether `mirror` may drop it: that is the networks' word."""
    away = np.sqrt(((np.indices(SHAPE) - 19.5) ** 2).sum(0))
    odds = (1 / (1 + np.exp(away - 3))).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.3, SHAPE)
    images = {m: (step * ball(10) + noise).astype(np.float32) for m, step in STEPS.items()}
    assert np.array_equal(drawn_core(odds, ball(13), NOTHING.replace(images=images)), odds)
    odds = (1 / (1 + np.exp(away - 9))).astype(np.float32)
    monkeypatch.setattr("annofree.methods.synthtumour.core.BORDER", SimpleNamespace(apply=lambda mask, _: mask & False))
    assert np.array_equal(drawn_core(odds, ball(13), NOTHING), odds)


def test_a_core_without_images_of_its_border_keeps_the_networks_volume() -> None:
    rng = np.random.default_rng(0)
    images = {m: rng.normal(0, 1, SHAPE).astype(np.float32) for m in STEPS}
    scan = Scan("noise", images, np.diag([2.0, 2.0, 2.0, 1.0]))
    for radius in (6, 9):
        away = np.sqrt(((np.indices(SHAPE) - 19.5) ** 2).sum(0)) - radius
        drawn = drawn_core((1 / (1 + np.exp(away))).astype(np.float32), ball(radius + 6), scan) > 0.5
        assert abs(drawn.sum() / ball(radius).sum() - 1) < 0.08


def two_parts() -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """A tumour with an enhancing ball in its middle and a possible core on either side of it."""
    x = np.indices(SHAPE)[0]
    parts = [((np.indices(SHAPE).T - [c, 20, 20]).T ** 2).sum(0) < 16 for c in (9, 31)]
    assert parts[0][x > 20].sum() == 0
    return ball(19), parts[0], parts[1]


@pytest.mark.parametrize("unit", [1.0, 0.001, 5000.0])
def test_a_core_is_believed_where_it_can_be_told_from_the_oedema_beside_it(unit: float) -> None:
    whole, seen, unseen = two_parts()
    # oedema lies 10 above healthy brain and varies by 1: 2.5 + 1 is what a reader needs
    image = 10.0 * whole + np.random.default_rng(0).normal(0, 1, SHAPE)
    image[seen] += 4.5
    image[unseen] += 2.0
    scan = Scan("made", {Modality.T2: (unit * image).astype(np.float32)}, np.diag([2.0, 2.0, 2.0, 1.0]))
    core = np.where(seen | unseen | ball(3), 0.9, 0.1).astype(np.float32)
    found = core_around(core, whole, ball(3), scan, {Modality.T2: (0.0, unit)}) > 0.5
    assert found[seen].all()
    assert not found[unseen].any()
    assert found[ball(3)].all()


def test_a_core_of_which_the_network_is_unsure_is_not_believed_however_well_it_is_seen() -> None:
    whole, seen, unseen = two_parts()
    image = (10.0 * whole + 9.0 * (seen | unseen)).astype(np.float32)
    core = np.where(seen, 0.85, np.where(unseen, 0.75, 0.0)).astype(np.float32)
    scan = NOTHING.replace(images={Modality.T2: image})
    found = core_around(core, whole, ball(3), scan, LEVEL) > 0.5
    assert found[seen].all()
    assert not found[unseen].any()


def test_a_core_without_oedema_beside_it_can_be_told_and_a_few_voxels_cannot() -> None:
    core = ball(6)
    core[0, 0, :5] = True
    images = {Modality.T2: np.zeros(SHAPE, np.float32)}
    told = told_from_oedema(core, np.zeros(SHAPE, bool), images, LEVEL, SPACING)
    assert told[ball(6)].all()
    assert not told[0, 0].any()


def test_enhancement_at_the_border_of_the_array_is_not_eaten() -> None:
    edge = np.zeros(SHAPE, bool)
    edge[:4, 10:30, 10:30] = True
    assert enclosed(edge, SPACING)[edge].all()


@pytest.mark.parametrize("phase", [0, 2, 4])
def test_slices_of_five_voxels_show_as_much_enhancement_as_voxels_do(phase: int) -> None:
    leak = Leak((0.0, 1.0), (0.0, 1.0), 1.0, 0.0, 1.0, stray=3.0, lowest=2.0, bright=1.0)
    away = np.sqrt(((np.indices((80, 80, 80)) - 39.5) ** 2).sum(axis=0)) / 2  # half a voxel fine
    rim = np.where((away < 13) & (away > 8), 14.0, 0.0).astype(np.float32)
    full = rim.reshape(40, 2, 40, 2, 40, 2).mean(axis=(1, 3, 5))
    slices = np.roll(full, phase, axis=2).reshape(40, 40, 8, 5).mean(axis=3)
    place = np.clip((np.arange(40) - 2) / 5, 0, 7)
    drawn = slices[..., np.floor(place).astype(int)] * (1 - place % 1) + slices[..., np.ceil(place).astype(int)] * (
        place % 1
    )
    drawn = drawn.astype(np.float32)
    t1, core = np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32)
    seen = leak.score(t1, full, core, (1.0, 1.0, 1.0)) > 0.5
    naive = leak.score(t1, drawn, core, (1.0, 1.0, 1.0)) > 0.5
    found = leak.score(t1, drawn, core, (1.0, 1.0, 1.0), (1.0, 1.0, 5.0)) > 0.5
    assert naive.sum() > 1.4 * seen.sum()
    assert 0.9 < found.sum() / seen.sum() < 1.2


@pytest.mark.parametrize(("gap", "found"), [("octant", 0.98), ("cap", 0.8)])
def test_a_rim_that_is_open_in_every_slice_encloses_what_it_surrounds(gap: str, found: float) -> None:
    offsets = np.indices(SHAPE) - 19.5
    missing = (offsets > 0).all(axis=0) if gap == "octant" else offsets.sum(axis=0) / np.sqrt(3) > 4
    around = enclosed(ball(9) & ~ball(6) & ~missing, SPACING)
    assert around[ball(6)].mean() > found
    assert not around[~ball(9)].any()


def test_beside_a_ball_and_between_two_nothing_is_surrounded() -> None:
    assert surrounded(ball(8))[~ball(8)].max() < 0.5
    one, other = (np.roll(ball(5), shift, axis=0) for shift in (-6, 6))
    assert surrounded(one | other)[~(one | other)].max() < AROUND


def test_a_vessel_beside_a_rim_encloses_nothing_with_it() -> None:
    rim = ball(7) & ~ball(5)
    vessel = rim.copy()
    vessel[28, 19:21, 17:21] = True  # 0.064 ml, two voxels away
    around = enclosed(vessel, SPACING)
    assert around.sum() == enclosed(rim, SPACING).sum() + 8
