"""What the numbers in a label map mean: the BraTS years disagree, so the set is decided by stated rules or asked for.

Label 4 alone has had four meanings: enhancing tumour (to 2021), resection cavity (post-treatment, 2024 and 2025),
oedema (paediatric, 2024 and 2025). A wrong guess gives a wrong score that looks right, so there is no guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from annofree.errors import InputError
from annofree.formats.bids_names import bids_stem
from annofree.segmentation import REGIONS

ALL = tuple(REGIONS)

#: Names that only BraTS 2017 to 2021 gave out; there 4 is enhancing tumour.
_OLD_NAME = re.compile(r"brats[-_ ]?(?:20)?(?:17|18|19|20|21)[-_]", flags=re.IGNORECASE)
#: Names that BraTS gives out since 2023; there 4 is never enhancing tumour.
_NEW_NAME = re.compile(r"brats-(gli|met|men|ssa|ped|goat)-", flags=re.IGNORECASE)
#: Of these the glioma cases of 2023, before treatment: no cavity, so that 4 may be the enhancing tumour of 2021.
_BEFORE_TREATMENT = re.compile(r"brats-gli-\d+-0\d\d", flags=re.IGNORECASE)
#: Names of the Medical Segmentation Decathlon, which swapped core and oedema.
_DECATHLON_NAME = re.compile(r"\bBRATS_\d{3}(?!\d)")
#: Tasks since 2023 whose label 4 is the resection cavity.
_WITH_CAVITY = {"gli", "met"}


class UnclearLabels(InputError):
    """The labels could mean more than one thing; the user has to say which."""


@dataclass(frozen=True)
class LabelSet:
    """One convention.

    Attributes:
        name: For `--labels`.
        meaning: Label in the file to BraTS 2023 label (0 background, 1 core, 2 oedema, 3 enhancing).
        words: What it is.
        regions: The regions that it tells apart.
    """

    name: str
    meaning: Mapping[int, int]
    words: str
    regions: tuple[str, ...] = ALL


#: Every convention that annofree reads, by name.
LABEL_SETS: dict[str, LabelSet] = {
    label_set.name: label_set
    for label_set in (
        LabelSet("brats2023", {1: 1, 2: 2, 3: 3}, "labels 0/1/2/3 (BraTS 2023)"),
        LabelSet("brats2021", {1: 1, 2: 2, 4: 3}, "labels 0/1/2/4 (BraTS 2017 to 2021), 4 read as enhancing"),
        LabelSet(
            "brats2015", {1: 1, 2: 2, 3: 1, 4: 3}, "labels 0/1/2/3/4 (BraTS to 2016), 3 read as core, 4 as enhancing"
        ),
        LabelSet(
            "post-treatment",
            {1: 1, 2: 2, 3: 3, 4: 0},
            "labels 0/1/2/3/4 (BraTS 2024 and 2025 post-treatment), 4 is the resection cavity: no tumour",
        ),
        LabelSet(
            "ped2024",
            {1: 3, 2: 1, 3: 1, 4: 2},
            "labels 0/1/2/3/4 (BraTS 2024 and 2025 paediatric), 1 read as enhancing, 2 and 3 as core, 4 as oedema",
        ),
        LabelSet(
            "msd", {1: 2, 2: 1, 3: 3}, "labels 0/1/2/3 (Medical Segmentation Decathlon), 1 read as oedema, 2 as core"
        ),
        LabelSet("hd-glio", {1: 2, 2: 3}, "labels 0/1/2 (HD-GLIO), 1 read as oedema, 2 as enhancing", ("WT", "ET")),
        LabelSet("binary", {1: 2, 255: 2}, "binary: whole tumour only", ("WT",)),
        LabelSet("core", {1: 1, 255: 1}, "binary: tumour core only", ("TC",)),
        LabelSet("enhancing", {1: 3, 255: 3}, "binary: enhancing tumour only", ("ET",)),
    )
}
#: Words of a name that say that a map of one label is of a part of the tumour.
_PART = re.compile(r"et|enhancing|tc|core|tumou?rcore|ncr|netc|necro\w*|ed|o?edema|snfh|cavity", flags=re.IGNORECASE)
_NO_TUMOUR = LabelSet("empty", {}, "no tumour marked, so none of its parts either")


def named_to_2021(name: str) -> bool:
    """Whether a file's name is one of BraTS 2017 to 2021, whose maps hold 1, 2 and 4."""
    return bool(_OLD_NAME.search(name))


