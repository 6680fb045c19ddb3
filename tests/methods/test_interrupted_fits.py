"""Ctrl-C in a fit leaves no model, the same fit goes on and ends as if nobody had stopped it, and clears up."""

from __future__ import annotations

import json
import signal
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from annofree import methods, pipeline, progress
from annofree.cli.main import STOPPED, main
from annofree.errors import InputError, OutputError
from annofree.methods.blogrr import method as blogrr
from annofree.methods.reconstruction import slice_samples
from annofree.phantom import phantom_subject, write_cohort
from annofree.scan import Cohort, Modality, Scan
from annofree.training import loop
from annofree.training.log import RunLog

STEP = "annofree.training.loop:step_if_finite"
TURN = "annofree.methods.reconstruction.adversarial:gradient_penalty"
ROUND = "annofree.methods.blogrr.bilevel:_upper_step"
SMALL = {"steps": 6, "made": 2}
PAIR = {**SMALL, "threshold": "network", "rounds": 3, "bilevel_steps": 2, "bilevel_batch": 2, "width": 4}

#: Method, settings, where Ctrl-C comes (a function that a step calls) and at which call, whether patients are given.
FITS = {
    "dae": ("dae", {**SMALL, "width": 4}, STEP, 3, False),
    "ae": ("ae", SMALL, STEP, 3, False),
    "vae": ("vae", SMALL, STEP, 3, False),
    "vq-vae": ("vq-vae", SMALL, STEP, 3, False),
    "f-anogan, generator": ("f-anogan", SMALL, TURN, 5, False),
    "f-anogan, encoder": ("f-anogan", SMALL, STEP, 2, False),
    "mvit-ae": ("mvit-ae", SMALL, STEP, 3, False),
    "mvit-ae-published": ("mvit-ae-published", {**SMALL, "network": "narrow"}, STEP, 3, False),
    "weak-to-strong": ("weak-to-strong", {"steps": 4, "made_cases": 2}, STEP, 2, False),
    "weak-to-strong, pre-training": ("weak-to-strong", {"steps": 2, "pretrain_steps": 3}, STEP, 2, False),
    "blogrr, reconstructor": ("blogrr", PAIR, STEP, 3, True),
    "blogrr, pair": ("blogrr", PAIR, ROUND, 3, True),
    "synthtumour": ("synthtumour", {"steps": 3}, STEP, 2, False),
    "synthtumour, published": ("synthtumour", {"steps": 3, "preset": "published"}, STEP, 2, False),
    "synthtumour, senior": ("synthtumour", {"junior": "shipped", "senior_steps": 2, "mixed": 2}, STEP, 1, True),
}
SLOW = {
    "synthtumour",
    "synthtumour, senior",
    "synthtumour, published",
    "mvit-ae",
    "weak-to-strong",
    "weak-to-strong, pre-training",
    "mvit-ae-published",
    "blogrr, pair",
    "blogrr, reconstructor",
}
KEPT = {"config.yaml", "card.json", "model.safetensors", "model.onnx", "folds.json"}
LOGS = {"log.jsonl", "curves.csv", "curves.png", "recipe.json", "gate.json", "changes.tsv"}


