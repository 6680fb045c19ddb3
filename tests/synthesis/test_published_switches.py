"""Switches of the published form: where tumours lie, their shape, halo and clot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from annofree.anatomy import default_atlas, register_to_mni, template
from annofree.errors import InputError
from annofree.scan import Modality, Scan
from annofree.synthesis.blob import blob
from annofree.synthesis.placement import Tissue, tissue_of
from annofree.synthesis.published import make_published
from annofree.synthesis.published_settings import PublishedSettings
from command_line import call

SPACING = (3.0, 3.0, 3.0)


@pytest.fixture(scope="module")
def scan() -> Scan:
    """The template's brain at 3 mm with a FLAIR-like grey level, its header moved by 5 mm."""
    whole = template()
    every = (slice(None, None, 3),) * 3
    flair = np.where(whole.brain, 60.0 + 60.0 * whole.grey + 20.0 * whole.white, 0.0)[every].astype(np.float32)
    affine = whole.affine @ np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] += 5.0
    return Scan("mni", {Modality.FLAIR: flair}, affine, brain=np.ascontiguousarray(whole.brain[every]))


@pytest.fixture(scope="module")
def tissue(scan: Scan) -> Tissue:
    return tissue_of(scan)


def made(scan: Scan, maps: Tissue | None, seed: int, *, validation: bool = False, **settings: Any) -> Any:
    own = PublishedSettings(**{"volume_ml": (10.0, 20.0), "two_tissues": 0.0} | settings)
    image, rng = scan.images[Modality.FLAIR], np.random.default_rng(seed)
    return make_published(image, scan.foreground(), SPACING, rng, own, tissue=maps, validation=validation)


def mni_lobes(scan: Scan) -> tuple[np.ndarray, np.ndarray]:
    """Lobe and x of each voxel of the brain, straight from the header that was moved by 5 mm."""
    points = np.argwhere(scan.foreground()) @ scan.affine[:3, :3].T + scan.affine[:3, 3] - 5.0
    names = {row.index: row.lobe for row in default_atlas().table}
    return np.array([names.get(int(v), "") for v in default_atlas().sample(points)]), points[:, 0]


def test_tissue_is_the_template_s(scan: Scan, tissue: Tissue) -> None:
    brain = scan.foreground()
    lobes, x = mni_lobes(scan)
    assert not (tissue.left & tissue.right).any()
    assert np.array_equal(tissue.left | tissue.right, brain)
    assert tissue.left[brain][x < -6].all()
    assert not tissue.left[brain][x > 6].any()
    kept = tissue.resectable[brain]
    assert kept[np.isin(lobes, ["Frontal", "Parietal", "Temporal"])].mean() > 0.95
    assert kept[np.isin(lobes, ["Cerebellum", "Brainstem"])].mean() < 0.05
    grey = template().grey[::3, ::3, ::3]
    assert grey[tissue.grey].mean() > 0.6 > 0.45 > grey[tissue.resectable & ~tissue.grey].mean()
    assert (tissue.grey[brain] & np.isin(lobes, ["Deep grey", "Cerebellum"])).sum() < 0.03 * tissue.grey.sum()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_tumour_stays_in_its_hemisphere(scan: Scan, tissue: Tissue, side: str) -> None:
    for seed in range(6):
        twin = made(scan, tissue, seed, hemisphere=side, validation=True)
        x = np.argwhere(twin.labels > 0) @ scan.affine[:3, :3].T + scan.affine[:3, 3] - 5.0
        assert (x[:, 0] < 4.0).all() if side == "left" else (x[:, 0] > -4.0).all()


def test_either_hemisphere_is_drawn_for_each_tumour(scan: Scan, tissue: Tissue) -> None:
    sides = set()
    for seed in range(8):
        found = made(scan, tissue, seed, hemisphere="either", validation=True).labels > 0
        left = (found & tissue.left).sum() / found.sum()
        assert left in (0.0, 1.0)
        sides.add(left)
    assert sides == {0.0, 1.0}


def test_centres_lie_in_grey_matter_and_tumours_in_what_can_be_resected(scan: Scan, tissue: Tissue) -> None:
    free = 0
    for seed in range(10):
        case = made(scan, tissue, seed, centre="grey", tissue="resectable", validation=True)
        at = tuple(case.meta[f"{axis}_vox"] for axis in "xyz")
        assert tissue.grey[at]
        assert tissue.resectable[at]
        assert not (case.labels[~tissue.resectable]).any()
        plain = made(scan, None, seed, validation=True)
        free += int((plain.labels[scan.foreground() & ~tissue.resectable] > 0).any())
    assert free > 0  # without the switches some reach the cerebellum


