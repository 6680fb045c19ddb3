"""A smallest volume of v ml would drop a lesion of exactly v ml, or a floor of 50 mm3 count one of 50 mm3."""

from __future__ import annotations

import numpy as np
import pytest

from annofree.anatomy import locate
from annofree.metrics import LesionRule, lesionwise
from annofree.metrics.rules import score_by_rule
from annofree.modality import Modality
from annofree.refine import KeepComponents, RefineContext
from annofree.scan import Scan
from annofree.volumes import exceeds, reaches

#: Voxel edges in mm; a NIfTI header keeps them in single precision.
EDGES = [(1.0, 1.0, 1.0), (0.9, 0.9, 1.0), (0.9375, 0.9375, 1.2), (0.7, 0.7, 0.7), (0.1, 0.3, 0.7), (2.0, 2.0, 5.5)]


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("voxels", [1, 3, 64, 1000, 1_000_000])
def test_exactly_the_volume_reaches_and_does_not_exceed_it(edges: tuple[float, ...], voxels: int) -> None:
    stated_ml = voxels * float(np.prod(edges)) / 1000
    header_ml = float(np.prod(np.float32(edges).astype(float))) / 1000
    for voxel_ml in (float(np.prod(edges)) / 1000, header_ml):
        assert reaches(voxels, voxel_ml, stated_ml)
        assert not exceeds(voxels, voxel_ml, stated_ml)
        if voxels < 500_000:
            assert not reaches(voxels - 1, voxel_ml, stated_ml)
            assert exceeds(voxels + 1, voxel_ml, stated_ml)


@pytest.mark.parametrize("edges", EDGES)
def test_components_keep_a_lesion_of_exactly_the_smallest_volume(edges: tuple[float, float, float]) -> None:
    mask = np.zeros((20, 12, 12), bool)
    mask[1:5, 1:5, 1:5], mask[10:14, 1:5, 1:5] = True, True
    mask[13, 4, 4] = False  # 64 and 63 voxels
    spacing = tuple(float(np.float32(edge)) for edge in edges)
    context = RefineContext(
        scores=np.zeros(mask.shape, np.float32), brain=np.ones(mask.shape, bool), spacing_mm=spacing
    )
    kept = KeepComponents(min_ml=64 * float(np.prod(edges)) / 1000).apply(mask, context)
    assert (kept[:8].sum(), kept[8:].sum()) == (64, 0)


@pytest.mark.parametrize("edges", EDGES)
def test_the_lesion_table_keeps_it_too(edges: tuple[float, float, float]) -> None:
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[5:9, 10:14, 10:14], labels[20:24, 10:14, 10:14] = 2, 2
    labels[23, 13, 13] = 0
    brain = np.zeros(labels.shape, bool)
    brain[2:28, 2:28, 2:28] = True
    image = np.where(brain, np.random.default_rng(0).normal(300, 30, labels.shape), 0).astype(np.float32)
    scan = Scan("a", {Modality.FLAIR: image}, np.diag([*np.float32(edges).astype(float), 1.0]), brain=brain)
    smallest = 64 * float(np.prod(edges)) / 1000
    assert [round(lesion.volume_ml / scan.voxel_ml) for lesion in locate(labels, scan, min_volume_ml=smallest)] == [64]


@pytest.mark.parametrize("edges", EDGES)
def test_the_floor_of_the_lesion_wise_rule_leaves_out_exactly_its_volume(edges: tuple[float, float, float]) -> None:
    truth, nothing = np.zeros((2, 12, 12, 12), bool)
    truth[2:6, 2:6, 2:6] = True
    spacing = tuple(float(np.float32(edge)) for edge in edges)
    volume = 64 * float(np.prod(edges))
    assert lesionwise(truth, nothing, spacing, LesionRule(3, volume)).ignored == 1
    assert lesionwise(truth, nothing, spacing, LesionRule(3, volume * 63 / 64)).ignored == 0


def test_a_metastasis_of_exactly_20_mm3_is_large() -> None:
    truth, nothing = np.zeros((2, 12, 12, 12), bool)
    truth[2:4, 2:4, 2:7] = True
    for count, value in ((20, 0.0), (19, np.nan)):
        found = dict(score_by_rule("brats2025", truth, nothing, (1.0, 1.0, 1.0), metastases=True).rows)
        assert truth.sum() == count
        assert found["brats2025_lesionwise_dice"] == pytest.approx(value, nan_ok=True)
        truth[2, 2, 2] = False
