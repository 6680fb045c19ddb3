"""What is no head, half a head, a head upside down or two people's sequences is recognised and named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError
from annofree.formats.nifti import read_volume
from annofree.formats.study import Study
from annofree.prepare import Recipe
from annofree.prepare.brain_ladder import network_brain
from annofree.scan import Grid, Modality, canonical_grid, to_canonical


def head(folder: Path, number: int, name: str) -> tuple[np.ndarray, Grid]:
    volume = read_volume(folder / "healthy" / f"nichart_Subj{number}" / f"Subj{number}_{name}.nii.gz")
    return np.ascontiguousarray(to_canonical(volume.array, volume.grid)), canonical_grid(volume.grid)


def warnings_of(images: dict[Modality, tuple[np.ndarray, Grid]]) -> str:
    grids = {name: grid for name, (_, grid) in images.items()}
    heads = dict.fromkeys(images, "it shows a skull")
    study = Study("made", {name: image for name, (image, _) in images.items()}, grids, grids, heads, files={})  # type: ignore[arg-type]
    told = Recipe()(study).preparation
    assert told is not None
    return "\n".join(told.warnings)


def test_two_thighs_are_no_brain() -> None:
    x, y, _ = (np.indices((100, 60, 100)) - np.array([50, 30, 50]).reshape(3, 1, 1, 1)) * 4.0
    image = np.zeros(x.shape, np.float32)
    for side in (-95, 95):
        away = np.hypot(x - side, y)
        for radius_mm, level in ((85, 200), (70, 90), (16, 20), (10, 180)):  # fat, muscle, bone, marrow
            image[away < radius_mm] = level
    image += np.abs(np.random.default_rng(0).normal(0, 5, image.shape)).astype(np.float32)
    with pytest.raises(InputError, match=r"Brain: .* litres of brain were found .*another body part"):
        network_brain(image, Grid(image.shape, np.diag([4.0, 4.0, 4.0, 1.0])))


@pytest.mark.real
def test_a_head_that_lies_right_is_not_warned_about(shared_data: Path) -> None:
    assert warnings_of({Modality.T1: head(shared_data, 8, "T1")}) == ""


@pytest.mark.real
@pytest.mark.parametrize("axes", [(2,), (1, 2)])
def test_a_head_upside_down_is_named(shared_data: Path, axes: tuple[int, ...]) -> None:
    image, grid = head(shared_data, 8, "T1")
    assert "upside down" in warnings_of({Modality.T1: (np.ascontiguousarray(np.flip(image, axes)), grid)})


@pytest.mark.real
@pytest.mark.parametrize("half", [np.s_[:46], np.s_[:, :, 56:]])
def test_half_a_head_is_warned_about(shared_data: Path, half: tuple[slice, ...]) -> None:
    image, grid = head(shared_data, 8, "T1")
    cut = np.ascontiguousarray(image[half])
    said = warnings_of({Modality.T1: (cut, Grid(cut.shape, grid.affine))})
    assert "part of the brain may be missing" in said
    assert "upside down" not in said


@pytest.mark.real
def test_sequences_of_two_people_are_refused_or_warned_about(shared_data: Path) -> None:
    with pytest.raises(InputError, match=r"Co-registration: .*does not fit"):
        warnings_of({Modality.T1: head(shared_data, 1, "T1"), Modality.FLAIR: head(shared_data, 2, "FL")})
    said = warnings_of({Modality.T1: head(shared_data, 4, "T1"), Modality.FLAIR: head(shared_data, 5, "FL")})
    assert "same person" in said
