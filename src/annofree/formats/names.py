"""What file names say: the case, the sequence, and whether a file is an image at all.

Every spelling of a sequence lives in `annofree.scan.Modality`; this module only finds the word in the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from annofree.errors import InputError
from annofree.scan import Modality

NIFTI_ENDINGS = (".nii", ".nii.gz")

#: Words that preprocessing tools add to a name; they say nothing about the case.
_PROCESSING = frozenset(
    word
    for words in (
        ("bet", "raw", "brain", "stripped", "skullstripped", "ss", "n4", "bfc", "reg", "registered", "coreg"),
        ("coregistered", "preproc", "preprocessed", "resampled", "norm", "normalised", "normalized"),
        ("img", "image", "vol"),
    )
    for word in words
)
#: Words of files that are maps of something, never images.
_MAPS = re.compile(
    r".*(mask|seg|segmentation|segmented|parc)s?|labels?|gt|truth|groundtruth|gold|goldstandard|dlmuse|muse|fusion|"
    r"annotations?|lesions?|rois?|xfm|warp|jacobian|staple",
    flags=re.IGNORECASE,
)
#: Words of an expert's label map, the surest first. A fusion of networks is no expert.
_TRUTH_RANKS = (
    re.compile(r"seg|segmentation|tumou?rseg|dseg", flags=re.IGNORECASE),
    re.compile(r"gt|truth|groundtruth|gold|goldstandard|labels?|annotations?", flags=re.IGNORECASE),
    re.compile(r"mask|masks|tumou?rmask|lesionmask", flags=re.IGNORECASE),
)
#: Words of what is no tumour: wherever they stand, and beside the word that speaks of a label map.
_NO_TUMOUR = re.compile(
    r"dlmuse|muse|fusion|staple|aseg|aparc|synthseg|samseg|fastsurfer|tissues?|pve(seg)?|wm|gm|csf|ventricles?|lobes?|"
    r"atlas|parc(ellation)?|icv|vessels?|pred(ict(ion|ions|ed))?",
    flags=re.IGNORECASE,
)
_HEAD = re.compile(r"brain|bet|hdbet|head|skull|skullstrip(ped)?|cortex|cerebrum|cerebellum", flags=re.IGNORECASE)
_LESION = re.compile(r".*(tumou?r|lesion|glioma|metastas).*|gbm|gtv|mets?", flags=re.IGNORECASE)


def is_nifti(path: Path) -> bool:
    """Whether the name ends like a NIfTI file."""
    return path.name.lower().endswith(NIFTI_ENDINGS)


def stem_of(name: str) -> str:
    """The name without `.nii`, `.nii.gz` or `.npy`."""
    return re.sub(r"(\.nii)?(\.gz)?$|\.npy$", "", Path(name).name, count=1, flags=re.IGNORECASE)


def words_of(name: str) -> list[str]:
    """The words of a file name: what stands between `-`, `_`, `.` and blanks."""
    return [word for word in re.split(r"[-_. ]+", stem_of(name)) if word]


def is_map(name: str) -> bool:
    """Whether the file is a mask, a segmentation or another map, which is never taken as an image."""
    return any(_MAPS.fullmatch(word) for word in words_of(name))


def is_brain_mask(name: str) -> bool:
    """Whether the file is a brain mask (`brainmask`, `brain_mask`, `bet_mask`), and not a brain-tumour mask."""
    words = [word.lower() for word in words_of(name)]
    if any(_LESION.fullmatch(word) for word in words):
        return False
    if any(word in {"brainmask", "betmask", "hdbetmask"} for word in words):
        return True
    return "mask" in words and any(word in {"brain", "bet", "hdbet"} for word in words)


def truth_rank(name: str, scan_id: str = "") -> int | None:
    """How surely a file is an expert's label map: 0 is surest; None if it is something else.

    `ID_brain_segmentation`, tissue maps, anatomy and predictions are something else.

    Args:
        name: The file's name.
        scan_id: The scan's id; its words say nothing about what the file is.
    """
    stem = stem_of(name)
    words = words_of(stem[len(scan_id) :] if scan_id and stem.startswith(scan_id) else stem)
    rank, place = _truth_word(words)
    if rank is None or any(_LESION.fullmatch(word) for word in words):
        return rank
    if is_brain_mask("_".join(words)) or any(_NO_TUMOUR.fullmatch(word) for word in words):
        return None
    return None if any(_HEAD.fullmatch(word) for word in words[max(place - 1, 0) : place + 2]) else rank


def _truth_word(words: list[str]) -> tuple[int | None, int]:
    for rank, pattern in enumerate(_TRUTH_RANKS):
        for place, word in enumerate(words):
            if pattern.fullmatch(word):
                return rank, place
    return None, 0


@dataclass(frozen=True)
class ImageName:
    """What the name of an image says.

    Attributes:
        case: What stands before the sequence, processing words left out; empty for a bare `flair.nii.gz`.
        sequence: The sequence, or None where the name does not tell.
        ends_with_sequence: Nothing but processing words follow the sequence.
    """

    case: str
    sequence: Modality | None
    ends_with_sequence: bool


def read_name(name: str) -> ImageName:
    """Take an image's file name apart.

    Example:
        >>> read_name("bet_TCGA-DU-7294_fla_bet.nii.gz")
        ImageName(case='TCGA-DU-7294', sequence=<Modality.FLAIR: 'FLAIR'>, ends_with_sequence=True)
    """
    stem = stem_of(name)
    spans = [match.span() for match in re.finditer(r"[^-_. ]+", stem)]
    for end in range(len(spans), 0, -1):
        for start in range(max(0, end - 3), end):
            text = stem[spans[start][0] : spans[end - 1][1]]
            sequence = _parse(re.sub(r"[-_. ]+", "_", text))
            if sequence is not None:
                rest = [stem[a:b] for a, b in spans[end:]]
                return ImageName(_case(stem[: spans[start][0]]), sequence, not _without_processing(rest))
    return ImageName(_case(stem), None, False)


def _parse(word: str) -> Modality | None:
    try:
        return Modality.parse(word)
    except InputError:
        return None


def _without_processing(words: list[str]) -> list[str]:
    return [word for word in words if word.lower() not in _PROCESSING]


def _case(text: str) -> str:
    text = text.strip("-_. ")
    while text:
        parts = re.split(r"([-_. ]+)", text)
        if parts[0].lower() in _PROCESSING:
            text = "".join(parts[2:])
        elif parts[-1].lower() in _PROCESSING:
            text = "".join(parts[:-2])
        else:
            return text
    return ""
