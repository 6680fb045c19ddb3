"""One healthy brain from the halves of two people's."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from annofree.errors import InputError
from annofree.methods.synthtumour.carriers import write_carriers
from annofree.phantom import phantom_subject
from annofree.scan import Cohort, Modality, Scan
from annofree.synthesis.carrier import Carrier, carrier_of
from annofree.synthesis.joined_halves import joined_halves


def _healthy(seed: int) -> Scan:
    return phantom_subject(seed, kind="healthy", spacing_mm=4.0).scan


@pytest.fixture(scope="module")
def people() -> list[Carrier]:
    return [carrier_of(_healthy(seed)) for seed in (1, 2)]


def _sides(image: np.ndarray, brain: np.ndarray, reach: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """An image's left and right, away from the seam."""
    middle = brain.shape[0] // 2
    left, right = np.zeros_like(brain), np.zeros_like(brain)
    left[: middle - reach], right[middle + reach :] = True, True
    return image * (left & brain), image * (right & brain)


def test_each_side_is_one_persons(people: list[Carrier]) -> None:
    one, other = people
    joined = joined_halves(one, other)
    flair = list(Modality).index(Modality.FLAIR)
    left, right = _sides(joined.images[flair].astype(float), joined.brain)
    own_left, own_right = _sides(one.images[flair].astype(float), one.brain)
    assert np.corrcoef(left[left > 0], own_left[left > 0])[0, 1] > 0.98
    assert np.corrcoef(right[right > 0], own_right[right > 0])[0, 1] < 0.9  # the other person's, not its own
    assert not np.array_equal(joined.brain, one.brain)


def test_the_second_person_is_fitted_to_the_firsts_size_and_contrast(people: list[Carrier]) -> None:
    one, other = people
    small = ndimage.affine_transform(
        other.images.astype(np.float32), (1, 1.25, 1.25, 1.25), (0, -20, -24, -20), order=1
    )
    brain = ndimage.affine_transform(other.brain.astype(np.float32), (1.25,) * 3, (-20, -24, -20), order=1) > 0.5
    squeezed = Carrier("small", (small * brain).astype(np.float16), brain, other.tissue, other.levels, {})
    joined = joined_halves(one, squeezed)
    plain = joined_halves(one, other)
    assert squeezed.brain.sum() < 0.6 * other.brain.sum()
    assert joined.brain.sum() == pytest.approx(plain.brain.sum(), rel=0.03)
    assert joined.brain.sum() == pytest.approx(one.brain.sum(), rel=0.15)
    np.testing.assert_allclose(joined.levels[:, 1], one.levels[:, 1], atol=0.15)


def test_the_seam_is_no_dark_line(people: list[Carrier]) -> None:
    joined = joined_halves(*people)
    middle = joined.brain.shape[0] // 2
    for k, image in enumerate(joined.images):
        near = image[middle - 2 : middle + 2][joined.brain[middle - 2 : middle + 2]].astype(float)
        own = [p.images[k][middle - 2 : middle + 2][p.brain[middle - 2 : middle + 2]].astype(float) for p in people]
        assert np.median(near) > 0.8 * min(np.median(o) for o in own)


def test_people_with_different_sequences_are_not_joined(people: list[Carrier]) -> None:
    scan = _healthy(1)
    flair = carrier_of(scan.replace(images={Modality.FLAIR: scan.images[Modality.FLAIR]}))
    with pytest.raises(InputError, match="different sequences"):
        joined_halves(people[0], flair)


def test_carriers_of_healthy_people_are_they_and_their_halves(tmp_path: Path) -> None:
    scans = {f"p{seed}": partial(_healthy, seed) for seed in (1, 2, 3)}
    files = write_carriers(Cohort(scans), Cohort({}), tmp_path, most=3)
    names = [file.stem for file in files]
    assert names[:3] == ["healthy_p1", "healthy_p2", "healthy_p3"]
    assert names[3:] == [
        "joined_healthy_p1+healthy_p2",
        "joined_healthy_p2+healthy_p3",
        "joined_healthy_p3+healthy_p1",
    ]
    made = [file.stat().st_mtime_ns for file in files]
    again = write_carriers(Cohort(scans), Cohort({}), tmp_path, most=3)
    assert [file.stat().st_mtime_ns for file in again] == made  # what is there is not made once more
