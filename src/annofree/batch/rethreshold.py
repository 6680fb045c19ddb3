"""New masks from saved scores: no method runs, no network is loaded."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from annofree.anatomy import locate as locate_lesions
from annofree.batch.manifest import note_rethreshold
from annofree.batch.record import forget, make_row, read_record, standing_rows, write_record, write_results
from annofree.batch.run import BatchReport
from annofree.batch.worker import explain
from annofree.errors import AnnofreeError, InputError, OutputError, SettingsError
from annofree.formats import read_segmentation, written_ids
from annofree.formats.lock import only_run
from annofree.formats.network_folder import file_hash
from annofree.formats.outfolder import claimed, together
from annofree.formats.stored import no_results
from annofree.methods.decide import Rules, Scored, decide
from annofree.methods.model_folder import FORM
from annofree.methods.registry import method_class
from annofree.refine import chosen_chain
from annofree.refine.base import Refiner
from annofree.review.remake import read_again, write_own_page
from annofree.segmentation import Segmentation
from annofree.thresholds import parse
from annofree.thresholds.base import Threshold, worst_tier
from annofree.trust.expectation import CHANGED, UNKNOWN
from annofree.trust.false_alarms import uncalibrated


def rethreshold(
    results: str | Path,
    threshold: str | Threshold | None,
    *,
    method: str | None = None,
    refine: Sequence[str | Refiner] | None = None,
    region: str = "WT",
    out: str | Path | None = None,
    overwrite: bool = False,
    only: Collection[str] | None = None,
    locate: bool = True,
) -> BatchReport:
    """Change the threshold of one region in every segmentation of a folder.

    Args:
        results: A folder that `annofree segment` wrote.
        threshold: The new rule, such as "fixed:2.0", "otsu" or "mad:3"; None decides again by the rules in use.
        method: Whose answers, where a folder holds those of several methods.
        refine: The region's new refiners, or their short forms; "own" stands for those in use, "none" for none, None
            keeps those in use.
        region: The region that it decides.
        out: Another folder for the new masks.
        overwrite: Without `out`, replace the masks in place (scores stay as they are).
        only: Scans to decide on; all of them where None.
        locate: Whether the new lesions get side and lobe, for which the scan's images are read again.

    Returns:
        The new rows of `results.tsv`, whose notes say why a tier is another; a scan that cannot be decided again keeps
        its mask and is among the failures.

    Raises:
        InputError: The folder holds no segmentation, or none can be decided again.
        OutputError: Masks would be replaced and nobody allowed it.
        SettingsError: The threshold or a refiner is not understood.
    """
    started = time.monotonic()
    rule = parse(threshold) if isinstance(threshold, str) else threshold
    chain = None if refine is None else tuple(refine)
    for refiner in chosen_chain(chain or (), ()):
        refiner.check()
    change, source = _Change(region, rule, chain), Path(results)
    ids = [scan_id for scan_id in written_ids(source, method) if only is None or scan_id in only]
    if not ids:
        raise no_results(source)
    if (out is None or Path(out).resolve() == source.resolve()) and not overwrite:
        raise OutputError(
            "The new masks would replace the old ones", file=source, fix="Name another folder with -o, or --overwrite"
        )
    with claimed(out if out is not None else source) as target, only_run(target):
        report, touched = BatchReport(target), False
        try:
            for scan_id in ids:
                try:
                    before = read_segmentation(source, scan_id, method)
                    old = read_record(source, scan_id, str(before.provenance["method"])) or {}
                    _refuse_changed(old.get("inputs", ()))
                    after = _decide_again(before, source, change, locate)
                    touched = True
                    _write(after, target, f"rethreshold {change} of {old.get('key', 'unknown')}", old)
                    report.rows.append(make_row(after))
                except AnnofreeError as error:
                    if len(ids) == 1:
                        raise
                    report.failures.append(explain(scan_id, error))
            if not report.rows:
                first = report.failures[0]
                why, fix = (None if text == "n/a" else text for text in (first.why, first.next))
                raise InputError(f"No scan could be decided again; '{first.id}': {first.what}", why=why, fix=fix)
        finally:  # where it is stopped, too: a table must not tell of masks that are gone
            report.seconds = time.monotonic() - started
            if touched:
                _write_tables(report, source, change)
        return report


@dataclass(frozen=True)
class _Change:
    """What decides one region from now on; None leaves the threshold or the refiners as they are."""

    region: str
    rule: Threshold | None
    chain: tuple[str | Refiner, ...] | None

    def described(self) -> dict[str, Any]:
        """The threshold and the refiners as data."""
        told: dict[str, Any] = {"threshold": None if self.rule is None else self.rule.to_dict()}
        if self.chain is not None:
            told["refiners"] = [one if isinstance(one, str) else one.to_dict() for one in self.chain]
        return told

    def __str__(self) -> str:
        return f"{self.region} {self.described()}"


def _write(after: Segmentation, target: Path, key: str, old: Mapping[str, Any]) -> None:
    """The new answer with its record and page; `old` is the record of the one that it was decided from."""
    with together(target):
        after.save(target, page=False)
        write_record(target, after, key, float(old.get("seconds", 0.0)), inputs=old.get("inputs", ()))
        forget(target, after.scan_id, str(after.provenance.get("method", "")))
    write_own_page(after, target)


def _write_tables(report: BatchReport, source: Path, change: _Change) -> None:
    """The tables, the manifest's note and, where there is one, the cohort's page."""
    write_results(report.out, standing_rows(report.out))
    done = [row["id"] for row in report.rows]
    note_rethreshold(source, report.out, done, {"region": change.region, **change.described()})
    if (report.out / "index.html").exists():
        report.make_pages(done)


def _refuse_changed(inputs: Iterable[Mapping[str, Any]]) -> None:
    """Refiners look at the images again: they must be those that were segmented."""
    for entry in inputs:
        path = Path(str(entry["path"]))
        if not entry["path"] or not entry["mtime_ns"] or not path.is_file():
            continue
        status = path.stat()
        same = (status.st_size, status.st_mtime_ns) == (entry["size"], entry["mtime_ns"])
        if not same and file_hash(path) != entry["sha256"]:
            raise InputError("An image has changed since it was segmented", file=path, fix="Segment the scan again")


def _rules(told: Mapping[str, Any]) -> tuple[Rules, list[str]]:
    """The rules that made a mask, as the record beside it tells them, and what is doubtful about them."""
    described = {"form": 1, "settings": told["settings"], "thresholds": told["rules"], "refiners": told["refiners"]}
    if told.get("form") == FORM:
        return Rules.from_dict(described), []
    doubt = f"its mask is of an older form (annofree {told.get('annofree')}) and was decided a little otherwise"
    try:
        described = method_class(str(told["method"])).migrated(described)
    except SettingsError:
        doubt = f"the method '{told['method']}' is not installed"
    return Rules.from_dict(described), [f"Besides the new threshold other voxels may differ: {doubt}."]


def _decide_again(before: Segmentation, folder: Path, change: _Change, locate: bool) -> Segmentation:
    told, region = before.provenance, change.region
    _refuse_undecidable(before, region)
    in_use, sentences = _rules(told)
    rules = _changed(in_use, change)
    scan = read_again(before, folder).replace(brain=before.brain)
    scored = Scored(before.scores, rules, tuple(told.get("score notes", ())))
    decision = decide(scored, scan)
    learned = str(told.get("learned tier", "T0" if told.get("form") else told["tier"]))
    tier = worst_tier([learned, *(threshold.tier for threshold in rules.thresholds.values())])
    was, now = in_use.thresholds[region], rules.thresholds[region]
    if change.rule is not None and tier != told["tier"]:
        sentences.append(
            f"The tier changes from {told['tier']} to {tier}: the threshold of {region} was {was.describe()} "
            f"(tier {was.tier}) and is now {now.describe()} (tier {now.tier}; {now.source or 'no source stated'})."
        )
    provenance: dict[str, Any] = {
        **told,
        "form": FORM,
        "tier": tier,
        "notes": [*told.get("scan notes", told["notes"]), *decision.notes, *sentences],
        "thresholds": {name: threshold.to_dict() for name, threshold in decision.thresholds.items()},
        "guessed_ml": decision.guessed_ml,
        "rules": rules.to_dict()["thresholds"],
        "refiners": rules.to_dict()["refiners"],
        "rethresholded": {"region": region, "before": was.to_dict()},
    }
    whole = before.scores.get("WT")
    lesions = locate_lesions(decision.labels, scan, scores=whole, with_lobes=locate, regions=decision.regions)
    if rules.to_dict() != in_use.to_dict() or "finding" not in told:
        known = (told.get("expectation") or {}).get("sentence", UNKNOWN.sentence) != UNKNOWN.sentence
        provenance |= {"finding": asdict(uncalibrated(lesions)), "expectation": asdict(CHANGED if known else UNKNOWN)}
    if (said := provenance["expectation"]["sentence"]) == CHANGED.sentence or said in told["notes"]:
        provenance["notes"].append(said)
    if outside := provenance["expectation"].get("outside"):
        provenance["notes"].append(outside)
    return before.replace(
        labels=decision.labels,
        regions=decision.regions,
        thresholds=decision.thresholds,
        provenance=provenance,
        lesions=lesions,
        scan=scan,
    )


def _refuse_undecidable(before: Segmentation, region: str) -> None:
    if region in before.provenance.get("guessed_ml", {}):
        raise InputError(
            f"There is no {region} to decide on", why="the scan lacks T1C, which alone shows it", fix="Choose WT or TC"
        )
    if region not in before.scores or region not in before.regions or before.brain is None:
        raise InputError(
            f"The segmentation of '{before.scan_id}' has no scores for {region}",
            why=f"it keeps {', '.join(before.scores) or 'none'}",
        )


def _changed(in_use: Rules, change: _Change) -> Rules:
    rules, region = in_use, change.region
    # typed again, a rule has neither the tier nor the source of the one that was fitted or shipped
    if change.rule is not None and not _in_use(change.rule, in_use.thresholds[region]):
        rules = rules.replace({region: change.rule})
    if change.chain is not None:
        rules = rules.replace(refiners={region: chosen_chain(change.chain, rules.refiners.get(region, ()))})
    return rules


def _in_use(rule: Threshold, was: Threshold) -> bool:
    """Whether a rule cuts as the one in use does, whatever is known of where either comes from."""
    about = {"tier": was.tier, "source": was.source, "saw": was.saw, "value": was.value}
    return rule.value in (None, was.value) and {**rule.to_dict(), **about} == was.to_dict()