def test_a_cuboid_has_the_volume_and_the_edges_asked_for() -> None:
    rng, side = np.random.default_rng(0), 30_000 ** (1 / 3)
    middle = np.array([40.0] * 3)
    _, mask = blob((80, 80, 80), (1.0, 1.0, 2.0), middle, rng, volume_ml=30.0, ratio=1.5, form="cuboid")
    assert mask.all()  # along the axes
    np.testing.assert_allclose(np.array(mask.shape) * [1, 1, 2], [side, side * 1.5, side / 1.5], atol=1.5)
    settings = PublishedSettings(shape="cuboid", volume_ml=(30.0, 30.0), two_tissues=0.0)
    room = np.ones((60, 60, 60), bool)
    case = make_published(room.astype(np.float32), room, (1.0, 1.0, 1.0), rng, settings, validation=True)
    found = np.argwhere(case.labels)
    assert len(found) == np.prod(np.ptp(found, axis=0) + 1)


def test_a_halo_changes_white_matter_around_the_tumour_and_has_no_label(scan: Scan, tissue: Tissue) -> None:
    plain = made(scan, tissue, 3, gain=(3.0, 3.0))
    case = made(scan, tissue, 3, gain=(3.0, 3.0), halo=True)
    assert np.array_equal(case.labels, plain.labels)
    rest = plain.labels == 0
    change = (case.image - plain.image) * rest
    inside, far = tissue.white & rest, ~scan.foreground()
    assert change[inside].max() > 30
    assert not change[far].any()
    distance = np.linalg.norm((np.indices(rest.shape).T - [case.meta[f"{a}_vox"] for a in "xyz"]).T, axis=0) * 3.0
    near, away = (change[inside & where].mean() for where in (distance < 40, distance > 90))
    assert near > 10 * max(away, 1e-6)
    deep = tissue.grey & (np.asarray(_from(tissue.white)) > 4.0) & rest
    assert np.abs(change[deep]).max() < 0.1 * change[inside].max()  # grey matter stays as it was


def test_a_halo_stays_in_the_tumour_s_hemisphere(scan: Scan, tissue: Tissue) -> None:
    reached = 0
    for seed in range(3):
        change = {}
        for halo in (True, False):
            change[halo] = made(scan, tissue, seed, hemisphere="left", halo=halo, validation=True).image
        moved = np.abs(change[True] - change[False]) > 0.5
        assert not moved[_from(tissue.left) > 6.0].any()
        reached += int(moved.sum())
    assert reached > 300


def _from(mask: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    return ndimage.distance_transform_edt(~mask, sampling=SPACING)


def test_a_clot_is_as_bright_as_the_image_s_brightest_and_lies_in_the_tumour(scan: Scan, tissue: Tissue) -> None:
    plain = made(scan, None, 4, validation=True, volume_ml=(40.0, 40.0), gain=(3.0, 3.0))
    case = made(
        scan, None, 4, validation=True, volume_ml=(40.0, 40.0), gain=(3.0, 3.0), clot=True, clot_smaller=(2.0, 2.0)
    )
    assert np.array_equal(case.labels, plain.labels)
    clot = case.image != plain.image
    assert clot.sum() * 0.027 == pytest.approx(case.meta["clot_ml"], rel=0.01)
    assert 0.02 < case.meta["clot_ml"] / case.meta["realised_ml"] < 0.4  # an eighth of the tumour, clipped to it
    assert (case.labels[clot] == 1).all()
    low, high = np.percentile(scan.images[Modality.FLAIR][scan.foreground()], (90, 99))
    assert low - 2 < np.median(case.image[clot]) < high + 2
    assert case.image[clot].std() == pytest.approx(0.5, abs=0.15)


def test_a_brain_that_is_no_brain_is_refused(scan: Scan) -> None:
    ball = sum((a - 20) ** 2 for a in np.indices((41, 41, 41))) < 18**2
    round_one = Scan("ball", {Modality.FLAIR: ball.astype(np.float32)}, np.diag([3.0, 3.0, 3.0, 1.0]), brain=ball)
    with pytest.raises(InputError, match="'ball' cannot be told"):
        tissue_of(round_one)
    with pytest.raises(InputError, match="need the scan's tissue"):
        made(scan, None, 0, hemisphere="left")


def test_the_command_line_takes_the_switches(scan: Scan, tissue: Tissue, tmp_path: Path) -> None:
    healthy, image, labels = (tmp_path / name for name in ("flair.nii.gz", "img.nii.gz", "lab.nii.gz"))
    nib.save(nib.Nifti1Image(scan.images[Modality.FLAIR], scan.affine), healthy)
    switches = ("hemisphere=right", "centre=grey", "tissue=resectable", "shape=ellipsoid", "halo=true", "clot=true")
    given = [word for switch in switches for word in ("--set", switch)]
    assert call("synth", healthy, image, labels, "--seed", 2, *given) == 0
    found = np.asarray(nib.load(labels).dataobj) > 0
    assert found.sum() * 0.027 > 2
    assert (found & tissue.right).sum() > 0.85 * found.sum()  # the published label is wider than the tumour
    assert register_to_mni(scan).trusted