@pytest.fixture(scope="module")
def people() -> tuple[Cohort, Cohort]:
    healthy = Cohort.of(phantom_subject(seed=20 + i, healthy=True, spacing_mm=5.0).scan for i in range(4))
    ill = [phantom_subject(seed=30 + i, kind="glioblastoma", spacing_mm=5.0) for i in range(3)]
    return healthy, Cohort.of(s.scan for s in ill)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brains are made and aligned once for all fits that ask for the same ones; no curves are drawn."""
    monkeypatch.setattr(slice_samples, "_made", made_once)
    monkeypatch.setattr(blogrr, "mni_alignment", aligned_once)
    monkeypatch.setattr(RunLog, "draw", lambda log: None)


@cache
def made_once(*asked: Any, made: Any = slice_samples._made) -> tuple[Any, ...]:
    return tuple(made(*asked))


def aligned_once(scan: Scan, kept: dict[str, Any] = {}, align: Any = blogrr.mni_alignment) -> Any:  # noqa: B006
    if scan.id not in kept:
        kept[scan.id] = align(scan)
    return kept[scan.id]


def press(monkeypatch: pytest.MonkeyPatch, where: str, at: int) -> dict[str, int]:
    """Ctrl-C in the middle of the step that calls this function for the n-th time."""
    module, name = where.split(":")
    real, calls = getattr(import_module(module), name), {"made": 0}

    def watched(*given: Any, **named: Any) -> Any:
        calls["made"] += 1
        if calls["made"] == at:
            signal.raise_signal(signal.SIGINT)
        return real(*given, **named)

    monkeypatch.setattr(import_module(module), name, watched)
    return calls


def weights(model: Path) -> dict[str, bytes]:
    found = {}
    for file in sorted(model.rglob("*.safetensors")):
        found |= {f"{file.relative_to(model)}/{key}": value.tobytes() for key, value in load_file(file).items()}
    return found


@pytest.mark.parametrize("case", [pytest.param(c, marks=[pytest.mark.slow] if c in SLOW else []) for c in FITS])
def test_a_stopped_fit_is_no_model_and_the_same_fit_ends_as_if_it_had_not_been(
    case: str, people: tuple[Cohort, Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, settings, where, at, with_patients = FITS[case]
    sources = {"healthy": people[0], **({"patients": people[1]} if with_patients else {})}
    monkeypatch.setattr(loop, "loader", lambda stream, *_, **__: iter(stream))  # no second process
    whole = pipeline.fit(method, out=tmp_path / "whole", settings=settings, **sources)

    stopped = tmp_path / "stopped"
    with monkeypatch.context() as patched:
        calls = press(patched, where, at)
        with pytest.raises(KeyboardInterrupt):
            pipeline.fit(method, out=stopped, settings=settings, **sources)
        assert calls["made"] >= at
    assert not [name for name in ("config.yaml", "card.json") if (stopped / name).exists()]

    with pytest.raises(OutputError, match=r"unfinished run of other settings.*seed was 0 and is now 5"):
        pipeline.fit(method, out=stopped, settings={**settings, "seed": 5}, **sources)

    resumed = pipeline.fit(method, out=stopped, settings=settings, **sources)
    assert resumed.describe() == whole.describe()
    assert weights(stopped) == weights(tmp_path / "whole")
    assert json.loads((stopped / "card.json").read_text()) == json.loads((tmp_path / "whole" / "card.json").read_text())
    files = [path.relative_to(stopped) for path in stopped.rglob("*") if path.is_file()]
    assert {path.name for path in files if path.parts[0] != "log"} <= KEPT
    assert {path.name for path in files if path.parts[0] == "log"} <= LOGS
    assert any(path.name == "log.jsonl" for path in files)


def test_the_command_line_says_that_it_stopped(
    people: tuple[Cohort, Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*given: Any, **named: Any) -> None:
        raise loop.Interrupted(3, 6)

    monkeypatch.setattr(pipeline, "fit", stop)
    with pytest.raises(SystemExit) as ended:
        main(["fit", "dae", "-o", str(tmp_path / "m"), "--healthy", str(tmp_path)])
    assert ended.value.code == 130
    assert STOPPED in capsys.readouterr().err


def test_a_fit_says_what_it_is_at(
    people: tuple[Cohort, Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PAUSE_S", 0.0)
    pipeline.fit("intensity", out=tmp_path / "m", healthy=people[0])
    said = capsys.readouterr().err.splitlines()
    assert [f"{scan_id}: reading" for scan_id in people[0].ids] == [line for line in said if "reading" in line]


def test_nobody_is_healthy_and_a_patient(tmp_path: Path) -> None:
    made = write_cohort(tmp_path / "made", n=3, seed=1, spacing_mm=6.0)
    (tmp_path / "linked").symlink_to(made.scans, target_is_directory=True)
    with pytest.raises(InputError, match=f"{made.ids[0]}.*are among the healthy scans and among the patients"):
        pipeline.fit("synthtumour", out=tmp_path / "m", healthy=made.scans, patients=tmp_path / "linked")
    with pytest.raises(InputError, match=f"^{made.ids[1]} is among the healthy scans and among the patients"):
        pipeline.fit("synthtumour", out=tmp_path / "m", healthy=made.scans, patients=made.scans / made.ids[1])


@pytest.mark.parametrize("method", ["intensity", "atlas-z"])
def test_a_threshold_set_on_other_sequences_is_told(
    method: str, people: tuple[Cohort, Cohort], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def alone(scan: Scan, *names: Modality) -> Scan:
        return scan.replace(images={name: scan.images[name] for name in names})

    healthy = Cohort.of(alone(scan, Modality.T1) for scan in people[0])
    fitted = pipeline.fit(method, out=tmp_path / "m", healthy=healthy)
    assert methods.load(tmp_path / "m").card["threshold set on"] == ["T1"]
    patient = next(iter(people[1]))
    said = "The scores are of FLAIR, and the threshold was set on T1: too much or too little may be called."
    assert said in fitted.segment(alone(patient, Modality.FLAIR)).provenance["notes"]
    assert not [n for n in fitted.segment(alone(patient, Modality.T1)).provenance["notes"] if "set on" in n]
    assert "need not be alike" not in capsys.readouterr().err
    mixed = Cohort.of(alone(scan, Modality.T1 if number else Modality.FLAIR) for number, scan in enumerate(people[0]))
    fitted = pipeline.fit(method, out=tmp_path / "mixed", healthy=mixed)
    assert "set on scores of FLAIR and on those of T1, which need not be alike" in capsys.readouterr().err
    said = said.replace("on T1:", "on FLAIR, T1:")
    assert said in fitted.segment(alone(patient, Modality.FLAIR)).provenance["notes"]


def test_needs_are_checked_before_anything_is_learned(
    people: tuple[Cohort, Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learned(*given: Any, **named: Any) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr("annofree.methods.reconstruction.slice_samples.stacks_of", learned)
    healthy, patients = people
    two = healthy.subset(healthy.ids[:2])
    for method in ("dae", "f-anogan", "blogrr", "atlas-z", "intensity"):
        with pytest.raises(InputError, match=r"at least 3 healthy scans.*2 were given"):
            pipeline.fit(method, out=tmp_path / method, healthy=two)
    normal = Cohort.of(scan.replace(report="Normal brain. No mass.") for scan in patients)
    silent = Cohort.of(scan.replace(report=None) for scan in patients)
    with pytest.raises(InputError, match=r"No patient's report names a tumour.*3 of 3 patients have a report"):
        pipeline.fit("blogrr", out=tmp_path / "b", healthy=healthy, patients=normal)
    with pytest.raises(InputError, match=r"No patient's report names a tumour.*0 of 3 patients have a report"):
        pipeline.fit("blogrr", out=tmp_path / "b", healthy=healthy, patients=silent)
    told = Cohort.of(scan.replace(report="Mass in the left frontal lobe.") for scan in patients)
    nowhere = str(tmp_path / "nowhere.csv")
    for named, what in (
        ({"atlas": nowhere, "regions": nowhere}, "atlas image cannot be read"),
        ({"region_table": nowhere}, "region table cannot be read"),
        ({"monitor": nowhere}, "no such folder to monitor"),
    ):
        with pytest.raises(InputError, match=what):
            pipeline.fit("blogrr", out=tmp_path / "b", healthy=healthy, patients=told, settings=named)
    with pytest.raises(InputError, match="'dae' learns nothing from patients"):
        pipeline.fit("dae", out=tmp_path / "b", healthy=healthy, patients=patients)
    with pytest.raises(InputError, match="second stage needs at least two healthy scans, or none"):
        pipeline.fit("synthtumour", out=tmp_path / "b", healthy=healthy.subset(healthy.ids[:1]), patients=patients)
    with pytest.raises(InputError, match="Reports were given without the patients"):
        pipeline.fit("blogrr", out=tmp_path / "b", healthy=healthy, reports=tmp_path)
    with pytest.raises(InputError, match="threshold=network has nothing to learn from"):
        pipeline.fit("blogrr", out=tmp_path / "n", healthy=healthy, settings={"threshold": "network"})
    with pytest.raises(InputError, match="Nothing would be learned from the patients"):
        pipeline.fit("weak-to-strong", out=tmp_path / "b", healthy=healthy, patients=patients)
    for labels in ("otsu", nowhere):
        with pytest.raises(InputError, match="belong to patients, and none were given"):
            pipeline.fit("weak-to-strong", out=tmp_path / "b", healthy=healthy, settings={"labels": labels})
    with pytest.raises(InputError, match="no such folder of labels"):
        pipeline.fit("weak-to-strong", out=tmp_path / "b", patients=patients, settings={"labels": nowhere})
    with pytest.raises(InputError, match="without the scans that it belongs to"):
        pipeline.fit("blogrr", out=tmp_path / "b", healthy=healthy, patients_mask="*_mask*")
    assert not (tmp_path / "b").exists()
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 50e6}))
    with pytest.raises(OutputError, match=r"disk is too full.*50 MB are free, and up to 100 MB"):
        pipeline.fit("dae", out=tmp_path / "b", healthy=healthy)
