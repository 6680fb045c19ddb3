"""MViT-AE: the frame, what a step sees, the loss, fusion, levels, and the published decisions with their faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from annofree.errors import InputError
from annofree.inference.torch_network import TorchNetwork
from annofree.methods.mvit_ae import MViTAE, MViTAEPublished, MViTAESettings, method
from annofree.methods.mvit_ae.frame import BRATS_MM3, frame, network_settings, reconstruct, whole_volume_z
from annofree.methods.mvit_ae.healthy import HealthySlices, HealthyVolume
from annofree.methods.mvit_ae.learn import SliceSampler, fit_autoencoder, hide, slice_loss
from annofree.methods.mvit_ae.method import fuse
from annofree.methods.mvit_ae.network import MaskedViTAE, MaskedViTAESettings, ViTAESettings, patches
from annofree.networks import build
from annofree.phantom import phantom_subject
from annofree.refine.published_mvit import PublishedMViT
from annofree.scan import Cohort, Modality, Scan
from annofree.training.settings import TrainSettings

TINY = MaskedViTAESettings(dim=16, depth=1, heads=2, mlp=16, squeeze=2, latent=8, decoder=(8, 8, 8, 8))


@pytest.fixture(scope="module")
def person() -> Scan:
    return phantom_subject(seed=11, healthy=True, spacing_mm=4.0).scan


@pytest.fixture(scope="module")
def slices(person: Scan) -> HealthySlices:
    return HealthySlices.gather([HealthyVolume(1, person.id, lambda: frame(person, TINY.size, 4.0)[0])])


def test_slices_go_back_to_where_they_were_cut(person: Scan) -> None:
    framed, rules = frame(person, (64, 80), 4.0)
    assert framed.images.shape[2:] == (64, 80)
    assert framed.present.all()
    assert -1.5 < framed.height[0] < 0 < framed.height[-1] < 1.5
    assert person.brain is not None
    back = rules[Modality.FLAIR].back(framed.to_scan(framed.images[3], person))
    near = person.brain & (np.abs(rules[Modality.FLAIR](person.images[Modality.FLAIR])) < 8)
    np.testing.assert_allclose(back[near], person.images[Modality.FLAIR][near], rtol=1e-4)


def test_a_brain_larger_than_the_frame_is_seen_whole_at_a_coarser_spacing(person: Scan) -> None:
    large = Scan("large", dict(person.images), np.diag([12.0, 12.0, 12.0, 1.0]), brain=person.brain)
    framed, _ = frame(large, (64, 80), 2.5)
    assert framed.grid.spacing_mm[0] > 2.5
    assert not framed.brain[:, 0].any()
    assert not framed.brain[:, -1].any()
    with pytest.raises(InputError, match="no brain"):
        frame(person.replace(brain=np.zeros(person.shape, bool)), (64, 80), 2.5)


def test_a_sample_depends_on_its_step_and_lane_alone_and_always_shows_something(slices: HealthySlices) -> None:
    sampler = SliceSampler(slices, TINY, seed=3)
    one, same, other = sampler(5, 1), sampler(5, 1), sampler(5, 2)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["noise"], other["noise"])
    rng = np.random.default_rng(0)
    present = np.array([True, False, False, True])
    for _ in range(200):
        hidden = hide(rng, present, (8, 10))
        assert hidden[1:3].all()
        assert hidden.shape == (4, 80)
        assert not hidden.all()


def test_the_loss_is_squared_error_and_structural_similarity_written_out() -> None:
    rng = np.random.default_rng(1)
    found, wanted = rng.normal(size=(2, 16, 16)).astype(np.float32)
    window = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2
    similar = []
    for i in range(6):
        for j in range(6):
            a, b = found[i : i + 11, j : j + 11], wanted[i : i + 11, j : j + 11]
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * a * a).sum() - ma**2, (window * b * b).sum() - mb**2
            both = (window * a * b).sum() - ma * mb
            light = (2 * ma * mb + 0.01**2) / (ma**2 + mb**2 + 0.01**2)
            similar.append(light * (2 * both + 0.03**2) / (va + vb + 0.03**2))
    expected = np.mean((found - wanted) ** 2) + 100 * (1 - np.mean(similar))
    tensors = [torch.from_numpy(x)[None, None] for x in (found, wanted, np.ones_like(found))]
    assert float(slice_loss(*tensors, 100.0, lift=0.0, span=1.0)) == pytest.approx(expected, rel=1e-4)


def test_what_lies_outside_the_brain_or_is_absent_does_not_count() -> None:
    rng = np.random.default_rng(2)
    found, wanted = torch.from_numpy(rng.normal(size=(2, 1, 2, 32, 32)).astype(np.float32))
    weight = torch.zeros_like(found)
    weight[:, 0, 4:28, 4:28] = 1.0
    other = torch.where(weight > 0, found, found + 50.0)
    losses = [slice_loss(x * weight, wanted * weight, weight, 100.0, lift=4.0, span=16.0) for x in (found, other)]
    assert torch.equal(*losses)


@pytest.mark.parametrize("config", [TINY, network_settings("narrow").model_copy(update={"dim": 16, "depth": 1})])
def test_a_stopped_training_goes_on(
    config: MaskedViTAESettings | ViTAESettings, person: Scan, slices: HealthySlices, tmp_path: Path
) -> None:
    if isinstance(config, ViTAESettings):
        size = (config.image, config.image)
        slices = HealthySlices.gather([HealthyVolume(0, "a", lambda: frame(person, size, 4.0)[0])])
    for steps in (2, 3):
        training = TrainSettings(steps=steps, batch=2, warmup=1, ahead=0)
        found = fit_autoencoder(slices, slices, tmp_path, network=config, training=training, extra={})
        assert found.step == steps
        assert found.best_score is not None
        assert np.isfinite(found.best_score)


def test_a_tumour_hidden_in_the_second_round_has_no_say_in_what_is_expected(person: Scan) -> None:
    torch.manual_seed(0)
    network = build(TINY).eval()
    assert isinstance(network, MaskedViTAE)
    framed, _ = frame(person, TINY.size, 4.0)
    depth = len(framed.height) // 2
    sick_patches, side = 3 * 2 * 2, TINY.patch
    covered = patches(torch.from_numpy(framed.brain[:, None].astype(np.float32)), side).mean(dim=(2, 3)) >= 0.25
    share = (sick_patches - 0.5) / (int(covered.sum()) - 1)
    answers = []
    for brightness in (20.0, 40.0):
        sick = framed.images.copy()
        sick[:, depth - 1 : depth + 2, 24:40, 32:48] = brightness
        other = type(framed)(sick, framed.brain, framed.height, framed.present, framed.grid, framed.start)
        answers.append(reconstruct(TorchNetwork(network), other, framed.present, rounds=2, hide_share=share)[:, depth])
    np.testing.assert_allclose(*answers, atol=1e-5)


def test_fusion_merges_decisions_per_sequence_or_decides_on_the_mean() -> None:
    rng = np.random.default_rng(0)
    residuals = {s: rng.normal(size=(3, 4, 5)).astype(np.float32) for s in Modality}
    levels = {Modality.T1: 2.0, Modality.T1C: 3.0, Modality.T2: 4.0, Modality.FLAIR: 5.0}
    merged = fuse(residuals, levels, "early-late", 1.5)
    np.testing.assert_allclose(merged["ET"], residuals[Modality.T1C] / 1.5)
    np.testing.assert_allclose(
        merged["WT"], np.maximum(residuals[Modality.T1C] / 3, residuals[Modality.FLAIR] / 5), rtol=1e-6
    )
    mean = fuse(residuals, levels, "early", 1.5)["WT"]
    signed = [(-1 if s == Modality.T1 else 1) * residuals[s] / levels[s] for s in Modality]
    np.testing.assert_allclose(mean, np.mean(signed, axis=0), rtol=1e-5, atol=1e-6)
    alone = fuse({Modality.T1: residuals[Modality.T1]}, levels, "late", 1.5)
    np.testing.assert_allclose(alone["WT"], -residuals[Modality.T1] / 2)
    assert list(alone) == ["WT"], "without T1C nothing tells what enhances, and the core is what encloses it"


def test_levels_come_from_real_scans_and_from_made_brains_where_those_lack_a_sequence(
    monkeypatch: pytest.MonkeyPatch, person: Scan
) -> None:
    monkeypatch.setattr(method, "bank_of", lambda labelmaps: None)
    monkeypatch.setattr(method, "HELD_OUT", 3)
    monkeypatch.setattr(method, "made_scan", lambda bank, seed: person.replace(id=f"made-{seed}"))
    images = {s: person.images[s] for s in (Modality.T1, Modality.FLAIR)}
    real = Cohort.of(person.replace(id=f"real-{i}", images=images) for i in range(3))
    ours = MViTAE(MViTAESettings(reconstruction="constant", spacing_mm=4.0)).calibrate(real)
    assert ours.tier == "T0"
    assert list(ours.thresholds["constant-FLAIR"].saw["ids"]) == ["real-0", "real-1", "real-2"]
    assert all(name.startswith("made-") for name in ours.thresholds["constant-T1C"].saw["ids"])
    patient = phantom_subject(seed=4, kind="glioblastoma", spacing_mm=4.0)
    for fusion in ("early", "late", "early-late"):
        result = ours.replace(fusion=fusion).segment(patient.scan)
        assert result.volumes_ml["WT"] > 5


def test_without_a_network_or_a_level_it_says_so(person: Scan) -> None:
    with pytest.raises(InputError, match="no network"):
        MViTAE().segment(person)
    with pytest.raises(InputError, match="no level"):
        MViTAE(reconstruction="constant").segment(person)
    with pytest.raises(InputError, match="no network"):
        MViTAEPublished().segment(person)


def test_the_published_normalisation_puts_background_and_brain_where_its_description_says() -> None:
    rng = np.random.default_rng(0)
    brain = np.zeros((240, 40, 31), bool)
    brain[:23, :22, :3] = True
    assert brain.sum() / (BRATS_MM3 / 1000) == pytest.approx(0.17, abs=1e-3)
    image = np.where(brain, rng.normal(100.0, 25.0, brain.shape), 0.0).astype(np.float32)
    scan = Scan("p", {Modality.FLAIR: image}, np.diag([10.0, 10.0, 10.0, 1.0]), brain=brain)
    z, _ = whole_volume_z(scan, Modality.FLAIR)
    assert z[~brain][0] == pytest.approx(-0.44, abs=0.02)
    assert z[brain].mean() == pytest.approx(2.1, abs=0.1)


def residuals_of(oedema: np.ndarray, enhancing: np.ndarray) -> tuple[tuple[np.ndarray, float], ...]:
    rng = np.random.default_rng(0)
    speckle = rng.uniform(0.0, 0.1, oedema.shape).astype(np.float32)
    return (
        (np.where(oedema, 3.0, 0.0).astype(np.float32) + speckle, 1.5),
        (np.where(enhancing, 3.0, 0.0).astype(np.float32) + speckle, 1.2),
    )


def test_the_published_hole_filling_deletes_enhancing_tumour_that_oedema_encloses() -> None:
    grid = np.stack(np.meshgrid(*(np.arange(32),) * 3, indexing="ij")) - 15.5
    distance = np.sqrt((grid**2).sum(0))
    oedema, enhancing = distance < 12, (distance < 7) & (distance > 3)
    oedema[:4, :4, :4] = True
    as_published = PublishedMViT().labels(*residuals_of(oedema, enhancing))
    corrected = PublishedMViT(over_enhancing=False).labels(*residuals_of(oedema, enhancing))
    assert not (as_published == 3).any()
    assert (corrected == 3).sum() > 0.9 * enhancing.sum()
    assert (corrected[distance < 2] == 2).all()  # a core that is bright on FLAIR, too, stays oedema
    assert not as_published[:4, :4, :4].any()  # the smaller component is dropped


def test_the_published_preset_segments_without_a_network_as_its_own_control() -> None:
    patient = phantom_subject(seed=4, kind="glioblastoma", spacing_mm=4.0)
    control = MViTAEPublished(reconstruction="constant")
    result = control.segment(patient.scan)
    assert control.tier == "T2"
    assert result.regions == ("WT", "TC", "ET")
    assert np.array_equal(result.affine, patient.scan.affine)
    assert {"residual-FLAIR", "residual-T1C"} <= set(result.scores)
