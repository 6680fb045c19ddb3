"""What is being done to which scan, told to whoever listens; nobody has to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Called with a scan's id and what is being done to it.
Listener = Callable[[str, str], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
_scan_id: ContextVar[str] = ContextVar("scan_id", default="")


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let `listener` hear every stage of this thread's work inside the block."""
    before = _listener.get()
    _listener.set(listener)
    try:
        yield
    finally:
        _listener.set(before)


def working_on(scan_id: str) -> None:
    """Name the scan that the next stages belong to."""
    _scan_id.set(scan_id)


def stage(what: str) -> None:
    """Say what begins now: "reading", "naming sides and lobes"."""
    if (listener := _listener.get()) is not None:
        listener(_scan_id.get(), what)
