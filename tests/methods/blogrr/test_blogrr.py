"""BLOGRR learns from reports: what it learned must be kept, honest about its source, and never used on its teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import annofree.anatomy
from annofree import methods, pipeline
from annofree.anatomy.align import Alignment
from annofree.errors import InputError
from annofree.export import export_slices
from annofree.formats import open_cohort
from annofree.inference.torch_network import TorchNetwork
from annofree.methods.blogrr import Blogrr, BlogrrSettings
from annofree.methods.blogrr.bilevel import monitor_on
from annofree.methods.blogrr.threshold_net import ThresholdNetSettings
from annofree.networks import build
from annofree.phantom import PhantomSubject, phantom_subject
from annofree.prepare.slices import SliceSettings
from annofree.scan import Cohort, Scan
from annofree.thresholds.learned import Learned


@pytest.fixture(scope="module")
def subjects() -> list[PhantomSubject]:
    kinds = ("glioblastoma", "diffuse", "metastases")
    return [phantom_subject(seed=40 + i, kind=kind, spacing_mm=5.0, name=kind) for i, kind in enumerate(kinds)]


@pytest.fixture(autouse=True)
def straight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Phantoms lie where MNI's brain lies; aligning them would take seconds each."""
    monkeypatch.setattr(annofree.anatomy, "register_to_mni", lambda scan: Alignment(np.eye(4), 0.95, 0.5, True))


def blank(**options: object) -> Blogrr:
    """With a network that has learned nothing: its reconstruction is a smooth nothing, the error the image itself."""
    torch.manual_seed(0)
    module = build({"kind": "denoising_unet", "widths": [4, 8]}).eval()
    torch.nn.init.zeros_(module.head.weight)
    return Blogrr(width=4, quality="fast", **options).replace(network=TorchNetwork(module))


def cohort(subjects: list[PhantomSubject]) -> Cohort:
    return Cohort.of(s.scan for s in subjects)


def test_each_patient_is_segmented_with_what_the_others_taught(subjects: list[PhantomSubject], tmp_path: Path) -> None:
    method = blank().fit_threshold(cohort(subjects))
    assert method.tier == "R"
    assert method.card["patients with reports"] == [s.scan.id for s in subjects]
    own = method.segment(subjects[0].scan)
    stranger = method.segment(subjects[0].scan.replace(id="somebody else"))
    assert own.thresholds["WT"].saw["ids"] == ["diffuse", "metastases"]
    assert len(stranger.thresholds["WT"].saw["ids"]) == 3
    assert own.provenance["tier"] == "R"

    loaded = Blogrr.load(method.save(tmp_path / "model"))
    assert loaded.thresholds == method.thresholds
    assert loaded.folds == method.folds
    assert np.mean(loaded.segment(subjects[0].scan).labels != own.labels) < 1e-3
    other = loaded.replace(thresholds={"WT": methods.create("intensity-published").thresholds["WT"]})
    assert other.segment(subjects[0].scan).thresholds["WT"].value == 1.5  # a threshold of the user's own wins


def test_reports_without_a_tumour_and_scans_without_a_report_are_left_out(subjects: list[PhantomSubject]) -> None:
    free = subjects[0].scan.replace(id="free", report="No evidence of an intracranial tumour.")
    silent = subjects[1].scan.replace(id="silent", report=None)
    method = blank().fit_threshold(Cohort.of([free, silent, subjects[2].scan]))
    assert method.card["patients with reports"] == ["metastases"]
    assert method.card["patients left out"] == ["free"]
    with pytest.raises(InputError, match="none of them names a tumour"):
        blank().fit_threshold(Cohort.of([free, silent]))


@pytest.mark.parametrize("preset", ["default", "published"])
def test_the_threshold_network_is_learned_kept_and_used(
    preset: str, subjects: list[PhantomSubject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(self: object) -> object:
        one = preset == "published"
        norm = "batch" if one else "group"
        return ThresholdNetSettings(in_channels=1 if one else 2, widths=(4, 4, 4, 4), norm=norm, start=0.2)

    monkeypatch.setattr(BlogrrSettings, "threshold_network", small)
    monkeypatch.setattr(Blogrr, "slices", property(lambda self: SMALL))
    method = blank(preset=preset, threshold="network", rounds=1, bilevel_steps=1, bilevel_batch=2)
    assert method.settings.use == ("published" if preset == "published" else "lobe+size")
    method = method.fit_threshold(cohort(subjects[:2]), healthy(subjects[2].scan))
    result = method.segment(subjects[0].scan)
    assert result.thresholds["WT"].value == 1.0
    assert result.thresholds["WT"].tier == "R"
    again = Blogrr.load(method.save(tmp_path / "model")).segment(subjects[0].scan)
    assert np.mean(again.labels != result.labels) < 1e-3
    bare = blank(preset=preset).replace(network=method.network)
    plain, ratio = bare.score(subjects[0].scan)["WT"].values, result.scores["WT"].values
    seen = plain > 0.02
    taus = plain[seen] / ratio[seen]
    assert (taus > 0).all()
    if preset == "default":
        assert taus.std() < 0.02 * taus.mean()  # one value a volume


def healthy(scan: Scan) -> Cohort:
    return Cohort.of([scan.replace(id="healthy", report=None)])


SMALL = SliceSettings(size=48, spacing_mm=5.0)


def test_watching_needs_no_truth_of_the_patients(
    subjects: list[PhantomSubject], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Blogrr, "slices", property(lambda self: SMALL))
    method = blank(threshold="network")
    assert monitor_on(method, None) is None
    look = monitor_on(method, "phantoms")
    assert look is not None
    thresholder = build({"kind": "threshold_net", "widths": [4, 4, 4, 4]}).eval()
    assert method.network is not None
    assert 0 <= look(method.network.module(), thresholder)["dice"] <= 1
    assert not isinstance(method.thresholds["WT"], Learned)


def test_the_published_folders_are_fitted_and_segmented_and_their_masks_never_opened(tmp_path: Path) -> None:
    people = [phantom_subject(seed=70 + i, kind=kind, spacing_mm=5.0, name=f"0{i}") for i, kind in enumerate(KINDS)]
    data, how = tmp_path / "data", SliceSettings(frame="mni", size=48, first=60, last=99)
    for folder, members in (
        ("HCP_train_data", people[:3]),
        ("In_house_data", people[3:]),
        ("sample_test_data", people[4:]),
    ):
        export_slices(Cohort.of(s.scan for s in members), data / folder, settings=how, dataset=folder[:2])
        masks = data / folder / "seg"
        masks.mkdir()
        for image in (data / folder / "img").iterdir():
            (masks / image.name).write_text("whoever opens this fails")
        (data / folder / "slices.json").unlink()  # the published files have none
    options = {"steps": 2, "made": 0, "width": 4, "quality": "fast"}
    model = pipeline.fit(
        "blogrr", out=tmp_path / "m", healthy=data / "HCP_train_data", patients=data / "In_house_data", settings=options
    )
    assert model.tier == "R"
    assert model.card["patients with reports"] == ["In_03", "In_04"]
    scan = open_cohort(data / "sample_test_data")["sa_04"]
    result = Blogrr.load(tmp_path / "m").segment(scan)
    assert result.labels.shape == (48, 48, 40)


KINDS = ("healthy", "healthy", "healthy", "glioblastoma", "metastases")
