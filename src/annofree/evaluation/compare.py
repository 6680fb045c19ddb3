"""Two examinations of one person: what grew, what shrank, and whether that is more than the noise of re-scanning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import AnnofreeError, InputError
from annofree.evaluation.pairs import Visit, find_pairs
from annofree.evaluation.rescan import Change, rescans
from annofree.formats.bids_names import bids_folder, bids_stem, participant_of
from annofree.formats.carried import carried_labels, carried_mask
from annofree.formats.outfolder import atomic_write, claimed, read_table, write_table
from annofree.formats.stored import read_segmentation, written_ids
from annofree.grid import apply_affine
from annofree.prepare.regrid import drawn
from annofree.prepare.visits import SURE_LIKENESS, Visits, align_visits
from annofree.review.change_page import ADDED, REMOVED, STAYED, change_page
from annofree.review.remake import read_again
from annofree.review.volumes import cut_brain
from annofree.scan import Scan
from annofree.segmentation import REGIONS, Segmentation

TABLE = "changes.tsv"
COLUMNS = (
    *("participant", "before", "after", "region", "before_ml", "after_ml", "change_ml", "change_percent"),
    *("low_ml", "high_ml", "statement", "added_ml", "removed_ml", "stayed_ml", "likeness", "moved_mm", "notes"),
)
#: A scan that shows less of the other one's tumour tells nothing of its volume.
_LEAST_SEEN = 0.95
#: Voxels so many times as long, and brains that overlap less, are worth a note.
_COARSER, _WELL_SHARED = 1.5, 0.95


@dataclass(frozen=True)
class Comparison:
    """Two scans compared.

    Attributes:
        before: Id of the earlier scan.
        after: Id of the later one.
        changes: By region, whole tumour first.
        parts_ml: By region, volume added, removed and stayed, on the earlier scan's grid after alignment.
        visits: How the two lie to each other.
        notes: What a reader has to know, in sentences.
        page: The page to look at; None where none was asked for.
    """

    before: str
    after: str
    changes: tuple[Change, ...]
    parts_ml: Mapping[str, tuple[float, float, float]]
    visits: Visits
    notes: tuple[str, ...]
    page: Path | None = None

    @property
    def statement(self) -> str:
        """The verdict on the whole tumour, with its numbers and what can be concluded."""
        return self.changes[0].sentence

    def rows(self) -> list[dict[str, Any]]:
        """A row for each region."""
        rows = []
        for change in self.changes:
            low, high = change.interval_ml or (None, None)
            added, removed, stayed = self.parts_ml[change.region]
            values = (
                *(participant_of(self.before), self.before, self.after, change.region),
                *(change.before_ml, change.after_ml, change.ml, change.percent, low, high, change.verdict),
                *(added, removed, stayed, self.visits.likeness, self.visits.moved_mm, " | ".join(self.notes)),
            )
            rows.append(dict(zip(COLUMNS, values, strict=True)))
        return rows


@dataclass(frozen=True, repr=False)
class CompareReport:
    """What `compare` did; `alone` are the scans that have no partner."""

    table: Path
    comparisons: tuple[Comparison, ...]
    failures: tuple[tuple[str, str], ...]
    alone: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<CompareReport: {len(self.comparisons)} pairs, {len(self.failures)} failed; {self.table}>"


def compare(
    before: str | Path,
    after: str | Path | None = None,
    *,
    out: str | Path,
    pairs: Iterable[tuple[str, str]] = (),
    method: str | None = None,
    review: bool = True,
) -> CompareReport:
    """Compare the segmentations of two examinations of each person.

    The later scan is aligned rigidly with the earlier one, by the brain without the tumours. Volumes are each scan's
    own; their change is beyond the noise of re-scanning where its interval leaves out zero.

    Args:
        before: Folder that `annofree segment` wrote, of the earlier examinations, or of all.
        after: The same of the later examinations; None pairs the sessions inside `before`.
        out: Output folder: `changes.tsv` and a page a pair.
        pairs: Ids of earlier and later scans, where names do not tell.
        method: Whose answers, where a folder holds those of several methods.
        review: Whether to make the pages.

    Returns:
        What was found; a pair that cannot be compared is among the failures.

    Raises:
        AnnofreeError: There is nothing to compare, or not one pair could be.
    """
    folders, named = [Path(folder) for folder in (before, after) if folder is not None], tuple(pairs)
    found = find_pairs(folders[0], None if after is None else folders[1], named)
    partnered = {(visit.folder, visit.scan_id) for pair in found for visit in pair}
    alone = [i for folder in folders if not named for i in written_ids(folder) if (folder, i) not in partnered]
    done, failures = [], []
    with claimed(out, "comparisons") as root:
        for earlier, later in found:
            try:
                done.append(_compare(earlier, later, root, method, review))
            except AnnofreeError as error:
                if len(found) == 1:
                    raise
                failures.append((f"{earlier.scan_id} and {later.scan_id}", str(error)))
        if not done:
            raise InputError(f"Not one of {len(found)} pairs could be compared; {failures[0][0]}: {failures[0][1]}")
        path, now = root / TABLE, {(earlier.scan_id, later.scan_id) for earlier, later in found}
        others = [row for row in read_table(path) if (row.get("before"), row.get("after")) not in now]
        write_table(path, [*(row for one in done for row in one.rows()), *others], COLUMNS)
    return CompareReport(path, tuple(done), tuple(failures), tuple(alone))


def _compare(earlier: Visit, later: Visit, root: Path, method: str | None, review: bool) -> Comparison:
    first, second = (read_segmentation(visit.folder, visit.scan_id, method, scores=()) for visit in (earlier, later))
    _refuse_other_methods(first, second)
    scans = read_again(first, earlier.folder), read_again(second, later.folder)
    _refuse_same(*scans)
    visits = align_visits(*scans, first.mask("WT"), second.mask("WT"))
    _refuse_unseen(first, second, visits)
    back = np.linalg.inv(visits.movement)
    carried = carried_labels(second.labels, second.regions, second.grid, first.grid, back)
    regions = [region for region in REGIONS if region in first.regions and region in second.regions]
    method_name = str(first.provenance.get("method", ""))
    rescan = rescans().get(method_name)
    changes = tuple(
        Change.of(region, first.volumes_ml[region], second.volumes_ml[region], rescan) for region in regions
    )
    parts = {region: _parts(first, carried, region) for region in regions}
    notes = [*_notes((first, second), scans, visits)]
    if rescan is None:
        notes.append(f"How far volumes of '{method_name}' differ without a change was not measured.")
    one = Comparison(earlier.scan_id, later.scan_id, changes, parts, visits, tuple(notes))
    if not review:
        return one
    name = f"{bids_stem(later.scan_id)}_since_{bids_stem(earlier.scan_id)}.html"
    page = bids_folder(root, later.scan_id) / name
    atomic_write(page, _page(one, (first, second), scans, carried))
    return replace(one, page=page)


def _refuse_other_methods(before: Segmentation, after: Segmentation) -> None:
    methods = [str(result.provenance.get("method", "")) for result in (before, after)]
    if methods[0] != methods[1]:
        raise InputError(
            f"'{before.scan_id}' and '{after.scan_id}' were segmented by two methods",
            why=f"{methods[0]} and {methods[1]} draw borders of their own",
            fix="Segment both with one method",
        )


def _refuse_same(before: Scan, after: Scan) -> None:
    both = [name for name in before.images if name in after.images]
    if both and all(np.array_equal(before.images[name], after.images[name]) for name in both):
        raise InputError(
            f"'{before.id}' and '{after.id}' are the same images",
            file=next(iter(after.files.values()), None),
            why=f"every voxel of {', '.join(both)} is the same",
            fix="Compare two examinations",
        )


def _refuse_unseen(before: Segmentation, after: Segmentation, visits: Visits) -> None:
    """A tumour that the other scan's field of view cuts looks as if it had changed."""
    ways = ((before, after, visits.movement), (after, before, np.linalg.inv(visits.movement)))
    for whose, other, movement in ways:
        voxels = np.argwhere(whose.mask("WT"))
        if not len(voxels):
            continue
        to_other = np.linalg.inv(other.affine) @ movement @ whose.affine
        seen = other.grid.share_inside(apply_affine(to_other, voxels))
        if seen < _LEAST_SEEN:
            raise InputError(
                f"'{other.scan_id}' does not show the whole tumour of '{whose.scan_id}'",
                why=f"{seen:.0%} of it lies in its field of view",
                fix="Compare scans that both show the whole tumour",
            )


