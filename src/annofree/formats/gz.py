"""Gzip at the speed of Intel's ISA-L: the same format, ten times faster to write and twice as fast to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def compress(content: bytes, *, small: bool = False) -> bytes:
    """A gzip file with this content and no time in it, so that the same content gives the same bytes.

    `small` takes a quarter longer for a file that is 5 % smaller.
    """
    from isal import igzip

    packed: bytes = igzip.compress(content, compresslevel=2 if small else 1, mtime=0)
    return packed


def open_gz(path: str | Path) -> Any:
    """A gzip file for reading; its checksum is verified where reading reaches its end.

    Raises:
        OSError: The file cannot be opened.
    """
    from isal import igzip

    opened: Any = igzip.open
    return opened(path)
