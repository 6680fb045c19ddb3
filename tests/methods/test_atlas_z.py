"""The atlas z: finds what the tissue does not explain, whatever sequence it is given, and calms down on symmetry."""

from __future__ import annotations

import numpy as np
import pytest

from annofree.methods.atlas_z import AtlasZ, tissue_z
from annofree.phantom import phantom_subject
from annofree.scan import Cohort, Modality
from annofree.thresholds.healthy import HealthyQuantile
from annofree.thresholds.mad import Mad


@pytest.fixture(scope="module")
def subject():
    return phantom_subject(2, kind="diffuse", spacing_mm=4.0)


def separation(values, labels, brain):
    """Chance that a tumour voxel scores higher than a healthy one (AUROC)."""
    from scipy.stats import rankdata

    ranks, tumour = rankdata(values[brain]), labels[brain] > 0
    n = int(tumour.sum())
    return (ranks[tumour].sum() - n * (n + 1) / 2) / (n * (len(ranks) - n))


@pytest.mark.parametrize("sequence", [None, Modality.T2, Modality.T1C, Modality.T1])
def test_tumour_scores_above_healthy_tissue_with_any_sequence(subject, sequence):
    scan = subject.scan
    if sequence is not None:
        scan = scan.replace(images={sequence: scan.images[sequence]})
    score = AtlasZ().score(scan)["WT"]
    assert (score.unit, score.values.shape) == ("z", scan.shape)
    assert not score.values[~scan.brain].any()
    assert np.isfinite(score.values).all()
    assert separation(score.values, subject.labels, scan.brain) > (0.85 if sequence in (None, Modality.T2) else 0.55)


def test_segmentation_lies_on_the_tumour_and_says_its_tier(subject):
    result = AtlasZ().segment(subject.scan)
    truth = subject.labels > 0
    assert 2 * (result.mask() & truth).sum() / (result.mask().sum() + truth.sum()) > 0.3
    assert result.provenance["tier"] == "T0"
    assert isinstance(result.thresholds["WT"], Mad)


def test_what_is_bright_on_both_sides_is_discounted(subject):
    maps = [AtlasZ(asymmetry=a).score(subject.scan)["WT"] for a in (0.0, 1.0)]
    alone, both = (score.values for score in maps)
    # each map is rounded to steps of its own
    assert (both <= alone + sum(score.step or 0.0 for score in maps) / 2 + 1e-5).all()
    assert (both < alone - 0.5).any()


def test_fit_takes_the_threshold_from_healthy_scans_and_a_saved_model_scores_the_same(subject, tmp_path):
    healthy = Cohort.of([phantom_subject(s, healthy=True, spacing_mm=6.0).scan for s in (11, 12, 13)])
    method = AtlasZ(asymmetry=0.25).fit(healthy=healthy)
    assert isinstance(method.thresholds["WT"], HealthyQuantile)
    again = AtlasZ.load(method.save(tmp_path / "model"))
    assert again.settings == method.settings
    assert (again.segment(subject.scan).labels == method.segment(subject.scan).labels).all()


def test_a_head_that_cannot_be_aligned_is_still_scored(subject):
    scan = subject.scan
    upper = scan.brain & (np.arange(scan.shape[2]) > 0.6 * scan.shape[2])
    values = AtlasZ().score(scan.replace(brain=upper))["WT"].values
    assert np.isfinite(values).all()
    assert values[upper].any()


def test_tissue_z_does_not_depend_on_grey_level_units_and_a_tumour_has_no_say():
    rng = np.random.default_rng(3)
    share = rng.uniform(size=(20, 20, 20)).astype(np.float32)
    tissues = np.stack([share, 1 - share, np.zeros_like(share)])
    image = (100 * share + 50 * (1 - share) + rng.normal(0, 3, share.shape)).astype(np.float32)
    image[:6] += 60
    brain = np.ones(share.shape, bool)
    z = tissue_z(image, brain, tissues)
    assert np.abs(np.median(z[8:])) < 0.1
    assert z[8:].std() == pytest.approx(1.0, abs=0.15)
    assert (z[:6] > 6).mean() > 0.95
    np.testing.assert_allclose(tissue_z(image * 7 + 3, brain, tissues), z, atol=1e-2)
    np.testing.assert_allclose(tissue_z(image, brain, tissues, -1), -z, atol=1e-6)
