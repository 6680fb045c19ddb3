"""New masks from saved scores: no method runs, no network is loaded."""

from __future__ import annotations

import time
from pathlib import Path

from annofree.anatomy import locate as locate_lesions
from annofree.batch.record import COLUMNS, forget, make_row, read_record, write_record
from annofree.batch.run import BatchReport
from annofree.errors import InputError
from annofree.formats import open_scan, read_segmentation, written_ids
from annofree.formats.outfolder import atomic_write, claim_folder, table
from annofree.methods.decide import decide
from annofree.prepare.recipe import again
from annofree.refine import from_dict as refiner_from_dict
from annofree.segmentation import Segmentation
from annofree.thresholds import from_dict as threshold_from_dict
from annofree.thresholds import parse
from annofree.thresholds.base import Threshold, worst_tier


def rethreshold(
    results: str | Path, threshold: str, *, region: str = "WT", out: str | Path | None = None, locate: bool = True
) -> BatchReport:
    """Change the threshold of one region in every segmentation of a folder.

    Args:
        results: A folder that `annofree segment` wrote.
        threshold: The new rule, such as "fixed:2.0", "otsu" or "mad:3".
        region: The region that it decides.
        out: Another folder for the new masks; None replaces them in place (scores stay as they are).
        locate: Whether the new lesions get side and lobe, for which the scan's images are read again.

    Returns:
        The new rows of `results.tsv`.

    Raises:
        InputError: The folder holds no segmentation, or the region has no scores.
        SettingsError: The threshold is not understood.
    """
    started = time.monotonic()
    rule = parse(threshold)
    source = Path(results)
    ids = written_ids(source)
    if not ids:
        raise InputError("There is no segmentation in the folder", file=source, fix="Run annofree segment first")
    target = claim_folder(out if out is not None else source)
    report = BatchReport(target)
    for scan_id in ids:
        before = read_segmentation(source, scan_id)
        after = _decide_again(before, region, rule, locate)
        old = read_record(source, scan_id) or {}
        key = f"rethreshold {region} {threshold} of {old.get('key', 'unknown')}"
        forget(target, scan_id)
        after.save(target)
        write_record(target, after, key, float(old.get("seconds", 0.0)), inputs=old.get("inputs", ()))
        report.rows.append(make_row(after))
    report.seconds = time.monotonic() - started
    atomic_write(target / "results.tsv", table(report.rows, COLUMNS))
    if (target / "index.html").exists():
        from annofree.review import review as make_pages

        make_pages(target)
    return report


def _decide_again(before: Segmentation, region: str, rule: Threshold, locate: bool) -> Segmentation:
    if region not in before.scores or before.brain is None:
        raise InputError(
            f"The segmentation of '{before.scan_id}' has no scores for {region}",
            why=f"it keeps {', '.join(before.scores) or 'none'}",
        )
    told = before.provenance
    thresholds = {name: threshold_from_dict(described) for name, described in told["rules"].items()}
    thresholds[region] = rule
    refiners = {name: tuple(refiner_from_dict(d) for d in chain) for name, chain in told["refiners"].items()}
    scan = open_scan(dict(told["files"]), brain_mask=before.brain, id=before.scan_id, prepare=again(told))
    decision = decide(
        before.scores,
        thresholds,
        refiners,
        brain=before.brain,
        spacing_mm=before.grid.spacing_mm,
        images=scan.images,
    )
    rules = {name: threshold.to_dict() for name, threshold in thresholds.items()}
    provenance = {
        **told,
        "tier": worst_tier([str(told["tier"]), rule.tier]),
        "thresholds": {name: threshold.to_dict() for name, threshold in decision.thresholds.items()},
        "rules": rules,
        "rethresholded": {"region": region, "before": told["rules"][region]},
    }
    return before.replace(
        labels=decision.labels,
        thresholds=decision.thresholds,
        provenance=provenance,
        lesions=locate_lesions(decision.labels, scan, scores=before.scores.get("WT"), with_lobes=locate),
    )
