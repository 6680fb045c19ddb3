"""A plan must fit the data and the memory, train as it stands, and say no in one sentence where nothing fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from annofree.errors import InputError, SettingsError
from annofree.formats import export_nnunet, open_cohort
from annofree.methods.synthtumour.made_junior import JuniorSettings
from annofree.networks.build import build
from annofree.networks.dyn_unet import DynUNetSettings
from annofree.scan import Cohort, Modality, Scan
from annofree.training.plan import read_plan
from annofree.training.planner import OVERHEAD, PER_PARAMETER, Fingerprint, estimate_gb, fingerprint, make_plan


def data(spacing: tuple[float, float, float], cases: int = 30) -> Fingerprint:
    size = (140.0, 175.0, 138.0)
    return Fingerprint(np.tile(spacing, (cases, 1)), np.tile(size, (cases, 1)), cases)


def test_more_memory_gives_a_larger_patch_until_the_brain_fits_and_then_a_larger_batch() -> None:
    plans = [make_plan(data((1, 1, 1)), memory) for memory in (1, 8, 40, 140)]
    seen = [int(np.prod(p.patch)) * p.batch for p in plans]
    assert seen == sorted(seen)
    assert seen[0] < seen[-1]
    assert plans[-1].patch == (144, 176, 144)
    assert "whole brain" in plans[-1].reasons["patch"]
    assert make_plan(data((1, 1, 1), cases=400), 140).batch > plans[-1].batch


def test_tiny_memory_gives_a_thin_network_and_then_one_sentence() -> None:
    small = make_plan(data((1, 1, 1)), 0.05)
    assert small.step_gb <= 0.05
    assert small.network.filters[0] < 32
    assert "filters" in small.reasons["network"]
    with pytest.raises(InputError, match=r"0\.01 GB are too little .* --memory") as caught:
        make_plan(data((1, 1, 1)), 0.01)
    assert "\n" not in str(caught.value)


def test_thick_slices_are_not_pooled_or_convolved_until_the_pixels_are_as_coarse() -> None:
    plan = make_plan(data((0.5, 0.5, 5.0)), 11)
    assert plan.spacing_mm == (0.5, 0.5, 5.0)
    assert plan.network.strides[1] == (2, 2, 1)
    assert plan.network.kernel_size[0] == (3, 3, 1)
    assert plan.network.kernel_size[-1] == (3, 3, 3)
    assert plan.patch[0] > 3 * plan.patch[2]


def test_thick_slices_take_the_finest_tenth_of_the_scans() -> None:
    spacing = np.array([(0.5, 0.5, z) for z in (3.0, 3.0, 5.0, 5.0, 5.0, 6.0, 6.0, 6.0, 6.0, 6.0)])
    plan = make_plan(Fingerprint(spacing, np.tile((140.0, 175.0, 138.0), (10, 1)), 10), 11)
    assert plan.spacing_mm[2] == pytest.approx(3.0)


def test_a_slab_is_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match=r"too thin .* --spacing"):
        make_plan(data((1, 1, 20)), 8)


@settings(max_examples=20)
@given(
    spacing=st.tuples(*[st.floats(0.4, 4.0)] * 2, st.floats(0.4, 12.0)),
    memory=st.floats(0.2, 100.0),
    inputs=st.integers(1, 15),
)
def test_every_plan_fits_its_memory_and_its_own_strides(
    spacing: tuple[float, float, float], memory: float, inputs: int
) -> None:
    plan = make_plan(data(spacing), memory, in_channels=inputs)
    assert plan.step_gb <= memory * 1.01 + 0.001
    assert all(p % d == 0 for p, d in zip(plan.patch, plan.network.divisor, strict=True))
    assert all(p // d >= 2 for p, d in zip(plan.patch, plan.network.divisor, strict=True))
    assert len(plan.network.filters) == len(plan.network.strides) == len(plan.network.kernel_size)


@pytest.mark.parametrize("strides", [((1, 1, 1), (2, 2, 2), (2, 2, 2)), ((1, 1, 1), (2, 2, 1), (2, 2, 2), (2, 2, 2))])
def test_the_estimate_agrees_with_what_autograd_keeps(strides: tuple[tuple[int, int, int], ...]) -> None:
    shape = DynUNetSettings(
        in_channels=4, kernel_size=((3, 3, 3),) * len(strides), strides=strides, filters=(8, 16, 32, 64)[: len(strides)]
    )
    network = build(shape).train()
    own = {p.data_ptr() for p in network.parameters()}
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (kept.append(t), t)[1], lambda t: t):
        network(torch.zeros(1, 4, 32, 32, 16))
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in kept if t.data_ptr() not in own}
    weights = sum(p.numel() for p in network.parameters())
    measured = (sum(storages.values()) * OVERHEAD + weights * PER_PARAMETER) / 1e9
    assert estimate_gb(shape, (32, 32, 16), 1) == pytest.approx(measured, rel=0.15)


def test_a_plan_is_read_back_as_written_and_a_bad_change_by_hand_is_named(tmp_path: Path) -> None:
    plan = make_plan(data((1, 1, 1)), 8)
    file = plan.write(tmp_path / "plan.yaml")
    assert read_plan(file) == plan.model_copy(update={"reasons": {}})
    assert "# median of 30 scans" in file.read_text()
    file.write_text(file.read_text().replace(f"patch: {list(plan.patch)}", "patch: [100, 128, 112]"))
    with pytest.raises(SettingsError, match="Use 112 x 128 x 112"):
        read_plan(file)
    file.write_text(file.read_text().replace("batch:", "bach:"))
    with pytest.raises(SettingsError, match="did you mean 'batch'"):
        read_plan(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path / "none.yaml")


def test_a_cohort_in_nnunet_layout_is_measured_by_its_brains(tmp_path: Path) -> None:
    def scan(name: str, spacing: float) -> Scan:
        image = np.zeros((30, 40, 30), np.float32)
        image[5:25, 5:35, 8:28] = np.random.default_rng(0).normal(100, 5, (20, 30, 20))
        return Scan(name, {Modality.FLAIR: image}, np.diag([spacing, spacing, spacing, 1]))

    export_nnunet(Cohort.of([scan("a", 2.0), scan("b", 3.0), scan("c", 3.0)]), tmp_path / "Dataset001_Made")
    found = fingerprint(open_cohort(tmp_path / "Dataset001_Made"))
    assert found.cases == 3
    assert np.allclose(np.median(found.spacing_mm, axis=0), 3.0)
    assert np.allclose(found.size_mm[0], (40, 60, 40))


def test_a_plan_becomes_a_recipe_whose_network_trains(tmp_path: Path) -> None:
    plan = make_plan(data((1, 1, 1)), 0.06, spacing_mm=2.0)
    recipe = JuniorSettings().planned(plan)
    assert (recipe.spacing_mm, recipe.sample.patch, recipe.train.batch) == (2.0, plan.patch, plan.batch)
    network = build(recipe.network).train()
    levels = network(torch.zeros(1, 15, *plan.patch))
    assert levels[0].shape == (1, 3, *plan.patch)
    sum(level.mean() for level in levels).backward()
    with pytest.raises(SettingsError, match="--spacing 1 or --spacing 2"):
        JuniorSettings().planned(make_plan(data((1, 1, 1)), 8, spacing_mm=3.0))
