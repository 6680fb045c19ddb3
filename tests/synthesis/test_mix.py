"""Second stage: a patient's tumour in a healthy scan."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError
from annofree.scan import Cohort, Modality, Scan
from annofree.synthesis.mix import MixSettings, mix, plan_pairs
from annofree.synthesis.mix_dataset import write_mixed

SHAPE = (50, 60, 50)
WORLD = MixSettings(align="world", flip=0.0, scale=(1.0, 1.0))


def affine(shape: tuple[int, ...], spacing: float = 3.0) -> np.ndarray:
    out = np.diag([spacing, spacing, spacing, 1.0])
    out[:3, 3] = -spacing * (np.array(shape) - 1) / 2
    return out


def ball(shape: tuple[int, ...], radius: float, centre: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    axes = np.meshgrid(
        *(np.arange(n) - (n - 1) / 2 - c for n, c in zip(shape, centre, strict=True)), indexing="ij", sparse=True
    )
    return sum(a**2 for a in axes) < radius**2


def person(name: str, level: float, tumour: np.ndarray | None = None, shape: tuple[int, int, int] = SHAPE) -> Scan:
    """A brain of noise at a scanner's own grey level; tumours are twice as bright."""
    brain = ball(shape, 22.0)
    rng = np.random.default_rng(len(name))
    values = level * (1.0 + 0.1 * rng.normal(size=shape))
    if tumour is not None:
        values = np.where(tumour, 2.0 * values, values)
    return Scan(name, {Modality.FLAIR: np.where(brain, values, 0).astype(np.float32)}, affine(shape), brain=brain)


@pytest.fixture(scope="module")
def tumour() -> np.ndarray:
    return ball(SHAPE, 6.0, (9, 3, 2))


def test_by_affine_the_tumour_keeps_its_place_and_size_in_the_world(tumour: np.ndarray) -> None:
    """A larger array with the same world: the published stretch enlarges the tumour, the affine does not."""
    patient, host = person("patient", 100.0, tumour), person("host", 100.0, shape=(60, 72, 60))
    ours = mix(patient, tumour, host, np.random.default_rng(0), WORLD)
    published = mix(patient, tumour, host, np.random.default_rng(0), MixSettings.published())
    volume = tumour.sum() * patient.voxel_ml
    assert ours.volume_ml == pytest.approx(volume, rel=0.02)
    assert published.volume_ml == pytest.approx(volume * 1.2**3, rel=0.05)
    where = host.affine[:3, :3] @ np.argwhere(ours.labels > 0).mean(0) + host.affine[:3, 3]
    np.testing.assert_allclose(where, np.array([9, 3, 2]) * 3.0, atol=1.5)


def test_grey_levels_are_matched_inside_brains_only(tumour: np.ndarray) -> None:
    """Another scanner's level must not tell the paste; the published z-score depends on the empty background."""
    patient, host = person("patient", 1000.0, tumour), person("host", 100.0)
    made = mix(patient, tumour, host, np.random.default_rng(1), WORLD)
    inside = ball(SHAPE, 4.5, (9, 3, 2))
    assert made.images[Modality.FLAIR][inside].mean() == pytest.approx(200.0, rel=0.08)
    outside = ~ball(SHAPE, 8.0, (9, 3, 2))
    assert np.array_equal(made.images[Modality.FLAIR][outside], host.images[Modality.FLAIR][outside])


def test_the_seam_is_soft_and_the_label_ends_where_it_is_half(tumour: np.ndarray) -> None:
    patient = person("patient", 100.0)
    patient = patient.replace(images={Modality.FLAIR: np.where(tumour, 200, np.where(patient.brain, 100, 0))})
    host = person("host", 100.0)
    host = host.replace(images={Modality.FLAIR: np.where(host.brain, 100.0, 0.0)})
    same = WORLD.model_copy(update={"normalise": "volume", "blend_mm": 12.0})
    image = mix(patient, tumour, host, np.random.default_rng(2), same).images[Modality.FLAIR]
    hard = mix(patient, tumour, host, np.random.default_rng(2), same.model_copy(update={"blend_mm": 0.0}))
    edge = np.abs(np.diff(image[28:44, 32, 26])).max()
    assert edge < 0.75 * np.abs(np.diff(hard.images[Modality.FLAIR][28:44, 32, 26])).max()
    assert np.array_equal(hard.labels > 0, tumour)


