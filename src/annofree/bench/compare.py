"""A comparison from its plan: fit, segment, decide otherwise, score; then tables and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from annofree.bench.runs import Place
from annofree.errors import AnnofreeError
from annofree.evaluation.sanity import SanityRow
from annofree.formats import open_truth
from annofree.formats.network_folder import text_hash
from annofree.formats.outfolder import read_json, write_json
from annofree.metrics.sanity import quick_scores
from annofree.scan import scoring

if TYPE_CHECKING:
    from annofree.reports import AtlasRegions

import json
from collections.abc import Callable
from math import nan

from annofree.bench.page import write_page
from annofree.bench.plan import OWN, PLAIN, Contender, Folders, read_plan
from annofree.bench.results import Bench, Entry, Group
from annofree.bench.runs import fitted, placed, run_own, run_rules
from annofree.bench.scores import scored
from annofree.bench.tables import write_tables
from annofree.errors import InputError
from annofree.pipeline import Choice


def bench(plan: str | Path, out: str | Path, *, say: Callable[[str], None] = lambda _: None) -> Bench:
    """Run a plan; what an earlier run did is kept, and a stopped one goes on.

    The plan is a YAML file; `say` is told what is being done.

    Raises:
        InputError: The plan cannot work (with the line of the file), or nothing could be scored.
        OutputError: The folder holds something else.
    """
    told = read_plan(plan)
    folders = Folders.claim(out)
    result = Bench(told, folders.out)
    for data in told.data:
        say(f"{data.name}: scans")
        place = placed(data, folders)
        entries: list[Entry] = []
        for one in told.contenders:
            try:
                own = _entries(place, one, result, folders, say)
                entries += own
                result.failures += [f"{one.name} on {data.name}, {scan}" for scan in own[0].cost.failures]
            except AnnofreeError as error:
                result.failures.append(f"{one.name} on {data.name}: {error}")
        if not entries:
            continue
        fullest = max(entries, key=lambda entry: len(entry.scores.sanity))
        say(f"{data.name}: rows that need no method")
        try:
            named = named_region(place, folders.run(data, told.contenders[0]).parent)
        except AnnofreeError as error:
            named = (SanityRow(ROW, "WT", "dice", 0, nan),)
            result.failures.append(f"{ROW} on {data.name}: {error}")
        sanity = (*fullest.scores.sanity, *named)
        result.groups.append(Group(place, tuple(entries), sanity, place.cohort().ids))
    if not result.groups:
        raise InputError("Nothing could be compared", file=plan, why=" ".join(result.failures[:2]))
    write_tables(result)
    write_page(result)
    return result


def _entries(place: Place, one: Contender, result: Bench, folders: Folders, say: Callable[[str], None]) -> list[Entry]:
    """A method's answers under each of the plan's rules; rules that cannot be applied are among the failures."""
    choice = fitted(one, folders, say)
    say(f"{place.data.name}: {one.name}")
    cost = run_own(place, one, choice, folders)
    transductive = _learned_from(choice, place)
    found = []
    for threshold, refiners in result.plan.cells if one.name != PLAIN else ((OWN, OWN),):
        try:
            answers = run_rules(place, one, threshold, refiners, folders)
            scores = scored(answers, place.truth)
        except AnnofreeError as error:
            if (threshold, refiners) == (OWN, OWN):
                raise
            rules = f"threshold {threshold}, refiners {refiners}"
            result.failures.append(f"{one.name} on {place.data.name}, {rules}: {error}")
            continue
        found.append(Entry(one.name, threshold, refiners, scores, cost, answers, transductive))
    return found


def _learned_from(choice: Choice, place: Place) -> bool:
    """Whether the model's card names a scan that it is scored on."""
    card = json.dumps(choice.build().card)
    return any(f'"{scan_id}"' in card for scan_id in place.cohort().ids)


ROW = "region of the report"


def named_region(place: Place, folder: Path) -> tuple[SanityRow, ...]:
    """Mean scores of the named regions; a row without a mean where no scan has a report.

    The folder keeps what was measured.

    Raises:
        AnnofreeError: There are reports, and the atlas of gyri that their words are mapped onto is not installed.
    """
    cohort = place.cohort()
    texts = {scan_id: text for scan_id in cohort.ids if (text := cohort.report(scan_id))}
    kept, stamp = folder / "named_region.json", text_hash(texts, str(place.truth), list(cohort.ids))
    known = read_json(kept) or {}
    if known.get("stamp") != stamp:
        regions = _regions() if texts else None
        cases = [_score(place, scan_id, regions) for scan_id in texts] if regions is not None else []
        known = {"stamp": stamp, "cases": [found for found in cases if found is not None]}
        write_json(kept, known)
    rows = []
    for metric in ("dice", "lesionwise_dice"):
        values = [case[metric] for case in known["cases"]]
        rows.append(SanityRow(ROW, "WT", metric, len(values), float(np.mean(values)) if values else float("nan")))
    return tuple(rows)


def _regions() -> AtlasRegions:
    from annofree.anatomy import gyri_atlas
    from annofree.reports import AtlasRegions

    return AtlasRegions(gyri_atlas())


def _score(place: Place, scan_id: str, regions: AtlasRegions) -> dict[str, float] | None:
    from annofree.thresholds.report_targets import ReportTargetSettings, report_target

    try:
        scan = place.cohort()[scan_id]
        target = report_target(scan, regions, ReportTargetSettings(use="published"))
        labels = np.zeros(scan.shape, np.uint8)
        if target is not None:
            labels[target.inside] = 2
        truth = open_truth(place.truth, scan_id, scan.grid, native=scan.native, files=scan.files.values())
        with scoring():
            found = quick_scores(labels, truth.labels, ("WT",), scan.spacing_mm)
    except AnnofreeError:
        return None
    return {metric: value for (_, metric), value in found.items()}
