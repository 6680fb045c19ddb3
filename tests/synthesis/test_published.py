"""The published first stage: shapes, intensities, labels, the data set on disk."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from annofree.errors import InputError, OutputError
from annofree.formats import open_cohort, open_scan
from annofree.masks import largest_component
from annofree.scan import Cohort, Modality, Scan
from annofree.synthesis.blob import blob, simplex_noise
from annofree.synthesis.dataset import write_published
from annofree.synthesis.published import make_published
from annofree.synthesis.published_settings import PRESETS, PublishedSettings

SPACING = (2.0, 2.0, 2.0)


def ball(radius: float, shape: tuple[int, int, int] = (72, 80, 70)) -> np.ndarray:
    axes = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in shape), indexing="ij", sparse=True)
    return sum(a**2 for a in axes) < radius**2


@pytest.fixture(scope="module")
def brain() -> np.ndarray:
    return ball(32.0)


@pytest.fixture(scope="module")
def image(brain: np.ndarray) -> np.ndarray:
    texture = np.random.default_rng(0).normal(100.0, 8.0, brain.shape)
    return np.where(brain, texture, 0.0).astype(np.float32)


def healthy(brain: np.ndarray, image: np.ndarray, names: str) -> Cohort:
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    return Cohort.of(
        open_scan(nib.Nifti1Image(image[::-1, ::-1], affine), sequence="FLAIR", brain_mask=brain, id=name)
        for name in names
    )


def test_simplex_noise_is_smooth_bounded_and_zero_mean() -> None:
    points = np.random.default_rng(1).uniform(-20, 20, (3, 20_000))
    values = simplex_noise(points, 5)
    assert np.abs(values).max() < 1.05
    assert abs(values.mean()) < 0.02
    assert values.std() > 0.2
    step = simplex_noise(points + 1e-3, 5) - values
    assert np.abs(step).max() < 0.02  # no jumps, also across the simplices' faces
    assert np.abs(simplex_noise(points, 6) - values).max() > 0.5


def test_a_plain_ellipsoid_has_the_volume_asked_for_on_any_grid() -> None:
    rng = np.random.default_rng(2)
    for spacing in ((1.0, 1.0, 1.0), (0.8, 1.1, 2.0)):
        _, mask = blob((90, 90, 90), spacing, np.array([45.0] * 3), rng, volume_ml=20.0, ratio=1.3, form="ellipsoid")
        assert mask.sum() * np.prod(spacing) / 1000 == pytest.approx(20.0, rel=0.01)


def test_noisy_blobs_vary_as_published() -> None:
    """Volume after noise over volume asked for: mean 1.23, sd 0.25, 0.6 to 2.0 over all published shapes."""
    rng = np.random.default_rng(3)
    ratios = []
    for _ in range(40):
        box, mask = blob((60, 60, 60), SPACING, np.array([30.0] * 3), rng, volume_ml=20.0)
        assert largest_component(mask, 6).sum() > 0.97 * mask.sum()
        assert mask.shape == tuple(s.stop - s.start for s in box)
        ratios.append(mask.sum() * 8e-3 / 20.0)
    assert np.mean(ratios) == pytest.approx(1.23, abs=0.12)
    assert np.std(ratios) == pytest.approx(0.25, abs=0.1)


def test_the_training_form_is_the_published_formula(brain: np.ndarray, image: np.ndarray) -> None:
    """Against the formula written out on the whole volume: I (1 - M) + t G M, label where M > 0.1."""
    from scipy import ndimage

    settings = PublishedSettings(two_tissues=0.0)
    made = make_published(image, brain, SPACING, np.random.default_rng(4), settings)
    twin = make_published(image, brain, SPACING, np.random.default_rng(4), settings, validation=True)
    tumour = twin.labels > 0  # the twin's label is the undilated blob of the same seed
    soft = ndimage.gaussian_filter(tumour.astype(np.float32), 1.0)
    expected = image * (1 - soft) + made.meta["gain"] * ndimage.gaussian_filter(image, 5.0) * soft
    np.testing.assert_allclose(made.image, expected, rtol=1e-4, atol=0.05)
    assert np.array_equal(made.labels > 0, soft > 0.1)
    assert np.array_equal(twin.image, np.where(tumour, np.float32(made.meta["gain"]) * image, image))
    assert made.meta["realised_ml"] == pytest.approx(tumour.sum() * 8e-3)


def test_the_inner_blob_lies_in_the_outer_one_and_has_its_own_factor(brain: np.ndarray, image: np.ndarray) -> None:
    made = make_published(
        image,
        brain,
        SPACING,
        np.random.default_rng(5),
        PublishedSettings(two_tissues=1.0, gain=(4.0, 4.0)),
        validation=True,
    )
    inside = made.labels > 0
    core = inside & (made.image < 2.0 * image)
    assert core.sum() * 8e-3 == pytest.approx(made.meta["core_ml"])
    assert 0 < made.meta["core_ml"] <= made.meta["realised_ml"]
    np.testing.assert_allclose(made.image[core], made.meta["second_gain"] * image[core], rtol=1e-5)


def test_corrected_labels_are_as_large_as_the_tumour_and_the_outside_is_untouched(
    brain: np.ndarray, image: np.ndarray
) -> None:
    ratios = {}
    for name, settings in (("published", PublishedSettings()), ("corrected", PublishedSettings.corrected())):
        made = [make_published(image, brain, SPACING, np.random.default_rng(seed), settings) for seed in range(4)]
        ratios[name] = np.mean([case.meta["label_ml"] / case.meta["realised_ml"] for case in made])
        changed = any((case.image[~brain] != 0).any() or (case.labels[~brain] > 0).any() for case in made)
        assert changed == (name == "published")
    assert ratios["published"] > 1.2
    assert ratios["corrected"] == pytest.approx(1.0, abs=0.04)


def test_many_lesions_darkening_and_textures(brain: np.ndarray, image: np.ndarray) -> None:
    many = make_published(image, brain, SPACING, np.random.default_rng(6), PRESETS["published-multi"]())
    assert many.meta["lesions"] == 30
    assert many.meta["requested_ml"] > 200
    dark = make_published(image, brain, SPACING, np.random.default_rng(6), PublishedSettings(darken=1.0))
    assert dark.meta["gain"] < 1
    assert dark.image[dark.labels > 0].mean() < 80
    for texture in ("constant", "random", "csf"):
        made = make_published(image, brain, SPACING, np.random.default_rng(7), PublishedSettings(texture=texture))
        assert np.isfinite(made.image).all()
        assert (made.image != image).any()
    assert dark.image.dtype == np.float32


def test_a_mask_of_another_shape_is_refused(brain: np.ndarray, image: np.ndarray) -> None:
    with pytest.raises(InputError, match="does not fit"):
        make_published(image, brain[1:], SPACING, np.random.default_rng(0))


def test_the_data_set_is_the_same_with_any_number_of_workers(
    tmp_path: Path, brain: np.ndarray, image: np.ndarray
) -> None:
    cohort = healthy(brain, image, "abcd")
    for workers in (1, 2):
        write_published(cohort, tmp_path / str(workers), seed=11, workers=workers)
    files = sorted(p.relative_to(tmp_path / "1") for p in (tmp_path / "1").rglob("*.*"))
    assert len(files) == 4 * 2 + 3
    for file in files:
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes(), file


def test_nnunet_reads_the_split_and_we_read_the_cases(tmp_path: Path, brain: np.ndarray, image: np.ndarray) -> None:
    out = write_published(healthy(brain, image, "ab"), tmp_path / "Task100", n=4, seed=3)
    (split,) = json.loads((out / "splits_final.json").read_text())
    assert len(split["train"]) == len(split["val"]) == 2
    assert all(name.endswith("val") for name in split["val"])
    assert {name[0] for name in split["train"]}.isdisjoint(name[0] for name in split["val"])  # no person on both sides
    assert {p.name.removesuffix(".nii.gz") for p in (out / "labelsTr").iterdir()} == {*split["train"], *split["val"]}
    assert json.loads((out / "dataset.json").read_text())["channel_names"] == {"0": "FLAIR"}
    rows = list(csv.DictReader((out / "cases.csv").open()))
    assert {"requested_ml", "realised_ml", "label_ml", "gain", "seed"} <= set(rows[0])
    scan = open_cohort(out)[split["train"][0]]
    assert scan.sequences == (Modality.FLAIR,)
    label = nib.load(out / "labelsTr" / f"{split['train'][0]}.nii.gz")
    assert np.allclose(label.affine, np.diag([-2.0, -2.0, 2.0, 1.0]))  # the file's own axis order
    row = next(r for r in rows if r["case"] == scan.id)
    assert np.asarray(label.dataobj).sum() * 8e-3 == pytest.approx(float(row["label_ml"]), rel=1e-4)
    assert scan.images[Modality.FLAIR][scan.to_native(np.asarray(label.dataobj)) > 0].mean() > 110
    with pytest.raises(OutputError, match="a finished run or other files"):
        write_published(healthy(brain, image, "ab"), out)


def test_a_scan_without_the_sequence_is_named(tmp_path: Path, brain: np.ndarray, image: np.ndarray) -> None:
    cohort = Cohort.of([Scan("t1only", {Modality.T1: image}, np.eye(4), brain=brain)])
    with pytest.raises(InputError, match="t1only"):
        write_published(cohort, tmp_path / "out")


@pytest.mark.real
def test_on_the_published_demo_case_the_figures_agree(shared_data: Path) -> None:
    """Label over tumour 1.28 (1.21-1.35), tumour volume 16.5-75 ml (5-95 %), core over tumour 0.44; under 1 s each."""
    scan = open_scan(shared_data / "healthy" / "OAS30135", brain_mask="*_brainmask.nii.gz")
    image, brain = np.ascontiguousarray(scan.images[Modality.FLAIR]), np.ascontiguousarray(scan.foreground())
    start = time.process_time()
    made = [make_published(image, brain, scan.spacing_mm, np.random.default_rng([k, 1])) for k in range(12)]
    assert (time.process_time() - start) / 12 < 1.0
    tumour = [case.meta["realised_ml"] for case in made]
    assert np.mean([case.meta["label_ml"] for case in made] / np.array(tumour)) == pytest.approx(1.28, abs=0.05)
    assert np.mean([case.meta["core_ml"] for case in made] / np.array(tumour)) == pytest.approx(0.44, abs=0.15)
    assert 25 < np.mean(tumour) < 60
