"""Masks that a person corrected and `annofree accept` took, as one finds them in an output folder."""

from __future__ import annotations

from pathlib import Path

from annofree.errors import InputError
from annofree.formats.outfolder import read_table

FILE = "accepted.tsv"


def accepted_masks(out: Path) -> dict[str, Path]:
    """The accepted mask of each scan by its id; a label map goes before a mask of the whole tumour.

    Raises:
        InputError: The folder holds none, one of them is gone, or a scan has those of two methods.
    """
    files: dict[str, set[str]] = {}
    for row in read_table(out / FILE):
        files.setdefault(row["id"], set()).add(row["file"])
    if not files:
        raise InputError(
            "The output folder holds no accepted masks",
            file=out,
            why="only masks that a person corrected can be learned from as truth",
            fix="Take them back with annofree accept CORRECTED -o OUT, or learn from its answers without supervision",
        )
    found = {}
    for scan_id, names in files.items():
        maps = sorted(name for name in names if "_dseg" in name) or sorted(names)
        if len(maps) > 1:
            raise InputError(
                f"Scan '{scan_id}' has {len(maps)} accepted masks", file=out / FILE, why=f"{', '.join(maps)}"
            )
        found[scan_id] = out / maps[0]
        if not found[scan_id].is_file():
            raise InputError(
                f"The accepted mask of scan '{scan_id}' is gone", file=found[scan_id], fix="Accept it again"
            )
    return found
