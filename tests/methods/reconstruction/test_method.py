"""Reconstruction methods: what they learn from, what they score, and that the published form is at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from annofree import methods
from annofree.errors import InputError
from annofree.methods.reconstruction import AE, DAE, VAE, Reconstruction
from annofree.phantom import PhantomSubject, phantom_subject
from annofree.scan import Cohort, Modality, Scan
from annofree.thresholds.fixed import Fixed
from annofree.thresholds.otsu import Otsu


class Blank:
    """A network that thinks every brain is a third bright everywhere, which is the median."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.full_like(x, 1 / 3)


@pytest.fixture(scope="module")
def patient() -> PhantomSubject:
    return phantom_subject(seed=4, kind="diffuse", spacing_mm=4.0)


def with_network(cls: type[Reconstruction] = DAE, **options: object) -> Reconstruction:
    return cls(**options).replace(network=Blank())


def test_the_score_is_the_blurred_error_in_robust_z_over_12(patient: PhantomSubject) -> None:
    scan = patient.scan
    score = with_network().score(scan)["WT"].values
    brain = scan.foreground()
    image = scan.images[Modality.FLAIR]
    middle = np.median(image[brain])
    z = (image - middle) / (1.4826 * np.median(np.abs(image[brain] - middle)))
    # five pixels of 2 mm, nearly a mean: a standard deviation of 2.8 mm within the slice
    expected = gaussian_filter(np.where(brain, np.clip(z, 0, 8) / 12, 0), (0.7, 0.7, 0))
    assert np.corrcoef(score[brain], expected[brain])[0, 1] > 0.9
    assert score[brain].mean() == pytest.approx(expected[brain].mean(), rel=0.15)
    assert not score[~brain].any()


def test_dark_tissue_counts_on_t1_but_not_on_flair(patient: PhantomSubject) -> None:
    dark = np.where(patient.scan.foreground(), np.float32(100), np.float32(0))
    rng = np.random.default_rng(0)
    dark = np.where(dark > 0, dark + rng.normal(0, 5, dark.shape), 0).astype(np.float32)
    hole = np.zeros(dark.shape, bool)
    hole[20:26, 24:32, 18:26] = True
    dark[hole & patient.scan.foreground()] = 60
    for name, expected in ((Modality.T1, True), (Modality.FLAIR, False)):
        scan = Scan("s", {name: dark}, patient.scan.affine, brain=patient.scan.foreground())
        found = with_network().score(scan)["WT"].values[hole].mean() > 0.1
        assert found == expected


def test_every_other_slice_is_close_to_every_slice(patient: PhantomSubject) -> None:
    full = with_network().score(patient.scan)["WT"].values
    fast = with_network(quality="fast").score(patient.scan)["WT"].values
    assert np.corrcoef(full.ravel(), fast.ravel())[0, 1] > 0.97


def test_any_threshold_can_be_put_on(patient: PhantomSubject) -> None:
    method = with_network()
    method = method.replace(refiners={"WT": ()})
    volumes = []
    for rule in (Fixed(value=0.05), Fixed(value=0.2), Otsu()):
        volumes.append(method.replace(thresholds={"WT": rule}).segment(patient.scan).volumes_ml["WT"])
    assert volumes[0] > volumes[1] > 0
    assert volumes[2] > 0


def test_the_published_preset_is_published() -> None:
    method = DAE(preset="published")
    assert (method.slices.frame, method.slices.size) == ("mni", 128)
    assert method.error(Modality.FLAIR).side == "both"
    assert method.network_settings().widths == (64, 128, 256, 512)  # type: ignore[attr-defined]
    assert method.refiners["WT"] == ()
    assert AE(preset="published").network_settings().size == 128  # type: ignore[attr-defined]


def test_without_a_network_there_is_a_sentence(patient: PhantomSubject) -> None:
    with pytest.raises(InputError, match="has no network"):
        DAE().score(patient.scan)


def test_scans_that_set_the_threshold_were_not_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class BlankModule(nn.Linear):
        settings = None

        def forward(self, x: Tensor) -> Tensor:
            return torch.full_like(x, 1 / 3)

    def learn(self: Reconstruction, stacks: list, folder: Path) -> nn.Module:  # type: ignore[type-arg]
        seen.extend({stack.id for stack in stacks})
        return BlankModule(1, 1)

    monkeypatch.setattr(Reconstruction, "learn", learn)
    one = phantom_subject(1, healthy=True, spacing_mm=6.0).scan
    healthy = Cohort.of(one.replace(id=f"h{i}") for i in range(6))
    method = VAE(made=0).fit(healthy=healthy)
    assert sorted(seen) == ["h0", "h1", "h2"]
    assert method.card["healthy"] == ["h3", "h4", "h5"]
    assert method.thresholds["WT"].value is not None


@pytest.fixture(scope="module")
def small() -> Cohort:
    return Cohort.of(phantom_subject(seed, healthy=True, spacing_mm=6.0).scan for seed in (1, 2, 3))


@pytest.mark.parametrize("name", ["ae", "vae", "vq-vae", "f-anogan"])
def test_the_ones_without_weights_fit_save_load_and_segment(name: str, small: Cohort, tmp_path: Path) -> None:
    method = methods.create(name, made=0, steps=2, batch=2, quality="fast").fit(healthy=small)
    method.save(tmp_path / "model")
    again = methods.load(tmp_path / "model")
    assert type(again) is type(method)
    scan = phantom_subject(9, spacing_mm=6.0).scan
    assert np.allclose(method.score(scan)["WT"].values, again.score(scan)["WT"].values, atol=5e-3)
    assert again.segment(scan).thresholds["WT"].value == method.thresholds["WT"].value
    with pytest.raises(InputError, match=f"annofree fit {name}"):
        methods.shipped(name)


@pytest.mark.parametrize("sequence", list(Modality))
def test_one_sequence_is_enough(sequence: Modality, patient: PhantomSubject) -> None:
    scan = patient.scan.replace(images={sequence: patient.scan.images[sequence]})
    assert with_network().score(scan)["WT"].values.max() > 0
