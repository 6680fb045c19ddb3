"""The plain rule on the development patients, as their data's own description gives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from annofree import methods
from annofree.formats import open_scan, open_truth
from annofree.metrics import Overlap
from annofree.prepare import Recipe
from annofree.scan import scoring

#: Whole-tumour Dice of the FLAIR rule, two digits, from the description of the data.
FLAIR_RULE = {
    "BraTS2021_00006": 0.94,
    "BraTS2021_01476": 0.94,
    "BraTS2021_01478": 0.87,
    "BraTS2021_01481": 0.89,
    "BraTS2021_01485": 0.91,
    "BraTS2021_01657": 0.88,
    "BraTS2021_01660": 0.24,
}


@pytest.mark.real
@pytest.mark.parametrize(("name", "expected"), FLAIR_RULE.items())
def test_the_flair_rule_reproduces_the_table_of_the_data(shared_data: Path, name: str, expected: float) -> None:
    folder = shared_data / "patients" / name
    scan = open_scan(folder, sequence="FLAIR")
    found = methods.shipped("intensity-published").segment(scan).mask("WT")
    with scoring():
        truth = open_truth(folder, scan.id, scan.grid).labels > 0
    assert Overlap.of(truth, found).dice == pytest.approx(expected, abs=0.01)


@pytest.mark.real
@pytest.mark.parametrize("quality", ["fast", "default"])
def test_a_brain_without_tumour_is_left_alone_by_the_default_method(shared_data: Path, quality: str) -> None:
    folder = shared_data / "healthy" / "nichart_Subj5"
    # the headers lay T1 and FLAIR apart: registered, as `segment` does
    scan = open_scan(folder, brain_mask="*_DLMUSE.nii.gz", prepare=Recipe())
    method = methods.shipped("synthtumour").replace(quality=quality)
    assert method.segment(scan).volumes_ml["WT"] < 1.0
