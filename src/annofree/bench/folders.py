"""Where the parts of a comparison lie, by what they are made of: what has changed gets a place of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annofree.bench.plan import OWN, Contender, Data
from annofree.formats.bids_names import bids_label
from annofree.formats.network_folder import text_hash
from annofree.formats.outfolder import write_json
from annofree.formats.standing import refuse_filled

MARK = "bench.json"


@dataclass(frozen=True)
class Folders:
    """Below the output folder of a comparison."""

    out: Path

    @classmethod
    def claim(cls, out: str | Path) -> Folders:
        """Take an output folder: it must be absent, empty, or hold a comparison.

        Raises:
            OutputError: It holds something else.
        """
        root = Path(out)
        mark = root / MARK
        if not mark.is_file():
            refuse_filled(root, "folder for the comparison")
            write_json(mark, {"made by": "annofree bench"})
        return cls(root.absolute())

    def phantoms(self, data: Data) -> Path:
        """A made cohort."""
        return self.out / "data" / _named(data.name, data.phantoms)

    def model(self, one: Contender) -> Path:
        """A model that the plan has fitted."""
        return self.out / "models" / _named(one.name, one.method, one.fit)

    def run(self, data: Data, one: Contender) -> Path:
        """The answers of a method by its own rules."""
        return self.out / "runs" / _named(data.name, data) / _named(one.name, one)

    def cell(self, data: Data, one: Contender, threshold: str, refiners: str) -> Path:
        """The same under other rules."""
        if (threshold, refiners) == (OWN, OWN):
            return self.run(data, one)
        own = self.run(data, one)
        return own.with_name(f"{own.name}-{_named('rules', threshold, refiners)}")


def _named(name: str, *what: Any) -> str:
    told = [one.model_dump(mode="json") if hasattr(one, "model_dump") else one for one in what]
    return f"{bids_label(name)}-{text_hash(*told)[:8]}"
