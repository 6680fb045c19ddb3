"""The local log of a run: one JSON line a record, a CSV and a picture of the curves, no service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from annofree.formats.outfolder import write_table


class RunLog:
    """Appends records to ``log.jsonl`` and redraws ``curves.csv`` and ``curves.png`` from them.

    Records after ``from_step`` are dropped: a resumed run repeats those steps.
    """

    def __init__(self, folder: Path, *, from_step: int = 0) -> None:
        self.folder = folder
        self.file = folder / "log.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        kept = [record for record in self.records() if record["step"] <= from_step] if from_step else []
        self.file.write_text("".join(json.dumps(r) + "\n" for r in kept), encoding="utf-8")

    def add(self, **record: Any) -> None:
        """Append one record; it must hold ``step``."""
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(record) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """All records so far; a line cut short by a kill is left out."""
        if not self.file.is_file():
            return []
        found = []
        for line in self.file.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return found

    def draw(self) -> None:
        """Write ``curves.csv`` and ``curves.png``."""
        records = self.records()
        keys = list(dict.fromkeys(key for record in records for key in record))
        write_table(self.folder / "curves.csv", records, keys, delimiter=",")
        from matplotlib.figure import Figure

        shown = [k for k in keys if k not in ("step", "seconds") and any(isinstance(r.get(k), float) for r in records)]
        figure = Figure(figsize=(7, 2.2 * max(1, len(shown))), layout="constrained")
        for row, key in enumerate(shown):
            axes = figure.add_subplot(len(shown), 1, row + 1)
            points = [(r["step"], r[key]) for r in records if isinstance(r.get(key), float)]
            axes.plot([p[0] for p in points], [p[1] for p in points], linewidth=1)
            axes.set_ylabel(key)
            axes.grid(alpha=0.3)
            if row == len(shown) - 1:
                axes.set_xlabel("step")
        figure.savefig(self.folder / "curves.png", dpi=80)
