"""The face of the package: what `import annofree as af` gives, and a method that another package brings."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

import annofree as af
from annofree import methods
from annofree.batch.rerun import rerun
from annofree.batch.rethreshold import rethreshold
from annofree.errors import InputError, SettingsError
from annofree.formats import read_segmentation
from annofree.inference.network import placed
from annofree.methods import registry
from annofree.phantom import phantom_subject, write_cohort
from annofree.refine import KeepComponents
from annofree.scan import Cohort, Scan
from annofree.thresholds import Fixed

EXAMPLE = Path(__file__).parents[1] / "examples" / "annofree-brightest" / "src"


@pytest.fixture(scope="module")
def scan() -> Scan:
    return phantom_subject(seed=4, kind="glioblastoma", spacing_mm=4.0).scan


def test_dir_shows_the_face_and_nothing_else() -> None:
    assert set(dir(af)) == set(af.__all__)
    assert {"Segmenter", "segment", "fit", "evaluate", "review", "open", "methods"} <= set(dir(af))
    for name in af.__all__:
        assert getattr(af, name) is not None
    assert (Path(af.__file__).parent / "py.typed").is_file()


def test_cohort_and_scores_show_themselves_in_a_line(tmp_path: Path) -> None:
    made = write_cohort(tmp_path / "made", n=2, seed=2, spacing_mm=4.0, healthy_fraction=0.0)
    cohort = af.open_cohort(made.scans)
    assert repr(cohort).endswith(f": 2 scans, {', '.join(cohort.ids)}>")
    report = af.Segmenter("intensity-published").run(cohort, tmp_path / "out", locate=False)
    assert repr(report) == f"<BatchReport: 2 done, 0 failed; {tmp_path / 'out'}>"
    scores = af.evaluate(tmp_path / "out", made.truth)
    assert "whole-tumour Dice 0." in repr(scores)
    assert len(repr(scores).replace(str(tmp_path), "")) < 150


def test_rooms_that_are_lists_and_verbs_can_be_called() -> None:
    assert "synthtumour" in {row.name for row in af.methods()}
    assert af.methods.create("intensity").name == "intensity"
    with pytest.raises(InputError):
        af.review("no such folder")


def test_a_segmenter_loads_once_and_takes_objects_where_strings_are(
    scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    seg = af.Segmenter("intensity-published", threshold=Fixed(2.0), refine=[KeepComponents(keep="largest"), "median:3"])
    monkeypatch.setattr(methods, "shipped", None)  # whoever loads again fails
    one, two = seg(scan, locate=False), seg(scan, locate=False)
    assert np.array_equal(one.labels, two.labels)
    assert one.thresholds["WT"].value == 2.0
    assert [r["kind"] for r in one.provenance["refiners"]["WT"]] == ["components", "median"]
    assert af.Segmenter(seg.method, threshold=2).method.thresholds["WT"].value == 2.0
    words = af.Segmenter(seg.method, threshold="fixed:2.0", refine=("components:keep=largest", "median:3"))
    assert np.array_equal(words(scan, locate=False).labels, one.labels)
    assert np.array_equal(af.segment(scan, method=seg.method, locate=False).labels, one.labels)


def test_an_array_that_is_no_picture_and_a_mask_that_is_no_file_are_refused(scan: Scan) -> None:
    images = {name: np.where(scan.foreground(), image, np.nan) for name, image in scan.images.items()}
    with pytest.raises(InputError, match=r"not numbers \(scan 'p'\)"):
        af.segment(Scan("p", images, scan.affine), method="intensity-published", locate=False)
    with pytest.raises(InputError, match="A dict is no brain mask"):
        af.segment(scan, method="intensity-published", brain_mask={}, locate=False)


def test_a_segmenter_takes_a_model_folder_and_runs_cohorts(tmp_path: Path) -> None:
    write_cohort(tmp_path / "in", 2, seed=3, spacing_mm=4.0)
    folder = methods.shipped("intensity-published").save(tmp_path / "model")
    seg = af.Segmenter(folder, threshold=Fixed(1.8, source="a test"))
    report = seg.run(tmp_path / "in" / "scans", tmp_path / "out", locate=False)
    assert len(report.rows) == 2
    assert seg.run(tmp_path / "in" / "scans", tmp_path / "out", locate=False).reused == [r["id"] for r in report.rows]
    assert rerun(tmp_path / "out").reproduced  # objects come back from the manifest
    held = af.Segmenter(seg.method.replace(thresholds={"WT": Fixed(2.2)}))
    assert held.run(tmp_path / "in" / "scans", tmp_path / "out", locate=False).reused == []
    with pytest.raises(InputError, match="lived in memory"):
        rerun(tmp_path / "out")


def test_open_gives_a_scan_or_a_cohort(tmp_path: Path) -> None:
    write_cohort(tmp_path / "in", 2, seed=3, spacing_mm=4.0)
    cohort = af.open(tmp_path / "in" / "scans")
    assert isinstance(cohort, Cohort)
    assert isinstance(af.open(next(p for p in (tmp_path / "in" / "scans").iterdir() if p.is_dir())), Scan)


# ---- device


class Pretend:
    """A network that can be put on devices that are not there."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def on(self, device: str) -> Pretend:
        if device == "cuda:7":
            raise SettingsError("The device 'cuda:7' is not at hand", why="there are two")
        return Pretend("cpu" if device == "auto" else device)


