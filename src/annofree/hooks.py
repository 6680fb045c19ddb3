"""What a segmentation can do that higher rooms know how to do; the package itself (`__init__.py`) fills it in.

`result.save(out)` needs the room of formats and a notebook the room of pages, both of which stand on `Segmentation`. So
that no lower room imports a higher one, they are called through this.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any


class Hooks:
    """Functions of higher rooms.

    Attributes:
        save: Writes a segmentation below a folder, with its page where that is asked for; returns its mask.
        html: A segmentation as a notebook shows it.
    """

    save: Callable[[Any, str | PathLike[str], bool], Path]
    html: Callable[[Any], str]


HOOKS = Hooks()
