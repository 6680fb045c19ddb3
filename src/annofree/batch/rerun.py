"""A run done again from its `run.json`, and whether the masks came out the same to the last bit."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from annofree.batch.fingerprint import machine, model_hashes, software
from annofree.batch.manifest import read_manifest
from annofree.batch.record import read_record
from annofree.batch.rethreshold import rethreshold
from annofree.batch.run import BatchReport, run
from annofree.errors import InputError, some
from annofree.pipeline import Choice
from annofree.prepare.recipe import open_as_before
from annofree.refine import REFINERS
from annofree.scan import Cohort
from annofree.thresholds import THRESHOLDS

Verdict = Literal["same", "differs", "missing"]


@dataclass(frozen=True)
class Compared:
    """One scan, then and now.

    Attributes:
        id: The scan.
        mask: Whether every voxel has its label again; "missing" where one of the two runs has no mask.
        scores: The same for the score maps, bit for bit.
        why: What is known about a difference, in sentences.
    """

    id: str
    mask: Verdict
    scores: Verdict
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class RerunReport:
    """How a run compares with the one before.

    Attributes:
        scans: Every scan that the first run ended, in its order.
        circumstances: What is not as it was: versions, machine, model, settings.
        report: The new run.
        out: Where the new masks lie; None where they were only compared.
    """

    scans: tuple[Compared, ...]
    circumstances: tuple[str, ...]
    report: BatchReport
    out: Path | None

    @property
    def reproduced(self) -> bool:
        """Whether every mask is the same, and what failed then failed again."""
        return all(scan.mask == "same" for scan in self.scans)


def rerun(
    manifest: str | Path, out: str | Path | None = None, *, only: Iterable[str] = (), progress: bool = False
) -> RerunReport:
    """Do a run again and compare.

    On the same machine with the same software, model and inputs, masks and scores are the same to the last bit. What
    is not the same any more is named.

    Args:
        manifest: A `run.json`, or the folder that holds it.
        out: Where to keep the new results; None compares and keeps nothing.
        only: Scans to do again; all of them where empty.
        progress: Whether to show progress on stderr: a bar on a terminal, else a line a stage.

    Raises:
        InputError: The manifest cannot be used, its scans came from memory, or its inputs are gone.
    """
    told = read_manifest(manifest)
    before = _ended(told, set(only))
    _refuse_own_folder(manifest, out)
    choice = Choice.from_dict(told["choice"])
    cohort = _cohort(told, before)
    present = [scan_id for scan_id in before if scan_id in cohort.ids]
    if not present:
        raise InputError("None of the scans of that run is there any more", why=some(told["opened"]["source"]))
    circumstances = [*_software_now(told), *_machine_now(told), *_model_now(told, choice), *_method_now(told, choice)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "out" if out is None else Path(out)
        report = run(
            cohort.subset(present),
            choice,
            folder,
            locate=bool(told.get("locate", True)),
            review=bool(told.get("review")) and out is not None,
            progress=progress,
        )
        for change in told.get("rethresholds", ()):
            _decide_again(report, change)
        failed = {failure.id: failure.what for failure in report.failures}
        scans = tuple(_compare(i, told["scans"][i], read_record(report.out, i), failed.get(i)) for i in before)
    return RerunReport(scans, tuple(circumstances), report, None if out is None else report.out)


def _decide_again(report: BatchReport, change: Mapping[str, Any]) -> None:
    """What was done to the masks after that run, done to the new ones."""
    done = [row["id"] for row in report.rows if row["id"] in change["scans"]]
    if done:
        rule = None if change["threshold"] is None else THRESHOLDS.from_dict(change["threshold"])
        chain = change.get("refiners")
        if chain is not None:
            chain = [one if isinstance(one, str) else REFINERS.from_dict(one) for one in chain]
        how: dict[str, Any] = {"refine": chain, "region": change["region"], "only": done}
        rethreshold(report.out, rule, **how, overwrite=True, locate=False)


def _ended(told: Mapping[str, Any], only: set[str]) -> list[str]:
    ended = [scan_id for scan_id, scan in told["scans"].items() if scan.get("state") != "not reached"]
    if only - set(ended):
        raise InputError(f"That run has no scan {some(sorted(only - set(ended)))}", why=f"it has {some(ended)}")
    return [scan_id for scan_id in ended if not only or scan_id in only]


def _refuse_own_folder(manifest: str | Path, out: str | Path | None) -> None:
    source = Path(manifest)
    if out is not None and Path(out).resolve() == (source if source.is_dir() else source.parent).resolve():
        raise InputError("The rerun would write into the run that it repeats", file=out, fix="Name another folder")


def _cohort(told: Mapping[str, Any], ids: Iterable[str]) -> Cohort:
    if not told["opened"]:
        raise InputError(
            "The scans of that run came from memory, not from files",
            why=some(list(ids)),
            fix="Open them with open_cohort, then a run can be repeated",
        )
    return open_as_before(told["opened"])


def _software_now(told: Mapping[str, Any]) -> Iterator[str]:
    here = software()
    then = {"annofree": told.get("annofree"), "Python": told.get("python"), **(told.get("packages") or {})}
    now = {"annofree": here["annofree"], "Python": here["python"], **here["packages"]}
    return (f"{name} was {then.get(name)} and is {now.get(name)} now" for name in _differing(then, now) if name in now)


def _machine_now(told: Mapping[str, Any]) -> Iterator[str]:
    here = machine()
    hosts = [told.get("machine") or {}, *((scan.get("machine") or {}) for scan in told["scans"].values())]
    for name in ("processor", "platform"):
        seen = sorted({str(host[name]) for host in hosts if host.get(name)} - {str(here[name])})
        if seen:
            yield f"the {name} was {some(seen)} and is {here[name]} now"
    threads = sorted({host["threads"] for host in hosts[1:] if host.get("threads")})
    if len(threads) > 1:
        yield f"scans were computed with different numbers of threads ({', '.join(map(str, threads))})"


def _model_now(told: Mapping[str, Any], choice: Choice) -> Iterator[str]:
    then, now = dict(told["model"]["sha256"]), model_hashes(choice)
    return (f"the model's file {name} {_became(name, then, now)}" for name in sorted(_differing(then, now)))


def _method_now(told: Mapping[str, Any], choice: Choice) -> Iterator[str]:
    now = json.loads(json.dumps(choice.build().describe(), default=str))
    then = {"device": told.get("device"), **told["method"]}
    return (f"the method's {name} changed" for name in sorted(_differing(then, now)))


def _differing(then: Mapping[Any, Any], now: Mapping[Any, Any]) -> list[Any]:
    """Names whose values are not the same, those of then first."""
    return [name for name in {**then, **now} if then.get(name) != now.get(name)]


def _became(name: Any, then: Mapping[Any, Any], now: Mapping[Any, Any]) -> str:
    return "is gone" if name not in now else "is new" if name not in then else "has changed"


def _compare(scan_id: str, then: Mapping[str, Any], now: Mapping[str, Any] | None, failed: str | None) -> Compared:
    if then["state"] == "failed":
        if failed is None:
            return Compared(scan_id, "missing", "missing", (f"it failed then ({then['what']}) and does not now",))
        why = "" if failed == then["what"] else f", then for another reason: {then['what']}"
        return Compared(scan_id, "same", "same", (f"it failed, as it did then{why}",))
    if now is None:
        return Compared(scan_id, "missing", "missing", (f"it fails now: {failed}" if failed else "its files are gone",))
    old, new = then["outputs"], now["outputs"]
    return Compared(
        scan_id,
        "same" if old["labels"] == new["labels"] else "differs",
        "same" if old["scores"] == new["scores"] else "differs",
        tuple(_inputs_now(then["inputs"] or (), now["inputs"])),
    )


def _inputs_now(then: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    before, after = ({(entry["role"], entry["path"]): entry["sha256"] for entry in told} for told in (then, now))
    for role, path in _differing(before, after):
        yield f"{role} {_became((role, path), before, after)}{f' ({path})' if path else ''}"