def _parts(before: Segmentation, carried: NDArray[np.uint8], region: str) -> tuple[float, float, float]:
    then, now = before.mask(region), np.isin(carried, REGIONS[region])
    voxel_ml = before.grid.voxel_ml
    added, removed, stayed = (float(part.sum() * voxel_ml) for part in (now & ~then, then & ~now, then & now))
    return added, removed, stayed


def _notes(results: tuple[Segmentation, ...], scans: tuple[Scan, ...], visits: Visits) -> Iterable[str]:
    before, after = scans
    if before.sequences != after.sequences:
        yield f"The sequences differ: {', '.join(before.sequences)} then, {', '.join(after.sequences)} now."
    ratio = max(np.divide(sorted(before.spacing_mm), sorted(after.spacing_mm)).max(), 1e-9)
    ratio = max(ratio, np.divide(sorted(after.spacing_mm), sorted(before.spacing_mm)).max())
    if ratio > _COARSER:
        edges = (" x ".join(f"{edge:.2g}" for edge in scan.spacing_mm) for scan in scans)
        yield "The voxels differ: {} mm then, {} mm now; that alone changes volumes.".format(*edges)
    if visits.likeness < SURE_LIKENESS:
        yield f"The brains are less alike ({visits.likeness:.2f}) than those of one person usually are; look at them."
    if visits.shared < _WELL_SHARED:
        yield f"The two scans share {visits.shared:.0%} of the brain."
    shared = sorted(set.intersection(*(set(r.thresholds) for r in results)))  # enhancing tumour has none without T1C
    for what, told in (
        ("thresholds", [{name: r.thresholds[name].to_dict() for name in shared} for r in results]),
        ("models", [r.provenance.get("model") for r in results]),
        ("versions of annofree", [r.provenance.get("annofree") for r in results]),
    ):
        if told[0] != told[1]:
            yield f"The {what} behind the two segmentations differ."


