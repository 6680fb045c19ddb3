"""One run at a time in an output folder: two would leave a table of one and masks of the other."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from annofree.errors import OutputError

LOCK = ".annofree.lock"


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Within this context no other run writes into the folder.

    The lock is the system's own on an open file: it ends with the process that holds it, however that ends, so that
    nothing stale stays behind. Where a file system knows no locks, none is taken.

    Raises:
        OutputError: Another run holds it.
    """
    held = _take(folder / LOCK)
    try:
        yield
    finally:
        if held is not None:
            with suppress(OSError):
                (folder / LOCK).unlink()
            with suppress(OSError):
                held.close()


def _take(path: Path) -> IO[str] | None:
    try:
        import fcntl
    except ImportError:  # Windows has other locks
        return None
    while True:
        try:
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            why = error.strerror
            raise OutputError("The output folder cannot be written", file=path.parent, why=why) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "it does not say which"
            file.close()
            raise OutputError(
                "Another run is writing into the output folder",
                file=path.parent,
                why=holder,
                fix="Wait until it ends, or choose another folder with -o",
            ) from None
        except OSError:  # a file system without locks
            return file
        with suppress(OSError):
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                break
        file.close()  # the run before it took its file away in between
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with suppress(OSError):  # on a full disk the lock holds without words, and what is written next tells of the disk
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {platform.node()}, begun {started}\n")
        file.flush()
    return file