def test_networks_go_where_they_are_wanted_or_say_why_not() -> None:
    assert placed({"network": Pretend()}, "cuda:1")[1:] == ("cuda:1", None)
    moved, device, note = placed({"networks": [(Pretend(), {"spacing_mm": 2.0})]}, "cuda:7")
    assert (device, moved["networks"][0][0].device) == ("cpu", "cpu")
    assert note == "The device 'cuda:7' is not at hand, the processor computes instead (there are two)."
    assert placed({"network": Pretend()}, "mps")[0]["network"].device == "coreml"
    for wrong in ("gpu", "cuda:x", ""):
        with pytest.raises(SettingsError, match="Use auto, cpu, cuda"):
            placed({}, wrong)


def test_a_device_that_is_not_there_is_said_in_the_results_and_the_manifest(scan: Scan, tmp_path: Path) -> None:
    seg = af.Segmenter("dae", quality="fast", device="cuda")
    if seg.method.device != "cpu":
        pytest.skip("there is a CUDA device here")
    report = seg.run(Cohort.of([scan]), tmp_path / "out", locate=False)
    assert "processor computes instead" in report.rows[0]["notes"]
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (told["device"], told["choice"]["device"]) == ("cpu", "cuda")
    plain = af.Segmenter("intensity-published", device="cuda")
    assert plain.method.device_note == "The method 'intensity-published' has no network: the processor computes."


# ---- a method of another package


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example as if it were installed."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    entry = EntryPoint("brightest", "annofree_brightest:INFO", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == registry.GROUP else [])
    monkeypatch.setattr(methods.METHODS, "_found", registry._installed)
    monkeypatch.setattr(methods.METHODS, "_rows", dict(methods.METHODS._rows))


@pytest.mark.usefixtures("installed")
def test_the_example_is_a_method_like_any_other(scan: Scan, tmp_path: Path) -> None:
    assert "brightest" in {row.name for row in af.methods()}
    method = methods.shipped("brightest")
    result = method.segment(scan)
    assert result.volumes_ml["WT"] > 0
    assert result.provenance["tier"] == "T0"
    again = methods.load(method.save(tmp_path / "model"))
    assert again.describe() == {**method.describe(), "model": again.card}
    assert np.array_equal(again.segment(scan).labels, result.labels)
    assert method.replace(first="T2").segment(scan).volumes_ml["WT"] != result.volumes_ml["WT"]
    with pytest.raises(SettingsError, match="'rule' of 'brightest' is decided when the model is fitted"):
        method.replace(rule="healthy")
    people = Cohort.of(phantom_subject(seed=s, healthy=True, spacing_mm=4.0).scan for s in (11, 12, 13))
    fitted = methods.create("brightest", rule="healthy").fit(healthy=people)
    assert fitted.thresholds["WT"].value is not None
    with pytest.raises(SettingsError, match="did you mean 'brightest'"):
        methods.shipped("brightes")


@pytest.mark.usefixtures("installed")
def test_the_examples_masks_are_decided_again_alike(tmp_path: Path) -> None:
    write_cohort(tmp_path / "in", 1, seed=3, spacing_mm=4.0)
    af.Segmenter("brightest").run(tmp_path / "in" / "scans", tmp_path / "out", locate=False)
    rethreshold(tmp_path / "out", None, out=tmp_path / "again", locate=False)
    (scan_id,) = af.open_cohort(tmp_path / "in" / "scans").ids
    before, after = (read_segmentation(tmp_path / name, scan_id) for name in ("out", "again"))
    assert np.array_equal(before.labels, after.labels)


def test_a_method_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("broken", "annofree_no_such_package:INFO", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    with pytest.raises(InputError, match="'broken' of another package cannot be loaded"):
        list(registry._installed())
    assert "annofree_no_such_package" not in sys.modules
