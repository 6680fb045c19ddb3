"""Pages again from a results folder: masks and scores as stored, images read again from where they came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from annofree.errors import AnnofreeError, InputError
from annofree.formats import open_scan
from annofree.formats.names import is_volume
from annofree.formats.nifti import holds_channels
from annofree.formats.outfolder import claim_folder, refuse_beside
from annofree.formats.stored import read_segmentation, written_ids
from annofree.prepare.recipe import again, opened_again, refuse_gone
from annofree.review.cohort import write_cohort_review
from annofree.review.patient import page_path, source_digest, write_review
from annofree.review.summary import read_summary
from annofree.scan import Scan
from annofree.segmentation import Segmentation


@dataclass(frozen=True)
class ReviewReport:
    """What `review` did."""

    index: Path
    made: tuple[Path, ...]
    kept: tuple[Path, ...]
    failed: tuple[tuple[str, str], ...]


def review(
    out: str | Path, *, method: str | None = None, again: bool = False, pages: str | Path | None = None
) -> ReviewReport:
    """Make the pages of every segmentation in a folder, then the cohort page.

    Pages that were made from the same result are kept. A scan whose images are gone costs its own page only.

    Args:
        out: A folder that `annofree segment` wrote.
        method: Whose answers, where a folder holds those of several methods.
        again: Whether to make pages again that are up to date.
        pages: Folder for the pages, where the results may not be written to.

    Raises:
        InputError: The folder holds nothing to review.
        OutputError: Pages may not be written there.
    """
    root, there = Path(out), Path(pages or out)
    made, kept, failed = [], [], []
    ids = written_ids(root, method)
    if there.resolve() != root.resolve():
        for table in ("results.tsv", "reports.tsv", "changes.tsv"):
            refuse_beside(there, table, "results of its own")
        claim_folder(there, "pages")
    for scan_id in ids:
        try:
            page = page_path(there, scan_id)
            old = read_summary(page)
            digest = old and source_digest(root, old.scan_id, old.method)
            if not again and old is not None and method in (None, old.method) and old.source == digest:
                kept.append(page)
                continue
            result = read_segmentation(root, scan_id, method)
            made.append(write_review(result, read_again(result, root), there, results=root))
        except AnnofreeError as error:
            failed.append((scan_id, str(error)))
    try:
        index = write_cohort_review(root, there)
    except InputError:
        if not failed:
            raise
        raise InputError("Not one page could be made", file=root, why=f"{failed[0][0]}: {failed[0][1]}") from None
    return ReviewReport(index, tuple(made), tuple(kept), tuple(failed))


def drop_page(result: Segmentation, out: str | Path) -> None:
    """Remove the page of the answer that a result replaces: where no new one is made, it would show the old mask."""
    page = page_path(out, result.scan_id)
    shown = read_summary(page)
    if shown is not None and shown.method == result.provenance.get("method"):
        page.unlink(missing_ok=True)


def write_own_page(result: Segmentation, out: str | Path) -> Path | None:
    """The page of a result that was just written; None where its images are not to be had any more."""
    try:
        return write_review(result, result.scan if result.scan is not None else read_again(result, out), out)
    except AnnofreeError:
        return None


def read_again(result: Segmentation, folder: str | Path) -> Scan:
    """The scan of a stored segmentation, from the files that it came from.

    DICOM series, slices and single channels of a 4-D file, which are no file of their own, are found by the `run.json`
    in the folder of the result.

    Raises:
        InputError: The result does not say where its images are, or they are gone or changed.
    """
    files: dict[str, Any] = dict(result.provenance.get("files") or {})
    if not files:
        raise InputError(
            f"The result of '{result.scan_id}' does not say where its images are",
            why="it was made from arrays in memory",
            fix="Segment it again, or for a page call write_review(result, scan, out) from Python",
        )
    prepare = again(result.provenance)
    volumes = all(is_volume(Path(file)) for file in files.values())
    if volumes:
        refuse_gone(files.values())
    one = dict.fromkeys(files.values())
    if volumes and len(one) == len(files) and not any(holds_channels(file) for file in one):
        scan = open_scan(files, brain_mask=result.brain, id=result.scan_id, prepare=prepare)
    elif volumes and len(one) == 1 < len(files):  # the channels of one file, in their order
        names = ",".join(files)
        scan = open_scan(*one, sequence=names, brain_mask=result.brain, id=result.scan_id, prepare=prepare)
    else:
        cohort = opened_again(Path(folder), result.scan_id)
        scan = (
            cohort[result.scan_id]
            if prepare is None
            else prepare(replace(cohort.study(result.scan_id), brain=result.brain))
        )
    if not scan.grid.same_as(result.grid):
        raise InputError(f"The images of '{result.scan_id}' have changed since then", fix="Segment it again")
    return scan
