"""One scan of a cohort: segmented, written, recorded; whatever goes wrong becomes a sentence."""

from __future__ import annotations

import errno
import os
import time
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annofree.batch.fingerprint import origin_hashes, scan_hashes
from annofree.batch.record import forget, is_done, now, read_record, refuse_another, start_mark, write_record
from annofree.errors import AnnofreeError, OutputError
from annofree.formats.network_folder import text_hash
from annofree.formats.outfolder import atomic_write
from annofree.pipeline import Choice, segment_scan
from annofree.progress import stage

if TYPE_CHECKING:
    from annofree.methods.base import Method
    from annofree.scan import Cohort, Scan
    from annofree.segmentation import Segmentation

_FULL = {os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT)}


@dataclass(frozen=True)
class Failure:
    """A scan that could not be segmented: what, why, what next."""

    id: str
    what: str
    why: str
    next: str

    @property
    def disk_full(self) -> bool:
        """Whether there was no room to write; the scans after it would fail alike."""
        return self.why in _FULL

    def __str__(self) -> str:
        """What the error itself says: one sentence and what to do next."""
        known = {"why": self.why, "fix": self.next}
        return str(AnnofreeError(self.what, **{name: told for name, told in known.items() if told != "n/a"}))


@dataclass(frozen=True)
class Outcome:
    """What became of one scan."""

    id: str
    failure: Failure | None = None
    reused: bool = False

    @classmethod
    def died(cls, scan_id: str) -> Outcome:
        """That of a scan whose process died each time."""
        what = "The process died while segmenting this scan, and again when it was tried alone"
        why = "most often it runs out of memory"
        return cls(scan_id, Failure(scan_id, what, why, "Give it more memory, or leave this scan out"))


