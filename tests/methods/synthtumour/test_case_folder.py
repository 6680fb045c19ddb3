"""`annofree fit synthtumour --set preset=published --set cases=FOLDER`: a junior of cases that were written before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from annofree import methods
from annofree.errors import InputError, SettingsError
from annofree.methods.synthtumour import SynthTumour, published_junior
from annofree.methods.synthtumour import junior as first
from annofree.methods.synthtumour.case_folder import open_case_folder
from annofree.methods.synthtumour.senior import HeldCases
from annofree.networks import ThinUNetSettings
from annofree.scan import Cohort, Modality, Scan
from annofree.synthesis.dataset import write_published
from annofree.training import loop
from command_line import call


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six cases of four phantoms, as `annofree synth` writes them."""
    axes = np.indices((44, 50, 44)) - np.array([21.5, 24.5, 21.5])[:, None, None, None]
    brain = (axes**2).sum(0) < 20**2
    scans = []
    for number in range(4):
        flair = np.where(brain, np.random.default_rng(number).normal(100, 9, brain.shape), 0).astype(np.float32)
        scans.append(Scan(f"p{number}", {Modality.FLAIR: flair}, np.diag([3.0, 3.0, 3.0, 1.0]), brain=brain))
    out = tmp_path_factory.mktemp("made") / "Task100_OASIS"
    return write_published(Cohort.of(scans), out, n=6, seed=1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    network = ThinUNetSettings(full=4, widths=(4, 8), deep_supervision=1)
    monkeypatch.setattr(published_junior, "ThinUNetSettings", lambda: network)
    monkeypatch.setattr(first, "PUBLISHED_SPACING_MM", 4.0)
    monkeypatch.setattr(loop, "loader", lambda stream, *_, **__: iter(stream))


def test_the_split_is_that_of_the_file_and_without_it_that_of_the_names(written: Path, tmp_path: Path) -> None:
    (split,) = json.loads((written / "splits_final.json").read_text())
    found = open_case_folder(written)
    assert (list(found.train), list(found.held_out)) == (split["train"], split["val"])
    copy = shutil.copytree(written, tmp_path / "Task100")
    (copy / "splits_final.json").unlink()
    found = open_case_folder(copy)
    assert (sorted(found.train), sorted(found.held_out)) == (sorted(split["train"]), sorted(split["val"]))
    held_out = {"train": split["train"][:1], "val": [*split["val"], *split["train"][1:]]}
    (copy / "splits_final.json").write_text(json.dumps([held_out]))
    assert list(open_case_folder(copy).held_out) == held_out["val"]


def test_a_case_keeps_its_label_on_the_network_s_grid(written: Path, tmp_path: Path) -> None:
    found = open_case_folder(written)
    name = found.train[0]
    (folder,) = found.write((name,), 4.0, tmp_path)
    images, brain, packed = HeldCases([folder])(7)
    stored = nib.load(written / "labelsTr" / f"{name}.nii.gz")
    there = float(np.asarray(stored.dataobj).sum()) * 27.0
    assert float(((packed & 3) > 0).sum()) * 64.0 == pytest.approx(there, rel=0.1)
    assert bool((packed & 24 == 24).all())  # core and enhancing tumour are open
    assert not bool((packed & 4).any())
    assert not bool(images[:3].any())
    assert float(images[3][(packed & 3) > 0].mean()) > 1.2 * float(images[3][brain & ((packed & 3) == 0)].mean())


def test_a_junior_learns_from_the_training_cases_and_is_chosen_by_the_held_out_ones(
    written: Path, small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[str]] = {}
    real = published_junior.fit_flair_junior

    def watched(make, validate, folder, settings, **more):  # type: ignore[no-untyped-def]
        held = validate.makers["held_out"]
        seen.update(train=[f.name for f in make.cases], val=[f.name for f in held.cases])
        assert validate.count == len(held.cases)
        return real(make, validate, folder, settings, **more)

    monkeypatch.setattr(published_junior, "fit_flair_junior", watched)
    model = tmp_path / "model"
    given = ("--set", "preset=published", "--set", f"cases={written}", "--set", "steps=2")
    assert call("fit", "synthtumour", "-o", model, *given) == 0
    (split,) = json.loads((written / "splits_final.json").read_text())
    assert seen == split
    fitted = methods.load(model)
    learned = fitted.card["learned from"]
    assert learned["steps"] == 2
    assert learned["anatomies"] == f"{len(split['train'])} made cases of a folder, {len(split['val'])} held out"
    assert 0.0 <= learned["Dice on the cases that were held out"] <= 1.0
    assert fitted.tier == "T0"
    scan = open_case_folder(written).cohort[split["val"][0]]
    assert fitted.segment(scan).regions == ("WT",)


def test_what_is_no_folder_of_made_cases_is_refused(written: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="imagesTr or labelsTr is missing"):
        SynthTumour(preset="published", cases=str(tmp_path)).check_fit(None, None)
    copy = shutil.copytree(written, tmp_path / "Task100")
    split = json.loads((copy / "splits_final.json").read_text())[0]
    for wrong, says in (
        ({"train": [*split["train"], "absent"], "val": split["val"]}, "'absent'"),
        ({"train": [*split["train"], split["val"][0]], "val": split["val"]}, "teaches and is held out"),
        ({"train": [split["val"][0]], "val": split["val"][1:]}, "ends in 'val'"),
        ({"train": split["train"], "val": []}, "0 are held out"),
        ({"train": 3}, "cannot be read"),
    ):
        (copy / "splits_final.json").write_text(json.dumps([wrong]))
        with pytest.raises(InputError, match=says):
            open_case_folder(copy)
    (copy / "splits_final.json").unlink()
    (copy / "cases.csv").write_bytes(b"case,tier\n\xff\xfe,T0\n")
    with pytest.raises(InputError, match=r"table cannot be read.*cases\.csv.*make it again with the command"):
        open_case_folder(copy)
    (copy / "cases.csv").unlink()
    with pytest.raises(InputError, match="tier S, and this junior learns from those of tier T0 alone"):
        open_case_folder(copy)
    for settings in ({"preset": "ours"}, {"preset": "published", "junior": "shipped"}):
        with pytest.raises(SettingsError, match="'cases'"):
            SynthTumour(cases=str(written), **settings).check_fit(None, None)
