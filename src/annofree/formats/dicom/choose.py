"""The best series of each kind, and what the user says instead."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial

from annofree.errors import InputError, MissingSequence
from annofree.formats.dicom.kind import Verdict, order
from annofree.formats.dicom.study import Study
from annofree.scan import Modality


def choose(
    study: Study, verdicts: Sequence[Verdict], *, series: Sequence[str] = (), sequence: Modality | None = None
) -> dict[Modality, Verdict]:
    """Take one series of each kind.

    Of several, a sure guess goes before an unsure one, a T2 or FLAIR of a late echo before one of an early echo (which
    is proton density, whatever the series is called), pictures from the scanner before reformatted ones, then the one
    whose coarsest voxel edge is finest, then the one that covers more of the head, then the last: a series is repeated
    because the head moved. A T1 of which nothing says that it is without contrast agent goes behind those from before
    the first T1C, and of several such ones without any T1C the first is taken. The user may name series by numbers
    ("5") or kinds with numbers ("T1C=7"); only these are taken then. `sequence` is the one kind to take; beside one
    bare number, what that series is.

    Raises:
        InputError: A number does not exist or cannot be used, or nothing is left.
    """
    if series:
        return _named(study, verdicts, series, sequence)
    chosen: dict[Modality, Verdict] = {}
    for kind in Modality:
        fitting = [verdict for verdict in verdicts if verdict.modality == kind]
        if fitting and sequence in (None, kind):
            chosen[kind] = max(fitting, key=partial(_rank, agent=_first_agent(verdicts)))
    if chosen:
        return chosen
    if sequence is not None and any(verdict.modality for verdict in verdicts):
        has = ", ".join(sorted({str(verdict.modality) for verdict in verdicts if verdict.modality}))
        raise MissingSequence(f"{study.id} has no series that looks like {sequence}", why=f"it has {has}", fix=_LIST)
    raise InputError(
        f"No series of {study.id} looks like T1, T1C, T2 or FLAIR of the head",
        why=_tally(verdicts),
        fix=f"{_LIST}, and name one with --series FLAIR=NUMBER",
    )


_LIST = "See 'annofree dicom list FOLDER'"


#: What each part of `_rank` says for a series.
_WHY = (
    "is the surer guess",
    "is of a late echo",
    "is as the scanner made it",
    "is from before contrast agent",
    "covers the head",
    "is the finest",
    "is whole",
    "covers most of the head",
    "is the last",
)


def _first_agent(verdicts: Sequence[Verdict]) -> tuple[str, int] | None:
    return min((order(v.series.first) for v in verdicts if v.modality == Modality.T1C), default=None)


def _rank(verdict: Verdict, agent: tuple[str, int] | None) -> tuple[object, ...]:
    series = verdict.series
    assert series.stack is not None
    derived = bool({"DERIVED", "SECONDARY", "MPR"} & set(series.first.image_type))
    coarsest = max(series.stack.grid.spacing_mm)
    covered = series.stack.grid.shape[2] * series.stack.grid.spacing_mm[2]
    whole = len(series.stack.frames) == len(series.stack.slots)
    silent = verdict.modality == Modality.T1 and not verdict.contrast_known
    native = not silent or agent is None or order(series.first) < agent
    when = (0, "", 0) if silent and agent is None else (1, *order(series.first))  # of equal ones `max` takes the first
    te_ms = series.first.te_ms
    early = verdict.modality in (Modality.T2, Modality.FLAIR) and te_ms is not None and 0 < te_ms < 45
    return (
        verdict.sure,
        not early,
        not derived,
        native,
        covered >= 100,
        -round(coarsest, 1),
        whole,
        round(covered, -1),
        when,
    )


def said_of_several(verdicts: Sequence[Verdict], taken: Verdict) -> str | None:
    """A sentence on the other series of the kind that was taken, and why it was; None where there is none."""
    others = [v for v in verdicts if v is not taken and v.modality == taken.modality and v.series.stack is not None]
    if not others:
        return None
    agent = _first_agent(verdicts)
    ranks = zip(_WHY, _rank(taken, agent), max(_rank(other, agent) for other in others), strict=True)
    later = ", for later ones may be after contrast agent" if taken.modality == Modality.T1 else ""
    why = next((why for why, own, other in ranks if own != other), f"is the first{later}")
    return (
        f"Of several {taken.modality} series {taken.series.key} was taken, not "
        f"{', '.join(verdict.series.key for verdict in others)}: it {why}; "
        f"another one with --series {taken.modality}=NUMBER."
    )


def _named(
    study: Study, verdicts: Sequence[Verdict], series: Sequence[str], sequence: Modality | None
) -> dict[Modality, Verdict]:
    by_key = {verdict.series.key: verdict for verdict in verdicts}
    chosen: dict[Modality, Verdict] = {}
    for word in (part for text in series for part in text.split(",") if part):
        match = re.fullmatch(r"(?:([A-Za-z0-9]+)=)?([0-9.]+)", word.strip())
        if match is None:
            raise InputError(f"'{word}' names no series", fix="Use --series 5, or --series T1C=5")
        kind, key = match.groups()
        verdict = by_key.get(key)
        if verdict is None:
            raise InputError(f"{study.id} has no series {key}", why=f"it has {', '.join(list(by_key)[:12])}", fix=_LIST)
        if not verdict.usable or verdict.series.stack is None:
            raise InputError(f"Series {key} of {study.id} cannot be used", why=verdict.reasons[0], fix=_LIST)
        modality = Modality.parse(kind) if kind else sequence if sequence is not None else verdict.modality
        if modality is None:
            raise InputError(
                f"What series {key} of {study.id} shows cannot be told",
                why=verdict.reasons[0],
                fix=f"Say it: --series FLAIR={key}",
            )
        if modality in chosen:
            raise InputError(f"Two series of {study.id} were named for {modality}", fix="Name one of each kind")
        chosen[modality] = verdict
    return {kind: chosen[kind] for kind in Modality if kind in chosen}


def _tally(verdicts: Sequence[Verdict]) -> str:
    shown = Counter(verdict.reasons[0] for verdict in verdicts).most_common(4)
    return "; ".join(f"{number} series: {why}" for why, number in shown) or "it has no pictures"