@dataclass(repr=False)
class BatchReport:
    """How a run ended: its rows of `results.tsv` and `failures.tsv` in cohort order, and its wall time.

    `reused` are the ids that an earlier run had done already; `pageless` those whose page could not be made, and why.
    """

    out: Path
    rows: list[dict[str, str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    seconds: float = 0.0
    pageless: list[tuple[str, str]] = field(default_factory=list)

    def make_pages(self, ids: Collection[str], *, each: bool = True) -> None:
        """Make the pages of the folder again, or the cohort's alone; what cannot be made costs no more than itself."""
        from annofree.review import review, write_cohort_review

        try:
            if each:
                self.pageless = [(scan_id, why) for scan_id, why in review(self.out).failed if scan_id in ids]
            else:
                write_cohort_review(self.out)
        except OutputError as error:
            self.pageless = [("the cohort", str(error))]

    def __repr__(self) -> str:
        return f"<BatchReport: {len(self.rows)} done, {len(self.failures)} failed; {self.out}>"


class Worker:
    """Segments scans of a cohort with one model that is loaded once per process.

    Args:
        cohort: The scans.
        choice: Method or model, threshold, refiners.
        out: The output folder, absolute.
        locate: Whether lesions get side and lobe.
        review: Whether to make a page for each scan.
        setup: Everything beside the scan that decides a result, hashed: software, method, model files.
        build: Returns the method, always the same one; by default the choice's, built on first use.
    """

    def __init__(
        self,
        cohort: Cohort,
        choice: Choice,
        out: Path,
        locate: bool,
        review: bool,
        setup: str,
        build: Callable[[], Method] | None = None,
    ) -> None:
        self.cohort, self.choice, self.out, self.locate, self.review = cohort, choice, out, locate, review
        self.setup = setup
        self._build = build or cache(choice.build)

    def __reduce__(self) -> tuple[object, ...]:
        return (Worker, (self.cohort, self.choice, self.out, self.locate, self.review, self.setup))

    def over(self, cohort: Cohort) -> Worker:
        """The same for other scans; the loaded model is shared."""
        return Worker(cohort, self.choice, self.out, self.locate, self.review, self.setup, self._build)

    def one(self, cohort: Cohort) -> Outcome:
        """Segment the one scan of a cohort: that of a run need not travel to every process."""
        (scan_id,) = cohort.ids
        return self.over(cohort)(scan_id)

    @property
    def method(self) -> Method:
        """The method, built on first use."""
        return self._build()

    def inputs(self, scan_id: str) -> list[dict[str, Any]] | None:
        """Hashes of a scan's files, by name and time where an earlier run hashed them; None where reading is needed.

        A file that cannot be read is told by reading, which names it as the user did.
        """
        origin = self.cohort.origin(scan_id)
        if origin is None:
            return None
        record = read_record(self.out, scan_id) or {}
        try:
            found = origin_hashes(origin, record.get("inputs", ()))
        except OSError:
            return None
        return [*found, {"role": "options", "path": "", "size": 0, "mtime_ns": 0, "sha256": text_hash(origin.options)}]

    def key(self, inputs: list[dict[str, Any]]) -> str:
        """A hash of what decides a result: software, method, model files, input files by place and content."""
        return text_hash(self.setup, [(entry["role"], entry["path"], entry["sha256"]) for entry in inputs])

    def done_before(self, scan_id: str) -> bool:
        """Whether an earlier run did this scan, as far as can be told without reading its images."""
        if read_record(self.out, scan_id) is None:
            return False
        inputs = self.inputs(scan_id)
        return inputs is not None and is_done(self.out, scan_id, self.key(inputs))

    def __call__(self, scan_id: str) -> Outcome:
        """Segment one scan, write its files and, last, its record."""
        try:
            return self._segment(scan_id)
        except Exception as error:  # one scan never stops the others, whatever is the matter with it
            return Outcome(scan_id, explain(scan_id, error))
        finally:  # only a process that dies leaves its mark
            with suppress(OSError):
                start_mark(self.out, scan_id).unlink(missing_ok=True)

    def _segment(self, scan_id: str) -> Outcome:
        started = time.monotonic()
        inputs = self.inputs(scan_id)
        if inputs is not None:
            if is_done(self.out, scan_id, self.key(inputs)):
                return Outcome(scan_id, reused=True)
            refuse_another(self.out, scan_id, inputs)
        atomic_write(start_mark(self.out, scan_id), f"{os.getpid()} {now()}\n")
        scan = self.cohort[scan_id]
        if inputs is None:
            inputs = scan_hashes(scan)
        key = self.key(inputs)
        if is_done(self.out, scan_id, key):
            return Outcome(scan_id, reused=True)
        refuse_another(self.out, scan_id, inputs)
        forget(self.out, scan_id, self.method.name)
        result = segment_scan(scan, self.method, locate=self.locate, **self.choice.trust).replace(scan=scan)
        if (group := self.cohort.group(scan_id)) is not None:
            result = result.replace(provenance={**result.provenance, "group": group})
        stage("writing")
        result.save(self.out, page=False)
        if self.review:
            stage("making its page")
            self._write_page(result, scan)
        write_record(self.out, result, key, time.monotonic() - started, inputs=inputs)
        return Outcome(scan_id)

    def _write_page(self, result: Segmentation, scan: Scan) -> None:
        """The scan's page; one that cannot be made takes nothing from the answer, and the run's report names it."""
        from annofree.review import write_review

        with suppress(AnnofreeError):
            write_review(result, scan, self.out)


def explain(scan_id: str, error: Exception) -> Failure:
    """An error as a row of `failures.tsv`."""
    if isinstance(error, AnnofreeError):
        named = error.file is None or error.file in error.what
        what = error.what if named else f"{error.what} ({error.file})"
        return Failure(scan_id, what, error.why or "n/a", error.fix or "n/a")
    if isinstance(error, MemoryError):
        return Failure(scan_id, "Not enough memory", "the scan or the model is too large", "Use fewer --workers")
    if isinstance(error, OSError):
        why = error.strerror or str(error) or type(error).__name__
        what = "Reading or writing failed" + (f" ({error.filename})" if error.filename else "")
        return Failure(scan_id, what, why, "Check disk and rights")
    frame = traceback.extract_tb(error.__traceback__)[-1]
    why = f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno})"
    return Failure(scan_id, "An unexpected error", " ".join(why.split())[:300], "Report it with this line")
