"""A report must land on its own side, lobe and size in the scan, and must not be believed where it cannot be placed."""

from __future__ import annotations

import numpy as np
import pytest

from annofree.anatomy import gyri_atlas
from annofree.anatomy.align import Alignment
from annofree.errors import InputError
from annofree.reports import AtlasRegions
from annofree.scan import Modality, Scan
from annofree.thresholds.report_targets import ReportTargetSettings, Use, report_target

TEXT = (
    "FINDINGS: There is a mass in the right frontal lobe, measuring 40 x 50 x 40 mm. No abnormality in the left lobe."
)
STRAIGHT = Alignment(np.eye(4), 0.95, 0.5, True)


@pytest.fixture(scope="module")
def regions() -> AtlasRegions:
    return AtlasRegions(gyri_atlas())


def scan(report: str | None = TEXT, shift: float = 0.0) -> Scan:
    """A box of brain at 6 mm that lies where MNI's lies."""
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    affine[:3, 3] = (-75 + shift, -110, -66)
    image = np.full((26, 32, 25), 10, dtype=np.float32)
    return Scan("p", {Modality.FLAIR: image}, affine, brain=np.ones(image.shape, dtype=bool), report=report)


def use(how: Use) -> ReportTargetSettings:
    return ReportTargetSettings(use=how)


def test_right_frontal_lies_right_and_in_front_on_any_grid(regions: AtlasRegions) -> None:
    for shift in (0.0, 3.0):
        made = scan(shift=shift)
        target = report_target(made, regions, use("published"), alignment=STRAIGHT)
        assert target is not None
        place = np.argwhere(target.inside) @ made.affine[:3, :3].T + made.affine[:3, 3]
        assert (place[:, 0] > -6).all()
        assert place[:, 1].mean() > 0
        assert 100 < target.inside.sum() * made.voxel_ml < 350  # a frontal lobe


def test_the_more_is_used_the_smaller_the_room(regions: AtlasRegions) -> None:
    found = {how: report_target(scan(), regions, use(how), alignment=STRAIGHT) for how in ("none", "side", "lobe")}
    rooms = [int(target.inside.sum()) for target in found.values() if target is not None]
    assert rooms == sorted(rooms, reverse=True)
    assert len(set(rooms)) == 3
    for target in found.values():
        assert target is not None
        assert not (target.inside & target.outside).any()
        assert (target.inside | target.outside).all()
        assert target.volume is None


def test_diameters_become_a_volume_range(regions: AtlasRegions) -> None:
    target = report_target(scan(), regions, use("lobe+size"), alignment=STRAIGHT)
    assert target is not None
    assert target.volume is not None
    assert target.volume.low_ml < np.pi / 6 * 4 * 5 * 4 < target.volume.high_ml


def test_a_brain_that_could_not_be_aligned_gives_no_places(regions: AtlasRegions) -> None:
    lost = Alignment(np.eye(4), 0.5, 0.0, False)
    target = report_target(scan(), regions, alignment=lost)
    assert target is not None
    assert target.inside.all()
    assert "could not be aligned" in target.notes[0]


def test_no_tumour_no_target_and_no_report_an_error(regions: AtlasRegions) -> None:
    assert report_target(scan("No mass. No evidence of a tumour."), regions, alignment=STRAIGHT) is None
    with pytest.raises(InputError, match="has no report"):
        report_target(scan(None), regions, alignment=STRAIGHT)
