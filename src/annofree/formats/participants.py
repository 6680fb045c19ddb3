"""`participants.tsv` of BIDS: to which group each person belongs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from annofree.errors import InputError
from annofree.formats.bids_names import participant_of
from annofree.formats.outfolder import read_table, table

FILE = "participants.tsv"


def read_groups(root: Path) -> dict[str, str]:
    """The group of each participant (the label after `sub-`); none where the data set has no table or no groups.

    Raises:
        InputError: The table cannot be read, names no participants, or puts one into two groups.
    """
    if not (root / FILE).is_file():
        return {}
    groups: dict[str, str] = {}
    for number, row in enumerate(read_table(root / FILE), 2):
        label = row.get("participant_id", "").removeprefix("sub-")
        if not label:
            raise InputError(
                "A table of participants names none",
                file=root / FILE,
                why=f"line {number} has nothing in a column participant_id",
                fix="Mend the line, or take the table away",
            )
        group = row.get("group", "n/a") or "n/a"
        if group != groups.setdefault(label, group):
            raise InputError(
                f"Participant '{label}' belongs to two groups",
                file=root / FILE,
                why=f"'{groups[label]}' and, in line {number}, '{group}'",
                fix="Leave one line for each participant",
            )
    return {label: group for label, group in groups.items() if group != "n/a"}


def participants_table(rows: Iterable[Mapping[str, str]]) -> str:
    """The table of the persons of an output folder, from rows of `results.tsv`; without groups it only names them."""
    groups: dict[str, str] = {}
    for row in rows:
        label, group = participant_of(row["id"]), row.get("group", "n/a")
        if groups.get(label, "n/a") == "n/a":
            groups[label] = group
    columns = ("participant_id", "group") if any(group != "n/a" for group in groups.values()) else ("participant_id",)
    return table(({"participant_id": f"sub-{label}", "group": groups[label]} for label in sorted(groups)), columns)
