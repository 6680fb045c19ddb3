"""What is being done to which scan, told to whoever listens; nobody has to. And lines on stderr for long work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Seconds between two lines of `now_and_then`.
PAUSE_S = 10.0

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


def say(text: str) -> None:
    """Print a line of progress to stderr at once, pipe or terminal."""
    print(text, file=sys.stderr, flush=True)


def now_and_then() -> Callable[[str], None]:
    """A function that says a text where ten seconds have passed since the last one, and else keeps quiet."""
    spoke = time.monotonic()

    def tell(text: str) -> None:
        nonlocal spoke
        if time.monotonic() - spoke >= PAUSE_S:
            say(text)
            spoke = time.monotonic()

    return tell


@contextmanager
def heard() -> Iterator[None]:
    """Say now and then which scan is at which stage, inside the block."""
    tell = now_and_then()
    with listening(lambda scan_id, what: tell(f"{scan_id}: {what}")):
        yield


def working_on(scan_id: str) -> None:
    """Name the scan that the next stages belong to."""
    _scan_id.set(scan_id)


def stage(what: str) -> None:
    """Say what begins now: "reading", "naming sides and lobes"."""
    if (listener := _listener.get()) is not None:
        listener(_scan_id.get(), what)
