"""The row "region of the report": the lobes that a text names, taken as if they were a mask (tier R)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from annofree.batch.fingerprint import text_hash
from annofree.bench.runs import Place
from annofree.errors import AnnofreeError
from annofree.evaluation.sanity import SanityRow
from annofree.formats import open_truth
from annofree.formats.outfolder import read_json, write_json
from annofree.metrics.sanity import quick_scores
from annofree.scan import scoring

if TYPE_CHECKING:
    from annofree.reports import AtlasRegions

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
