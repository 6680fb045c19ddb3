"""Ctrl-C during a training: it waits for the end of the step, and what was kept never passes for a finished network."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Ctrl-C stopped a training after so many steps (or rounds); what it needs to go on is kept."""

    def __init__(self, done: int, wanted: int) -> None:
        self.done, self.wanted = done, wanted
        super().__init__(f"stopped after {done} of {wanted}")


class Stop:
    """Whether somebody has asked the training to stop (`asked`)."""

    def __init__(self) -> None:
        self.asked = False

    def check(self, done: int, wanted: int) -> None:
        """Raise `Interrupted` where that was asked for."""
        if self.asked:
            raise Interrupted(done, wanted)

    def each(self, steps: Iterable[int], done: int, wanted: int) -> Iterator[int]:
        """Steps of a longer turn; nothing of the turn is kept where it is stopped between two of them."""
        for step in steps:
            self.check(done, wanted)
            yield step

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The first Ctrl-C waits for a whole step; a second one does not."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Hold Ctrl-C back within this context: no step, no validation and no checkpoint is torn.

    Where signals cannot be caught (another thread than the main one), Ctrl-C acts as ever.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, stop.handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
