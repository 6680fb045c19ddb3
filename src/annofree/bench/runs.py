"""The answers of a comparison: each method on each data in a process of its own, other rules from saved scores."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from annofree.batch.record import read_record
from annofree.bench.plan import NONE, OWN, Contender, Data, Folders
from annofree.errors import AnnofreeError
from annofree.formats import open_cohort, written_ids
from annofree.formats.outfolder import read_json, write_json
from annofree.pipeline import Choice
from annofree.prepare import Recipe
from annofree.scan import Cohort

COST = "cost.json"
RULES = "rules.json"


@dataclass(frozen=True)
class Place:
    """Data that lies on disk."""

    data: Data
    scans: Path
    truth: Path
    reports: Path | None

    def cohort(self) -> Cohort:
        """The scans, with their reports."""
        return open_cohort(
            self.scans,
            reports=self.reports,
            brain_mask=self.data.brain_mask,
            sequence=self.data.sequence,
            prepare=Recipe(),
        )


def placed(data: Data, folders: Folders) -> Place:
    """Data as files; phantoms are written first, once."""
    if data.phantoms is None:
        assert data.scans is not None
        assert data.truth is not None
        return Place(data, data.scans.absolute(), data.truth.absolute(), data.reports)
    from annofree.phantom import write_cohort

    root = folders.phantoms(data)
    if not (root / "truth").is_dir():  # else they are whole
        write_cohort(root, **data.phantoms.model_dump())
    return Place(data, root / "scans", root / "truth", root / "reports")


def fitted(one: Contender, folders: Folders, say: Callable[[str], None]) -> Choice:
    """The method, ready to run; fitted where the plan asks for it and it was not yet."""
    if one.fit is None:
        return one.choice(one.set)
    model = folders.model(one)
    if not (model / "config.yaml").is_file():
        from annofree.pipeline import fit

        say(f"fitting {one.name}")
        assert one.method is not None
        fit(one.method, out=model, settings=one.fit.set, **one.fit.model_dump(exclude={"set"}))
    return Choice(model=str(model), options=one.set)


@dataclass(frozen=True)
class Cost:
    """What a run took.

    Attributes:
        seconds: Mean per scan, loading of the model left out.
        peak_gb: Largest memory of the process; None where the system does not tell.
        failures: Sentences on scans that could not be segmented.
    """

    seconds: float
    peak_gb: float | None
    failures: tuple[str, ...]


def run_own(place: Place, one: Contender, choice: Choice, folders: Folders) -> Cost:
    """Segment by the method's own rules, in a process of its own; what an earlier run did is kept.

    Raises:
        AnnofreeError: Nothing could be segmented.
    """
    from annofree.processes import as_they_come

    out = folders.run(place.data, one)
    ((_, told),) = as_they_come(partial(_run, place, choice), [out], 1)
    if told is None:
        raise AnnofreeError(f"The process of '{one.name}' on '{place.data.name}' died", why="perhaps memory ran out")
    peak = told["peak_gb"] if told["done"] else (read_json(out / COST) or {}).get("peak_gb")
    write_json(out / COST, {"peak_gb": peak})
    seconds = [record["seconds"] for scan_id in place.cohort().ids if (record := read_record(out, scan_id))]
    if not seconds:
        why = told["failures"][0] if told["failures"] else "there is no scan"
        raise AnnofreeError("No scan could be segmented", why=why)
    return Cost(sum(seconds) / len(seconds), peak, tuple(told["failures"]))


def _run(place: Place, choice: Choice, out: Path) -> dict[str, Any]:
    from annofree.batch.run import run

    report = run(place.cohort(), choice, out, locate=False)
    return {
        "done": len(report.rows) - len(report.reused),
        "failures": [f"{failure.id}: {failure.what}: {failure.why}" for failure in report.failures],
        "peak_gb": _peak_gb(),
    }


def _peak_gb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def run_rules(place: Place, one: Contender, threshold: str, refiners: str, folders: Folders) -> Path:
    """Masks under other rules from the scores of `run_own`; made once."""
    from annofree.batch.rethreshold import rethreshold
    from annofree.refine import parse_chain

    own, out = folders.run(place.data, one), folders.cell(place.data, one, threshold, refiners)
    if own == out:
        return out
    records = {scan_id: (read_record(own, scan_id) or {}).get("key") for scan_id in written_ids(own)}
    done = out / RULES
    if read_json(done) == records:
        return out
    chain = None if refiners == OWN else () if refiners == NONE else parse_chain(refiners)
    rethreshold(own, None if threshold == OWN else threshold, refine=chain, out=out, locate=False)
    write_json(done, records)
    return out