def choose_label_set(values: Iterable[int], source: Path, *, scan_id: str = "", beside: Iterable[int] = ()) -> LabelSet:
    """The convention of one label map.

    Names of the challenges, in the file's name or the scan's id, say which years' labels they are; labels `beside`, in
    other maps of the set, tell a case without core or enhancing tumour.

    Raises:
        UnclearLabels: The labels have more than one meaning.
        InputError: They have none.
    """
    own = set(values) - {0}
    together = (own | set(beside)) - {0}
    if own == {255} or (together and together <= {1, 255}):
        own_name = source.name.partition(".")[0].replace(scan_id, "")
        words = re.split(r"[-_. ]+", f"{source.parent.name} {own_name}")
        if own and (part := next(filter(_PART.fullmatch, words), None)) is not None:
            why = f"'{part}' in its name is a part of the tumour, and a map of one label is read as the whole"
            raise _unclear(own, together, source, ("core", "enhancing", "binary"), why)
        return LABEL_SETS["binary"]
    if strange := own - {1, 2, 3, 4}:
        shown = ", ".join(f"{value:g}" for value in sorted(strange)[:5])
        raise InputError(
            f"A label map holds unknown labels ({shown}{', ...' if len(strange) > 5 else ''})",
            file=source,
            why="known are 0/1/2/4 (BraTS to 2021), 0/1/2/3 (BraTS 2023) and 0/1 (whole tumour)",
            fix="Map them to one of these, or check that this is the tumour's label map",
        )
    if not own:
        return _NO_TUMOUR
    # a copy of an answer, corrected or not, has annofree's numbers, whatever data set the scan is of
    names = source.name if source.name.startswith(f"{bids_stem(scan_id)}_space-") else f"{source.name} {scan_id}"
    task = found.group(1).lower() if (found := _NEW_NAME.search(names)) else None
    if task == "ped":
        raise _unclear(
            own, together, source, ("brats2023", "ped2024"), "paediatric labels changed between 2023 and 2024"
        )
    if 4 not in together and _DECATHLON_NAME.search(names):
        return LABEL_SETS["msd"]
    if 4 not in together:
        return LABEL_SETS["brats2023"]
    if task in _WITH_CAVITY and (3 in together or not _BEFORE_TREATMENT.search(names)):
        return LABEL_SETS["post-treatment"]
    if task is None and 3 not in own and (named_to_2021(names) or together == {1, 2, 4}):
        return LABEL_SETS["brats2021"]
    either = ("post-treatment", "brats2015", "ped2024") if 3 in together else ("brats2021", "post-treatment", "ped2024")
    why = "4 is enhancing tumour in BraTS to 2021, the resection cavity in post-treatment and oedema in paediatric data"
    raise _unclear(own, together, source, either, why)


def _unclear(own: set[int], together: set[int], source: Path, either: tuple[str, ...], why: str) -> UnclearLabels:
    shown = "/".join(str(int(value)) for value in sorted({0, *own}))
    others = together - own
    beside = f", {'/'.join(str(int(value)) for value in sorted(others))} in others of the set" if others else ""
    return UnclearLabels(
        f"What the labels {shown} mean cannot be told",
        file=source,
        why=f"{why}; this map holds {shown}{beside}",
        fix=f"Say it with --labels {', '.join(either[:-1])} or {either[-1]} (labels=... in Python)",
    )
