"""Tumours are as large as requested, lie in tissue, and end where their soft fraction is one half."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from annofree.borders import BORDERS
from annofree.synthesis import LabelMapBank, SynthesisSettings, make_case
from annofree.synthesis.acquisition import _slabs, through_slices
from annofree.synthesis.contrast import Palette, TumourLook, draw_tumour_look
from annofree.synthesis.deform import COARSE_MM, FINE_MM, draw_source, finer, grid_mm
from annofree.synthesis.generator import PLACES, draw_centre, drawn_labels, grow_in
from annofree.synthesis.growth import FAR, arrival
from annofree.synthesis.kinds import KINDS
from annofree.synthesis.matter import CLASSES, look_up
from annofree.synthesis.plan import draw_plans
from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import Acquisition, Anatomy, Tumours
from annofree.synthesis.tissues import Tissue
from annofree.synthesis.tumour import COMPARTMENTS, fractions, labels_of, noisy_ellipsoid, permitted, uniform_rotation

STILL = Acquisition(mask_errors=False, missing_slab=False)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_has_its_volume_and_lies_in_tissue(mni_bank: LabelMapBank, kind: str) -> None:
    made = SynthesisSettings(
        tumours=Tumours(kind=kind, healthy_share=0.0, volumes_ml=(30.0,), several=False, borders="half"),
        acquisition=STILL,
    )
    case = make_case(mni_bank, made, 3)
    whole = case.labels > 0
    assert case.meta["wt_ml"] == pytest.approx(case.meta["requested_wt_ml"], rel=0.12)
    assert not bool((whole & ~case.brain).any())
    enhances = bool((case.labels == 3).any())
    if kind in ("homogeneous", "infiltrative", "isointense", "cystic"):  # some of these enhance
        assert enhances == (case.meta["lesion0_rim"] != "none")
    else:
        assert enhances == (kind != "mismatch")


def test_kinds_are_drawn_as_often_as_their_shares_say() -> None:
    drawn = Counter(_kinds(Tumours(healthy_share=0.0, several=False), 3000))
    total = sum(kind.weight for kind in KINDS.values())
    for name, kind in KINDS.items():
        assert drawn[name] / 3000 == pytest.approx(kind.weight / total, abs=0.025)
    assert drawn["isointense"] / 3000 == pytest.approx(0.089, abs=0.02)
    # weights of any sum; a kind that is left out is not drawn, and one alone can be changed
    few = SynthesisSettings().changed({"tumours.healthy_share": 0.0, "tumours.shares": {"cystic": 6, "dural": 2}})
    drawn = Counter(_kinds(few.tumours, 800))
    assert set(drawn) == {"cystic", "dural"}
    assert drawn["cystic"] / 800 == pytest.approx(0.75, abs=0.05)
    without = SynthesisSettings().changed({"tumours.healthy_share": 0.0, "tumours.shares.ring": 0})
    assert set(_kinds(without.tumours, 800)) == set(KINDS) - {"ring"}


def _kinds(own: Tumours, cases: int) -> list[str]:
    return [draw_plans(Seeds(seed, "case/tumours"), own)[0].kind for seed in range(cases)]


@pytest.mark.parametrize(
    ("switch", "own"),
    [
        ("necrosis", {"necrosis"}),
        ("cysts", {"cyst"}),
        ("blood", {"blood"}),
        ("enhancement", {"rim"}),
        ("growth", {"grown", "roughness"}),
        ("mass_effect", {"push_mm"}),
        ("oedema", {"core_ml", "rim_mm", "push_mm"}),
    ],
)
def test_a_switch_changes_its_own_part_of_the_plan_and_nothing_else(switch: str, own: set[str]) -> None:
    usual = Tumours(healthy_share=0.0)
    changed = set()
    for seed in range(120):
        one, two = (draw_plans(Seeds(seed), t) for t in (usual, usual.replace(**{switch: False})))
        assert len(one) == len(two)
        changed |= {key for a, b in zip(one, two, strict=True) for key in vars(a) if vars(a)[key] != vars(b)[key]}
    assert changed == own


def _palette() -> Palette:
    table = torch.ones((4, CLASSES))
    table[:, Tissue.CORTEX] = torch.tensor([0.74, 0.8, 1.45, 1.22])
    table[:, Tissue.CSF] = torch.tensor([0.38, 0.42, 2.6, 0.4])
    return Palette(table, (False,) * 4)


def test_an_isointense_core_looks_like_brain_on_flair_and_is_seen_on_t2() -> None:
    own = Tumours(kind="isointense", healthy_share=0.0, several=False)
    flair, without_oedema = [], 0
    for seed in range(200):
        plan = draw_plans(Seeds(seed, "case/tumours"), own)[0]
        assert not plan.necrosis
        without_oedema += plan.core_ml == plan.whole_ml
        look = draw_tumour_look(plan, _palette(), Seeds(seed), own)
        t1, _, t2, bright = look.brightness[:, COMPARTMENTS.index("solid")].tolist()
        flair.append(bright / 1.22)  # of cortex, the brightest of healthy tissue
        assert t2 > 1.45  # more water than cortex, half as much again as white matter
        assert t1 < 0.85  # darker than white matter
        assert look.core_seen or plan.core_ml < plan.whole_ml
    assert 0.55 <= min(flair) < 0.6
    assert 1.05 < max(flair) <= 1.1
    assert 70 < without_oedema < 130


def test_the_core_of_most_diffuse_tumours_is_more_of_what_its_oedema_is() -> None:
    own = Tumours(kind="homogeneous", healthy_share=0.0, several=False)
    oedema, solid = COMPARTMENTS.index("oedema"), COMPARTMENTS.index("solid")
    white = torch.ones(4)
    wetter, patchy, uneven = 0, 0, []
    for seed in range(300):
        plan = draw_plans(Seeds(seed, "case/tumours"), own)[0]
        patchy += plan.rim == "patchy"
        look = draw_tumour_look(plan, _palette(), Seeds(seed), own)
        uneven.append(look.unevenness)
        # its contrast to white matter in units of the oedema's: T1, T2, FLAIR
        more = ((look.brightness[:, solid] - white) / (look.brightness[:, oedema] - white))[[0, 2, 3]]
        nearly_fluid = float(look.brightness[2, solid]) == pytest.approx(1 + 0.9 * 1.6, abs=1e-3)
        if 1.3 <= more[0] <= 2.2 and (nearly_fluid or abs(more[0] - more[1]) < 1e-3):
            assert 1 < more[2] <= 2.2  # FLAIR suppresses part of the water
            wetter += 1
    assert wetter / 300 == pytest.approx(0.6, abs=0.12)
    assert patchy / 300 == pytest.approx(0.3, abs=0.08)
    # their oedema is even beside that of others, or nobody could tell the core from it
    assert max(uneven) <= 0.25


def test_a_cystic_tumour_is_fluid_in_a_thin_wall_with_a_nodule_on_one_side(mni_bank: LabelMapBank) -> None:
    own = Tumours(kind="cystic", healthy_share=0.0, volumes_ml=(40.0,), several=False, mass_effect=False, blood=False)
    fluid, aside = [], []
    for seed in range(16):
        seeds = Seeds(seed, "case")
        plans = draw_plans(Seeds(seed, "case/tumours"), own)
        source, _ = draw_source(seeds.stream("anatomy"), Anatomy())
        fine, _, grown = grow_in(mni_bank.maps[0], source, plans, seeds)
        soft = fractions(plans[0], grown[0].depths, FINE_MM, permitted(fine, extra_axial=False))
        core = soft[1:].sum()
        share = {name: float(part.sum() / core) for name, part in zip(COMPARTMENTS, soft, strict=True)}
        assert share["rim"] < 0.35
        assert share["necrosis"] == 0.0
        fluid.append(share["cyst"])
        look = draw_tumour_look(plans[0], _palette(), Seeds(seed), own)
        _, _, t2, flair = look.brightness[:, COMPARTMENTS.index("cyst")].tolist()
        assert t2 > 2.3  # fluid is 2.6, cortex 1.45
        assert flair < 0.75  # fluid is 0.4, white matter 1
        if plans[0].rim == "mural":
            where = grid_mm(fine.shape, FINE_MM, "cpu")
            nodule, middle = ((where * part).sum((1, 2, 3)) / part.sum() for part in (soft[2], soft[1:].sum(0)))
            aside.append(float((nodule - middle).norm()) / plans[0].radius_mm)
    assert min(fluid) > 0.5
    assert sum(fluid) / len(fluid) > 0.6
    assert len(aside) >= 6
    assert min(aside) > 0.15  # with a wall that enhances too
    assert max(aside) > 0.7  # with one that does not


def test_without_growth_a_tumour_is_a_plain_ellipsoid_of_the_same_volume(mni_bank: LabelMapBank) -> None:
    def made(growth: bool) -> tuple[torch.Tensor, float]:
        own = Tumours(kind="ring", healthy_share=0.0, volumes_ml=(40.0,), several=False, growth=growth, borders="half")
        case = make_case(mni_bank, SynthesisSettings(tumours=own, acquisition=STILL), 3)
        assert case.meta["wt_ml"] == pytest.approx(case.meta["requested_wt_ml"], rel=0.12)
        whole = case.labels > 0
        surface = sum(
            int((whole.narrow(a, 1, whole.shape[a] - 1) ^ whole.narrow(a, 0, whole.shape[a] - 1)).sum())
            for a in range(3)
        )
        return whole, surface / float(whole.sum()) ** (2 / 3)

    grown, rough = made(True)
    plain, smooth = made(False)
    assert not torch.equal(grown, plain)
    assert smooth < 0.9 * rough


def test_tumour_spares_ventricles(mni_bank: LabelMapBank) -> None:
    own = SynthesisSettings(tumours=Tumours(healthy_share=0.0, volumes_ml=(120.0,)), acquisition=STILL)
    plans = draw_plans(Seeds(5, "case/tumours"), own.tumours)
    assert plans
    # without mass effect the anatomy can be looked up again from the seed
    own = own.model_copy(update={"tumours": own.tumours.model_copy(update={"mass_effect": False})})
    case = make_case(mni_bank, own, 5)
    source, _ = draw_source(Seeds(5, "case").stream("anatomy"), own.anatomy)
    (ventricle,) = look_up(mni_bank.maps[0], finer(source), FINE_MM).groups("ventricle")
    assert case.meta["wt_ml"] > 40
    assert not bool(((case.labels > 0) & (ventricle > 0.5)).any())


def test_boundary_lies_at_half(mni_bank: LabelMapBank) -> None:
    """A depth of zero is a fraction of one half, for the whole, the core and the enhancing part."""
    plan = draw_plans(Seeds(1), Tumours(healthy_share=0.0, kind="ring", several=False))[0]
    depth = torch.linspace(-10, 10, 41)[:, None, None].expand(41, 3, 3)
    deep_rim = torch.minimum(depth - 4, 8 - depth)
    fields = torch.stack([depth, depth - 4, deep_rim, depth - 9, depth * 0 - 60, depth * 0 - 60])
    soft = fractions(plan, fields, 1.0, torch.ones(41, 3, 3, dtype=torch.bool))
    labels = labels_of(soft, BORDERS["half"])
    assert torch.equal(labels > 0, depth >= 0)
    assert torch.equal((labels == 1) | (labels == 3), depth >= 4)
    assert torch.equal(labels == 3, deep_rim >= 0)
    assert float((soft.sum(0) - 1).clamp_min(0).max()) < 1e-5
    # a reader sees a quarter of tumour: the border lies a quarter of its width further out, that of the core stays
    seen = labels_of(soft, BORDERS["visible"])
    assert torch.equal(seen > 0, depth > -0.25 * plan.border_mm)
    core = soft[1:].sum(0)
    assert torch.equal((seen == 1) | (seen == 3), (core >= 0.5 * soft.sum(0)) & (seen > 0) | (deep_rim > -0.25))
    assert torch.equal(seen == 3, deep_rim > -0.25)


def test_slices_carry_the_visible_border_with_them() -> None:
    """A thin plate of tumour is seen in every slice that it fills to a quarter, and nowhere else."""
    plate = torch.zeros(6, 40, 40, 40)
    plate[0, :, :, 19:21] = 1.0
    for seed in range(40):
        seeds = Seeds(seed)
        shown = through_slices(plate, 1.0, seeds, Acquisition())
        assert float(shown.sum()) == pytest.approx(float(plate.sum()), rel=0.12)
        axis, thick_mm = _slabs(seeds.stream("slices"))[3]
        found = labels_of(shown, BORDERS["visible"]) > 0
        deep = int(found.any(0).any(0).sum())
        if axis != 2 or thick_mm <= 1.2:
            assert deep == 2
        else:  # 2 mm spread over two thick slices may fill neither to a quarter
            assert (2 if thick_mm < 3.9 else 0) <= deep <= 2 + 2 * thick_mm


@settings(max_examples=10)
@given(
    seed=st.integers(0, 10**6),
    volume=st.floats(8, 60),
    elongation=st.floats(1, 2.5),
)
def test_plain_ellipsoid_has_its_volume(seed: int, volume: float, elongation: float) -> None:
    points = grid_mm((48, 48, 48), 2.0, "cpu")
    depth = noisy_ellipsoid(points, Seeds(seed), volume_ml=volume, elongation=elongation, roughness=0.0)
    assert float((depth > 0).sum()) * 0.008 == pytest.approx(volume, rel=0.06)


def test_shapes_differ_from_seed_to_seed_and_rotations_are_proper() -> None:
    points = grid_mm((24, 24, 24), 3.0, "cpu")
    shapes = {
        (noisy_ellipsoid(points, Seeds(s), volume_ml=20, elongation=1.5, roughness=0.3) > 0).numpy().tobytes()
        for s in range(12)
    }
    assert len(shapes) == 12
    turn = uniform_rotation(Seeds(4), "cpu")
    assert torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-5)
    assert float(torch.linalg.det(turn)) == pytest.approx(1.0, abs=1e-5)


def test_growth_goes_round_a_wall_and_never_through_it() -> None:
    cost = torch.ones(9, 9, 9)
    space = torch.zeros(9, 9, 9, dtype=torch.uint8)
    space[4] = 4
    space[4, 8, 8] = 3
    seed = torch.zeros(9, 9, 9, dtype=torch.bool)
    seed[0, 0, 0] = True
    time = arrival(cost, space, seed, 1.0, 40)
    assert float(time[4, 0, 0]) >= FAR / 2
    straight = 8.0
    assert straight * 1.5 < float(time[8, 0, 0]) < FAR / 2
    assert float(time[3, 3, 3]) == pytest.approx(3 * np.sqrt(3), rel=0.01)


@pytest.mark.parametrize("place", PLACES)
def test_centres_lie_in_the_brain(mni_bank: LabelMapBank, place: str) -> None:
    source, _ = draw_source(Seeds(2), Anatomy(flip=False))
    matter = look_up(mni_bank.maps[0], source, COARSE_MM)
    centre = draw_centre(matter, place, Seeds(7, place))
    nearest = (grid_mm(matter.shape, COARSE_MM, "cpu") - centre[:, None, None, None]).square().sum(0).argmin()
    assert float(matter.depth_mm.reshape(-1)[int(nearest)]) > -3.0


def _look(brightness: list[list[float]]) -> TumourLook:
    return TumourLook(torch.tensor(brightness), torch.ones(4), 0.0, core_seen=False)


def test_a_core_like_its_oedema_is_labelled_oedema_and_an_enclosed_one_is_core(mni_bank: LabelMapBank) -> None:
    for kind, enclosed in (("homogeneous", False), ("infiltrative", False), ("ring", True)):
        own = Tumours(kind=kind, healthy_share=0.0, volumes_ml=(60.0,), several=False, necrosis=False, cysts=False)
        own = own.model_copy(update={"blood": False})
        seen = set()
        for seed in range(12):
            plan = draw_plans(Seeds(seed, "case/tumours"), own)[0]
            look = draw_tumour_look(plan, _palette(), Seeds(seed), own)
            difference = (look.brightness[:, 0] - look.brightness[:, 1]).abs()
            contrast = (look.brightness[:, :2] - 1.0).abs().amax(1).clamp_min(0.05)
            told = float((difference / contrast)[[0, 2, 3]].max()) >= BORDERS["visible"].whole + look.unevenness
            assert look.core_seen == (told or enclosed)
            seen.add(look.core_seen)
        assert seen == ({True} if enclosed else {True, False})


def test_labels_follow_whether_the_core_is_seen() -> None:
    fraction = torch.zeros((6, 4, 4, 4))
    fraction[0, 0], fraction[1, 1], fraction[2, 2], fraction[3, 3] = 1.0, 1.0, 1.0, 1.0
    own = SynthesisSettings(acquisition=Acquisition(slices=False))
    look = _look([[0.8] * 6] * 4)
    hidden = drawn_labels(fraction, look, 2.0, Seeds(1), own, sliced=False)[:, 0, 0].tolist()
    assert hidden == [2, 2, 3, 1]
    shown = drawn_labels(fraction, replace(look, core_seen=True), 2.0, Seeds(1), own, sliced=False)[:, 0, 0].tolist()
    assert shown == [2, 1, 3, 1]


def test_water_moves_all_sequences_of_oedema_at_once_and_leaves_the_core_alone() -> None:
    fraction = torch.zeros((6, 24, 24, 24))
    fraction[0, :12], fraction[1, 12:] = 1.0, 1.0
    brightness = [[0.8] * 6, [0.8] * 6, [1.6] * 6, [1.4] * 6]
    even, uneven = _look(brightness), replace(_look(brightness), unevenness=0.4)
    change = uneven.painted(fraction, 2.0, Seeds(3)) - even.painted(fraction, 2.0, Seeds(3))
    assert not bool(change[:, 12:].any())
    assert float(change[2, :12].std()) > 0.05
    assert torch.allclose(change[0] / -0.2, change[2] / 0.6, atol=1e-5)
    assert torch.allclose(change[3] / 0.4, change[2] / 0.6, atol=1e-5)


def test_uneven_oedema_is_nowhere_so_faint_that_it_cannot_be_seen() -> None:
    fraction = torch.zeros((6, 32, 32, 32))
    fraction[0] = 1.0
    look = replace(_look([[0.8] * 6, [0.8] * 6, [1.6] * 6, [1.4] * 6]), unevenness=0.6)
    shares = (look.painted(fraction, 2.0, Seeds(3)) - 1.0)[2] / 0.6
    assert float(shares.min()) >= 0.87  # 12 % less water than on average, where the border asks for a quarter of it
    assert float(shares.max()) > 1.4
