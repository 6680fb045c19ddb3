"""The brain network finds a brain wherever it lies in the picture, and says so when there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from annofree.errors import InputError
from annofree.formats.nifti import read_labels, read_volume
from annofree.prepare.brain_network import _network, brain_probability, largest_part
from annofree.scan import to_canonical


def test_the_largest_part_is_kept_by_size_not_by_place() -> None:
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask[0:2, 0:2, 0:2] = True
    mask[5:9, 5:9, 5:9] = True
    mask[9, 9, 9] = True  # joined at a corner
    kept = largest_part(mask)
    assert kept.sum() == 4**3 + 1
    assert not kept[0, 0, 0]


def test_no_brain_is_a_sentence() -> None:
    with pytest.raises(InputError, match="No brain was found"):
        largest_part(np.zeros((4, 4, 4), dtype=bool))


def test_an_answer_that_is_no_number_is_refused_not_taken_for_no_brain() -> None:
    with pytest.raises(InputError, match="not numbers") as caught:
        brain_probability(np.full((16, 16, 16), np.nan, np.float32))
    assert caught.value.file is not None
    assert Path(caught.value.file).name == "find.onnx"


@pytest.mark.real
@pytest.mark.parametrize(("sequence", "least"), [("t1", 0.97), ("t1c", 0.968), ("t2", 0.93), ("fla", 0.955)])
def test_a_raw_head_agrees_with_hd_bet(
    shared_data: Path, sequence: str, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shared_data / "raw" / "TCGA-FG-6692"
    volume = read_volume(folder / f"raw_{sequence}.nii.gz")
    head = np.ascontiguousarray(to_canonical(volume.array, volume.grid))
    probability = brain_probability(head)
    labels, grid = read_labels(folder / "hdbet" / f"hdbet_native_{sequence}.nii.gz")
    reference = to_canonical(labels, grid) > 0
    brain = ndimage.binary_fill_holes(largest_part(probability > 0.5))
    assert 2 * (brain & reference).sum() / (brain.sum() + reference.sum()) > least
    if sequence == "t1":
        for threads in ("1", "2"):
            monkeypatch.setenv("OMP_NUM_THREADS", threads)
            _network.cache_clear()
            assert np.array_equal(probability, brain_probability(head))
