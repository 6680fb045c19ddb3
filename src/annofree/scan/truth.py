"""The `Truth`: an expert's label map behind a door that only scoring opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray

from annofree.errors import LeakError
from annofree.grid import Grid

_scoring: ContextVar[str | None] = ContextVar("annofree_scoring", default=None)


@contextmanager
def scoring(purpose: str = "scoring") -> Iterator[None]:
    """Within this context truth may be read: scoring, or a fit of tier S."""
    token = _scoring.set(purpose)
    try:
        yield
    finally:
        _scoring.reset(token)


@contextmanager
def learning() -> Iterator[None]:
    """Within this context truth may not be read, even when scoring surrounds it."""
    token = _scoring.set(None)
    try:
        yield
    finally:
        _scoring.reset(token)


class Truth:
    """An expert's label map, readable by scoring only.

    Labels follow BraTS 2023: 0 background, 1 core (NCR/NET), 2 oedema, 3 enhancing.

    Args:
        scan_id: The scan it belongs to.
        load: Returns the uint8 (X, Y, Z) labels in canonical order; called on first allowed reading.
        grid: The canonical grid of the labels.
        regions: The regions it tells apart: ("WT", "TC", "ET"), or ("WT",) for a binary mask.
        source: Its file.
        convention: How its labels were understood, for example "labels 0/1/2/4, 4 read as enhancing".
        note: What else a reader of the scores should know.
    """

    def __init__(
        self,
        scan_id: str,
        load: Callable[[], NDArray[np.uint8]],
        grid: Grid,
        regions: tuple[str, ...] = ("WT", "TC", "ET"),
        source: str | None = None,
        convention: str = "",
        note: str = "",
    ) -> None:
        self.scan_id, self.grid, self.regions, self.source = scan_id, grid, regions, source
        self.convention, self.note = convention, note
        self._load = load

    @property
    def labels(self) -> NDArray[np.uint8]:
        """The labels, uint8 (X, Y, Z).

        Raises:
            LeakError: Read outside `annofree.scan.scoring()`.
        """
        if _scoring.get() is None:
            raise LeakError(
                f"Truth of '{self.scan_id}' was read outside scoring",
                file=self.source,
                why="masks are for scoring, or for fits of tier S, only",
                fix="Wrap the scoring code in annofree.scan.scoring()",
            )
        return self._load()

    def __reduce__(self) -> tuple[object, ...]:
        raise LeakError(f"Truth of '{self.scan_id}' may not be copied to another process")