def _page(
    one: Comparison, results: tuple[Segmentation, ...], scans: tuple[Scan, ...], carried: NDArray[np.uint8]
) -> str:
    before, after = scans
    if after.brain is None:
        cut_brain(results[1], after)  # refuses a whole head, whose face a page would show
    grid, movement = before.grid, one.visits.movement
    own = carried_mask(after.foreground(), after.grid, grid, np.linalg.inv(movement))
    brain = own | before.foreground() | (carried > 0)
    shared = [name for name in before.images if name in after.images]
    then = before.replace(images={s: np.where(before.foreground(), before.images[s], 0) for s in shared}, brain=brain)
    now = before.replace(
        images={s: np.where(own, drawn(after.images[s], after.grid, grid, movement), 0) for s in shared}, brain=brain
    )
    whole = results[0].mask("WT"), carried > 0
    codes = np.zeros(grid.shape, np.uint8)
    codes[whole[0] & whole[1]], codes[whole[0] & ~whole[1]], codes[~whole[0] & whole[1]] = STAYED, REMOVED, ADDED
    cut = results[0].replace(brain=brain, scores={})
    return change_page(
        cut_brain(cut, then),
        cut_brain(cut.replace(labels=carried), now),
        cut_brain(cut.replace(labels=codes), now).labels,
        title=f"{one.after} since {one.before}",
        names=(one.before, one.after),
        sentence=one.statement,
        rows=[
            (change.region, change.verdict, *change.cells(1), *(f"{part:.1f}" for part in one.parts_ml[change.region]))
            for change in one.changes
        ],
        facts={
            "Aligned by": f"{one.visits.modality}, brain without tumour",
            "Moved": f"{one.visits.moved_mm:.1f} mm on average",
            "Likeness": f"{one.visits.likeness:.2f} (correlation of the fine structure)",
            "Shared": f"{one.visits.shared:.0%} of the brain",
            "Method": f"{results[0].provenance.get('method', '')}, tier {results[0].provenance.get('tier', '')}",
        },
        notes=one.notes,
    )
