"""What a fit needs on disk while it runs, and what it leaves there when it is done."""

from __future__ import annotations

import shutil
from pathlib import Path

from annofree.errors import OutputError

#: Folder in a model folder where a fit works.
WORK = "training"
#: Folder where its logs stay.
LOG = "log"
#: What is worth keeping of a finished training; no images, no weights.
_LOGS = frozenset({"log.jsonl", "curves.csv", "curves.png", "recipe.json", "gate.json", "changes.tsv"})


def require_space(folder: Path, needed_mb: int) -> None:
    """Refuse by an `OutputError` to begin what the disk of an existing folder cannot hold."""
    free_mb = shutil.disk_usage(folder).free / 1e6
    if free_mb < needed_mb:
        raise OutputError(
            "The disk is too full for this fit",
            file=folder,
            why=f"{free_mb:.0f} MB are free, and up to {needed_mb} MB are written while it runs",
            fix="Make room, or name a folder on another disk with -o",
        )


def clear_up(model: Path) -> None:
    """Move the logs of a model folder's finished fit from `training/` to `log/`, and delete the rest of it."""
    work = model / WORK
    if not work.is_dir():
        return
    for file in sorted(path for path in work.rglob("*") if path.name in _LOGS and path.is_file()):
        place = model / LOG / file.relative_to(work)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)
    shutil.rmtree(work)
