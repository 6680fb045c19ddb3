"""The form in which BIDS Apps are called: `annofree segment BIDS OUT participant --participant-label 01 02`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from annofree.errors import InputError

if TYPE_CHECKING:
    from annofree.scan import Cohort

_LEVELS = ("participant", "group")


def sort_arguments(
    inputs: list[Path], out: Path | None, labels: Sequence[str] | None
) -> tuple[list[Path], Path, tuple[str, ...]]:
    """Inputs, output folder and participants' labels, from either form of the command.

    Raises:
        InputError: There is no output folder, or the level is not the participant's.
    """
    named = tuple(label.removeprefix("sub-") for label in labels or ())
    if out is not None:
        return inputs, out, named
    if len(inputs) < 3 or str(inputs[2]) not in _LEVELS:
        raise InputError("No output folder was given", fix="Name it with -o, such as -o results")
    if str(inputs[2]) == "group":
        raise InputError(
            "annofree has no group level", fix="Use 'participant'; its results.tsv and index.html show all scans"
        )
    more = tuple(str(path).removeprefix("sub-") for path in inputs[3:])  # labels after the first of a list
    if more and not named:
        raise InputError(f"'{more[0]}' has no meaning here", fix="Name participants with --participant-label")
    if not (inputs[0] / "dataset_description.json").is_file():
        raise InputError(
            "This is no BIDS data set",
            file=inputs[0],
            why="it has no dataset_description.json",
            fix="Use -o OUT instead",
        )
    return inputs[:1], inputs[1], named + more


def take_participants(cohort: Cohort, labels: Sequence[str]) -> Cohort:
    """The scans of these persons. Raises `InputError`: a label belongs to no scan."""
    from annofree.formats.bids_names import participant_of

    if not labels:
        return cohort
    known = {scan_id: participant_of(scan_id) for scan_id in cohort.ids}
    missing = [label for label in labels if label not in known.values()]
    if missing:
        raise InputError(
            f"There is no participant '{missing[0]}'",
            why=f"the data set has {', '.join(sorted(set(known.values()))[:8])}",
            fix="Give what stands after 'sub-'",
        )
    return cohort.subset([scan_id for scan_id, label in known.items() if label in labels])