def test_nothing_is_pasted_outside_the_brain_but_in_the_published_form_it_never_was_checked(
    tumour: np.ndarray,
) -> None:
    patient, host = person("patient", 100.0, tumour), person("host", 100.0)
    small = ball(SHAPE, 11.0)
    host = host.replace(images={Modality.FLAIR: np.where(small, host.images[Modality.FLAIR], 0)}, brain=small)
    for settings in (WORLD, WORLD.model_copy(update={"margin": True}), MixSettings.published()):
        made = mix(patient, tumour, host, np.random.default_rng(3), settings)
        assert not (made.labels[~small] > 0).any()
        assert (made.images[Modality.FLAIR][~small] == 0).all()
        assert 0 < made.kept < 1


def test_flips_and_scales(tumour: np.ndarray) -> None:
    patient, host = person("patient", 100.0, tumour), person("host", 100.0)
    flipped = mix(
        patient, tumour, host, np.random.default_rng(4), MixSettings(align="world", flip=1.0, scale=(1.0, 1.0))
    )
    assert np.argwhere(flipped.labels > 0).mean(0)[0] == pytest.approx(24.5 - 9, abs=0.6)
    larger = mix(
        patient, tumour, host, np.random.default_rng(4), MixSettings(align="world", flip=0.0, scale=(1.2, 1.2))
    )
    assert (larger.labels > 0).sum() == pytest.approx(1.2**3 * tumour.sum(), rel=0.06)


def test_the_random_margin_takes_more_or_less_than_the_tumour(tumour: np.ndarray) -> None:
    patient, host = person("patient", 100.0, tumour), person("host", 100.0)
    settings = WORLD.model_copy(update={"margin": True, "blend_mm": 0.0})
    changed, labelled = [], []
    for seed in range(8):
        made = mix(patient, tumour, host, np.random.default_rng(seed), settings)
        changed.append(int((made.images[Modality.FLAIR] != host.images[Modality.FLAIR]).sum()))
        labelled.append(int((made.labels > 0).sum()))
    assert min(changed) < tumour.sum() < max(changed)
    assert max(labelled) == tumour.sum()  # healthy surroundings come along unlabelled


def test_classes_of_the_label_survive(tumour: np.ndarray) -> None:
    label = tumour * 2 + ball(SHAPE, 3.0, (9, 3, 2))
    made = mix(person("patient", 100.0, tumour), label, person("host", 100.0), np.random.default_rng(5), WORLD)
    assert set(np.unique(made.labels)) == {0, 2, 3}


def test_pairs_respect_the_limits_of_use() -> None:
    pairs = plan_pairs(["a", "b", "c"], list("uvwxyz"), 6, np.random.default_rng(0), MixSettings.published())
    assert sorted(host for _, host in pairs) == list("uvwxyz")
    assert all([t for t, _ in pairs].count(t) == 2 for t in "abc")
    with pytest.raises(InputError, match="at most 6"):
        plan_pairs(["a", "b", "c"], list("uvwxyz"), 7, np.random.default_rng(0), MixSettings.published())


def test_an_empty_pseudo_label_is_refused() -> None:
    with pytest.raises(InputError, match="no tumour"):
        mix(person("p", 1.0), np.zeros(SHAPE), person("h", 1.0), np.random.default_rng(0), WORLD)


def test_the_mixed_data_set(tmp_path: Path, tumour: np.ndarray) -> None:
    patients = Cohort.of([person("p1", 100.0, tumour), person("p2", 100.0, tumour), person("empty", 100.0)])
    hosts = Cohort.of([person("h1", 100.0), person("h22", 100.0)])
    labels = {"p1": tumour.astype(np.uint8), "p2": tumour.astype(np.uint8), "empty": np.zeros(SHAPE, np.uint8)}
    settings = MixSettings(align="world", healthy_uses=2)
    out = write_mixed(patients, labels, hosts, tmp_path / "mix", n=4, seed=9, settings=settings)
    again = write_mixed(patients, labels, hosts, tmp_path / "again", n=4, seed=9, settings=settings)
    rows = list(csv.DictReader((out / "cases.csv").open()))
    assert list(rows[0])[:4] == ["id", "tumour", "healthy", "seed"]
    assert {row["tumour"] for row in rows} == {"p1", "p2"}
    assert (out / "cases.csv").read_bytes() == (again / "cases.csv").read_bytes()
    assert json.loads((out / "dataset.json").read_text())["labels"] == {"background": 0, "tumour": 1}
    assert sorted(p.name for p in (out / "labelsTr").iterdir()) == [f"mixed_{k:04d}.nii.gz" for k in range(4)]
