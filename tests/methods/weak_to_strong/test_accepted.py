"""Masks that a person corrected teach the strong stage, in tier S."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import annofree as af
from annofree.errors import InputError, LeakError
from annofree.formats import open_cohort
from annofree.formats.accepted import accepted_masks
from annofree.methods.weak_to_strong import unetr
from annofree.methods.weak_to_strong.lessons import FromTruth
from annofree.methods.weak_to_strong.unetr import SIZES, UNETRSettings
from annofree.phantom import phantom_subject
from annofree.scan import learning, scoring
from command_line import call

CORRECTED = ("p0", "p1", "p2", "p3")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Five patients, their answers, and four of the masks drawn anew: a ball where nothing was called."""
    root = tmp_path_factory.mktemp("run")
    for number in range(5):
        scan = phantom_subject(number, kind="diffuse", spacing_mm=6.0).scan
        (root / "in" / f"p{number}").mkdir(parents=True)
        for name, image in scan.images.items():
            nib.save(nib.Nifti1Image(image, scan.affine), root / "in" / f"p{number}" / f"p{number}_{name}.nii.gz")
    assert call("segment", root / "in", "-o", root / "out", "--method", "intensity-published", "--no-locate") == 0
    (root / "back").mkdir()
    for scan_id in CORRECTED:
        (original,) = (root / "out" / f"sub-{scan_id}").rglob("*label-lesion*_mask.nii.gz")
        image = nib.load(original)
        x, y, z = np.indices(image.shape)
        ball = (x - 10) ** 2 + (y - 16) ** 2 + (z - 15) ** 2 < 20
        nib.save(nib.Nifti1Image(ball.astype(np.uint8), image.affine), root / "back" / original.name)
    return root / "in", root / "out", root / "back"


def test_from_segment_to_a_fit_on_what_was_accepted(
    run: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans, out, back = run
    fit = ("fit", "weak-to-strong", "--patients", scans, "-o", tmp_path / "model", "--set", "supervision=truth")
    fit = (*fit, "--set", f"labels={out}", "--set", "steps=2")
    with pytest.raises(InputError, match=r"holds no accepted masks.*annofree accept CORRECTED"):
        FromTruth(out)
    assert call("accept", back, "-o", out) == 0
    network = UNETRSettings(window=(16, 16, 16), feature_size=2, hidden_size=8, mlp_dim=8, num_heads=2)
    tiny = SIZES["small"].model_copy(update={"network": network, "spacing_mm": 12.0, "ema": 0.0})
    monkeypatch.setitem(unetr.SIZES, "small", tiny)
    assert call(*fit) == 0
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["tier"] == "S"
    told = card["learned from"]
    assert told["labels"] == "masks that a person corrected (supervised)"
    assert sorted(name for part in told["patients"].values() for name in part) == list(CORRECTED)
    assert told["scans without a mask"] == "1, left out"
    result = af.segment(scans / "p4", method=tmp_path / "model", locate=False)
    assert result.provenance["tier"] == "S"


def test_the_corrected_mask_is_what_is_learned_and_nobody_else_may_look(
    run: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    scans, out, back = run
    shutil.copytree(out, tmp_path / "out")
    call("accept", back, "-o", tmp_path / "out", "--overwrite")
    label = FromTruth(tmp_path / "out")
    scan = open_cohort(scans)["p1"]
    with scoring("a fit of tier S"):
        mask = label(scan, scan.foreground())
    assert mask[10, 16, 15]
    x, y, z = np.indices((9, 9, 9)) - 4
    assert mask.sum() == (x**2 + y**2 + z**2 < 20).sum()
    with learning(), pytest.raises(LeakError):
        label(scan, scan.foreground())
    with pytest.raises(InputError, match=r"No accepted mask belongs to any.*p0, p1, p2; patients are p4"):
        label.labelled(["p4"])
    accepted_masks(tmp_path / "out")["p2"].unlink()
    with pytest.raises(InputError, match=r"accepted mask of scan 'p2' is gone"):
        FromTruth(tmp_path / "out")
