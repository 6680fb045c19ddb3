"""Label maps become upright brains, and no label is lost on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError
from annofree.synthesis import LabelMapBank, SynthesisSettings, make_case
from annofree.synthesis.bank import FRAME_SHAPE
from annofree.synthesis.settings import Anatomy, Tumours
from annofree.synthesis.tissues import LABEL_TO_TISSUE, LANDMARKS_MM, PARTNER, RIGHT, Tissue

HEALTHY = Tumours(healthy_share=1.0)


def _block_head(tilt_deg: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A head of blocks: white matter halves with the deep structures as cubes, and its affine (turned about y)."""
    grid = np.stack(np.meshgrid(*[np.arange(-78, 79, 2.0)] * 3, indexing="ij"))
    labels = np.zeros(grid.shape[1:], np.int16)
    inside = (grid[0] / 65) ** 2 + ((grid[1] + 17) / 75) ** 2 + ((grid[2] - 5) / 60) ** 2 < 1
    labels[inside] = np.where(grid[0][inside] < 0, 2, 41)
    for label, place in LANDMARKS_MM.items():
        for number, sign in ((label, 1), (PARTNER.get(label, label), -1)):
            if label not in (2, 3):
                centre = np.array([sign * place[0], place[1], place[2]])[:, None, None, None]
                labels[(np.abs(grid - centre) < 4).all(0)] = number
    angle = np.radians(tilt_deg)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * 2.0, turn @ [-78, -78, -78] + [5, -4, 3]
    return labels, affine


def test_unknown_label_is_named() -> None:
    labels, affine = _block_head()
    labels[40, 40, 40] = 999
    with pytest.raises(InputError, match="999"):
        LabelMapBank.of(labels, affine)


def test_every_known_label_has_a_tissue() -> None:
    assert all(isinstance(tissue, Tissue) for tissue in LABEL_TO_TISSUE.values())


@pytest.mark.parametrize("tilt", [0.0, 12.0])
def test_tilted_head_is_put_upright(tilt: float) -> None:
    labels, affine = _block_head(tilt)
    brain = LabelMapBank.of(labels, affine).maps[0]
    white = (brain.tissue & (RIGHT - 1)) == Tissue.WHITE
    right = (brain.tissue & RIGHT) > 0
    middle = FRAME_SHAPE[0] // 2
    wrong = (right & white)[: middle - 3].sum() + (~right & white)[middle + 3 :].sum()
    assert wrong / white.sum() < 0.005


def test_array_order_of_the_file_does_not_matter() -> None:
    labels, affine = _block_head()
    flipped = affine.copy()
    flipped[:3, 0] *= -1
    flipped[:3, 3] += affine[:3, 0] * (labels.shape[0] - 1)
    one = LabelMapBank.of(labels, affine).maps[0]
    two = LabelMapBank.of(labels[::-1], flipped).maps[0]
    assert np.array_equal(one.tissue, two.tissue)


def test_bank_survives_saving(tmp_path: Path, mni_bank: LabelMapBank) -> None:
    mni_bank.save(tmp_path / "bank.npz")
    again = LabelMapBank.from_folder("nowhere", cache=tmp_path / "bank.npz")
    assert np.array_equal(again.maps[0].tissue, mni_bank.maps[0].tissue)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No label maps"):
        LabelMapBank.from_folder(tmp_path)


def test_anatomy_switches_off_gives_the_map_itself(mni_bank: LabelMapBank) -> None:
    """Without flips, warps and mask errors the brain's volume is the map's."""
    still = SynthesisSettings(
        anatomy=Anatomy(flip=False, affine=False, warp=False, ventricles=False),
        tumours=HEALTHY,
    )
    quiet = still.model_copy(
        update={"acquisition": still.acquisition.model_copy(update={"mask_errors": False, "missing_slab": False})}
    )
    case = make_case(mni_bank, quiet, 1)
    assert float(case.brain.sum()) * 0.008 == pytest.approx((mni_bank.maps[0].depth > 0).sum() * 0.008, rel=0.02)


@pytest.mark.real
def test_real_label_maps_are_all_understood(shared_data: Path) -> None:
    from annofree.synthesis.bank import _read

    brain = _read(shared_data / "labelmaps" / "training_seg_15.nii.gz")
    assert ((brain.tissue & (RIGHT - 1)) == Tissue.WHITE_LESION).sum() > 30_000
    assert 900 < (brain.depth > 0).sum() * 0.008 < 1800
