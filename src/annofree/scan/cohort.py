"""The `Cohort`: many scans, each read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annofree.errors import InputError, some
from annofree.progress import stage, working_on
from annofree.scan.scan import Scan


@dataclass(frozen=True)
class Origin:
    """What a scan will be read from, known without reading it.

    Attributes:
        files: Pairs of a role ("FLAIR", "image", "brain mask") and a file.
        options: What else decides how the files become a scan.
    """

    files: tuple[tuple[str, Path], ...]
    options: Mapping[str, Any] = field(default_factory=dict)


class Cohort:
    """Many scans, loaded one at a time when iterated.

    Args:
        loaders: Scan id to a function that loads the scan; one with an attribute `origin` tells where it comes from.
        name: What to call the cohort in messages.
        opened: The arguments of `open_cohort`, with which the same cohort can be opened again.

    Example:
        >>> import numpy as np
        >>> from annofree.scan import Modality
        >>> scan = Scan("p1", {Modality.T2: np.ones((2, 2, 2), np.float32)}, np.eye(4))
        >>> Cohort.of([scan]).ids
        ('p1',)
    """

    def __init__(
        self,
        loaders: Mapping[str, Callable[[], Scan]],
        name: str = "cohort",
        opened: Mapping[str, Any] | None = None,
    ) -> None:
        self._loaders = dict(loaders)
        self.name = name
        self.opened = opened

    @classmethod
    def of(cls, scans: Iterable[Scan], name: str = "cohort") -> Cohort:
        """A cohort of scans already in memory."""
        loaders: dict[str, Callable[[], Scan]] = {}
        for scan in scans:
            if scan.id in loaders:
                raise InputError(f"Two scans of the cohort are called '{scan.id}'", fix="Give each scan its own id")
            loaders[scan.id] = _Held(scan)
        return cls(loaders, name)

    def __repr__(self) -> str:
        return f"<Cohort '{self.name}': {len(self)} scan{'s' * (len(self) != 1)}, {some(self.ids)}>"

    @property
    def ids(self) -> tuple[str, ...]:
        """Scan ids in order."""
        return tuple(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)

    def __iter__(self) -> Iterator[Scan]:
        for scan_id in self._loaders:
            yield self[scan_id]

    def __getitem__(self, scan_id: str) -> Scan:
        if scan_id not in self._loaders:
            raise InputError(f"No scan '{scan_id}' in {self.name}", why=f"it holds {', '.join(self.ids[:8])}")
        working_on(scan_id)
        stage("reading")
        return self._loaders[scan_id]()

    def begin(self, scan_id: str) -> None:
        """Let the reading of a scan begin beside what the caller does before it asks for it, where that can be."""
        if hasattr(self._loaders[scan_id], "begin"):
            self._loaders[scan_id].begin()  # type: ignore[attr-defined]

    def origin(self, scan_id: str) -> Origin | None:
        """Where a scan comes from, without reading it; None where only reading tells."""
        found: Origin | None = getattr(self._loaders[scan_id], "origin", None)
        return found

    def examination(self, scan_id: str) -> tuple[str, str] | None:
        """A key of the person and the day (YYYYMMDD or nothing), where the files say it; not to be shown."""
        found: tuple[str, str] | None = getattr(self._loaders[scan_id], "examination", None)
        return found

    def report(self, scan_id: str) -> str | None:
        """A scan's report, without reading its images."""
        found: str | None = getattr(self._loaders[scan_id], "report", None)
        return found

    def group(self, scan_id: str) -> str | None:
        """The group of the person, where the data set says it."""
        found: str | None = getattr(self._loaders[scan_id], "group", None)
        return found

    def study(self, scan_id: str) -> Any:
        """A scan's images as they lie (a `formats.study.Study`), read but not prepared.

        Raises:
            InputError: The files cannot be used, or the scan came from memory.
        """
        loader = self._loaders[scan_id]
        if not hasattr(loader, "study"):
            raise InputError(f"Scan '{scan_id}' lies in memory", why="it has no files to look at")
        return loader.study()

    def subset(self, ids: Iterable[str]) -> Cohort:
        """The scans with these ids, in this order, still lazy."""
        return Cohort({i: self._loaders[i] for i in ids}, self.name, self.opened)


@dataclass(frozen=True)
class _Held:
    scan: Scan

    @property
    def report(self) -> str | None:
        return self.scan.report

    def __call__(self) -> Scan:
        return self.scan
