"""What file names say: the case, the sequence, and whether a file is an image at all.

The words of sequences are read by `annofree.modality`; this module finds the case, and the words of maps. A part of a
name that is known to be the patient's id (the folder's name, a BIDS `sub-` or `ses-`) is never read for a file's role.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from annofree.formats.bids_names import bids_stem
from annofree.formats.visits import later_visit, without_visits
from annofree.modality import NameReading, read_words

#: Files that hold one volume each. An Analyze or NIfTI pair is its `.hdr`.
VOLUME_ENDINGS = (".nii", ".nii.gz", ".hdr", ".hdr.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh")
_ENDING = re.compile(
    r"((\.nii|\.hdr|\.img)(\.gz)?|\.gz|\.nrrd|\.nhdr|\.mha|\.mhd|\.mgz|\.mgh|\.npy|\.png)$", re.IGNORECASE
)

_ITSELF = "Name the image or the label map itself"
#: What files of other kinds are, most of them written by annofree, and what takes them; by the ends of their names.
_OTHER_KINDS = {
    r"run(-.+)?\.json": ("the record of a run", "Repeat that run with annofree rerun, or name the image itself"),
    r".*\.json": ("JSON", _ITSELF),
    r".*\.[ct]sv": ("a table", _ITSELF),
    r".*\.html": ("a page", f"Open it in a browser. {_ITSELF}"),
    r".*\.txt": ("a text", f"annofree reports takes texts of reports. {_ITSELF}"),
    r".*\.ya?ml": ("a file of settings", "Give a plan to annofree bench, and the folder of a model with --model"),
    r".*\.(onnx|safetensors)": ("a network", "Give the folder of its model with --model"),
}

#: Folders whose name says nothing about the patient in them.
GENERIC = frozenset(
    "anat anatomy brats nifti niftis nii images image img imgs mri mr scans scan data raw resources files".split()  # noqa: SIM905
)

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
    r"(.*(mask|msk|seg|segm|segmentation|segmented|parc)s?|wmh|glistr(boost)?|manually?corrected|labels?|gt|truth|"
    r"groundtruth|gold|goldstandard|dlmuse|muse|fusion|"
    r"annotations?|annotated|annot|lesions?|rois?|vois?|gtv|ctv|contours?|delineations?|tumou?rs?|o?edema|necrosis|"
    r"prob|probs|probability|probabilities|heatmap|prediction|pred|pve|xfm|\d*(inverse)?warp|jacobian|staple)\d*",
    flags=re.IGNORECASE,
)
#: Endings of BIDS files that are maps by the standard.
_BIDS_MAPS = re.compile(r"sub-.*_(dseg|probseg|mask)", flags=re.IGNORECASE)
_ID_ENTITY = re.compile(r"(?:^|(?<=_))(sub|ses)-[^_]+", flags=re.IGNORECASE)
_OTHER_ENTITY = re.compile(
    r"(?:^|(?<=_))(acq|ce|rec|run|desc|space|echo|part|res|den|mod|dir|task|label|hemi|inv|mt|flip)-[^_]*_?",
    flags=re.IGNORECASE,
)
#: Letters and at least two digits, and no number of a series, an echo, a slice or the like.
_TRAILING_ID = re.compile(
    r"(?!(s|e|v|r|se|series|run|tp|vol|echo|im|img|slice|scan|rep|acq|te|tr|ti|fa)\d)[A-Za-z]+\d{2,}[A-Za-z0-9]*",
    flags=re.IGNORECASE,
)
_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])")
#: Words of an expert's label map, the surest first. A fusion of networks is no expert.
_TRUTH_RANKS = (
    re.compile(r"segm?|segmentations?|tumou?rseg|dseg|manually?corrected", flags=re.IGNORECASE),
    re.compile(r"gt|truth|groundtruth|gold|goldstandard|labels?|annotations?", flags=re.IGNORECASE),
    re.compile(r"masks?|msk|tumou?rmask|lesionmask|gtv", flags=re.IGNORECASE),
)
#: Words of what is no tumour, wherever they stand: programs' maps, tissues, places of the head, the picture itself.
_NO_TUMOUR = re.compile(
    r"dlmuse|muse|aseg|aparc(aseg)?|synthseg|samseg|fastsurfer|tissues?|pve(seg)?|probseg|wm|gm|csf|nawm|ventric.*|"
    r"lobes?|atlas|parc(ellation)?|parenchyma|icv|nnunet|matter|hemispheres?|hippocamp.*|amygdala.*|(hypo)?thalam.*|"
    r"caudate|putamen|pallid.*|ganglia|capsule|callosum|insula|cingulate|gyr(us|i)|sulc(us|i)|fornix|plexus|tracts?|"
    r"brainstem|pons|midbrain|medulla|pituitary|chiasm|optic|nerves?|eyes?|orbits?|lens(es)?|cochleas?|"
    r"vessels?|vasc.*|arter.*|veins?|venous|sinus(es)?|dura|scalp|skin|bones?|(de)?fac(e|ed|ing)|air|background|"
    r"foreground|fov|valid|ptv",
    flags=re.IGNORECASE,
)
#: Words of what programs drew, tumour or not, and of what a person did to it.
_BY_PROGRAMS = re.compile(
    r"fusion|fused|staple|pred(ict(ion|ions|ed))?|auto(matic(ally)?|mated)?|approx|hdglio|deepbratumia|deepmedic|"
    r"deepscan|glistr(boost)?",
    flags=re.IGNORECASE,
)
_BY_PERSONS = re.compile(r"manual(ly)?(corrected)?|corrected|experts?|raters?|readers?", flags=re.IGNORECASE)
_HEAD = re.compile(r"brain|bet|hdbet|head|skull|skullstrip(ped)?|cortex|cerebrum|cerebellum", flags=re.IGNORECASE)
_LESION = re.compile(r".*(tumou?r|lesion|metastas|[a-z]{3}oma).*|gbm|gtv|mets?", flags=re.IGNORECASE)


def is_volume(path: Path) -> bool:
    """Whether the name ends like a file that holds a volume."""
    name = path.name.lower()
    return name.endswith(VOLUME_ENDINGS)


def no_volume(name: str) -> tuple[str, str] | None:
    """What a file is by its name that holds no volume, in words, and what to do; None where the name leaves it open."""
    return next((told for end, told in _OTHER_KINDS.items() if re.fullmatch(end, name, re.IGNORECASE)), None)


def stem_of(name: str) -> str:
    """The name without its ending, such as `.nii.gz`, `.mha` or `.npy`."""
    return _ENDING.sub("", Path(name).name, count=1)


def words_of(name: str, known_case: str = "") -> list[str]:
    """The words of a file name: what stands between `-`, `_`, `.` and blanks, the id left out where it is known."""
    stem = stem_of(name)
    if known_case and stem.startswith(known_case):
        stem = stem[len(known_case) :]
    words = [word for word in re.split(r"[-_. ]+", _ID_ENTITY.sub("", stem)) if word]
    # BraTS to 2016 calls what its experts drew OT, which may be anybody's initials elsewhere.
    return ["truth" if word == "OT" and words[0] == "VSD" else word for word in words]


def is_archive(name: str) -> bool:
    """Whether a name ends like a packed folder of a kind that is not opened; zip archives of DICOM are."""
    return re.search(r"\.(tar(\.\w{1,4})?|tgz|tbz2?|txz|7z|rar)$", name, re.IGNORECASE) is not None


def is_map_folder(name: str) -> bool:
    """Whether a folder is called after maps (`seg`, `labelsTr`, `ground_truth`); it may hold images all the same."""
    return any(_MAPS.fullmatch(re.sub(r"(tr|ts|val)$", "", word, flags=re.IGNORECASE)) for word in words_of(name))


def folder_rank(name: str) -> int | None:
    """How surely a label map that is called by a bare id is an expert's, by its folder; None if it is something else.

    A folder whose name says nothing comes last; one that is called after a sequence holds images.
    """
    part = r"(?<=labels)(tr|ts|val)$|(?<![a-z])valid(?![a-z])"  # `masks_valid`: of the validation part
    said = FileName(Path(re.sub(part, "", name, flags=re.IGNORECASE)))
    if said.map_certainty == "no" and (said.name.sequence or said.name.other):
        return None
    if said.rank is None and (said.brain_mask or any(map(_NO_TUMOUR.fullmatch, said.words))):
        return None
    if by_programs(said.words):
        return None
    return len(_TRUTH_RANKS) if said.rank is None else said.rank


def by_programs(words: Iterable[str]) -> bool:
    """Whether words of a name say that programs drew something, and no person corrected it."""
    held = list(words)
    return any(map(_BY_PROGRAMS.fullmatch, held)) and not any(map(_BY_PERSONS.fullmatch, held))


@dataclass(frozen=True, kw_only=True)
class ImageName(NameReading):
    """What the name of an image says: the words of its sequence, and where they leave the case.

    Attributes:
        case: What stands before the sequence, processing words left out; empty for a bare `flair.nii.gz`.
        prefix: The text before the words about the sequence, as it stands.
        trailing: What looks like an id behind the sequence (`T1_P01`).
    """

    case: str
    prefix: str
    trailing: str


def read_name(name: str, known_case: str = "") -> ImageName:
    """Take an image's file name apart.

    `known_case` is known to be the patient's id at its beginning.

    Example:
        >>> found = read_name("bet_TCGA-DU-7294_fla_bet.nii.gz")
        >>> found.case, found.sequence
        ('TCGA-DU-7294', <Modality.FLAIR: 'FLAIR'>)
    """
    stem = stem_of(name)
    found = read_words(stem, known_case=known_case)
    prefix = stem[: found.start]
    case = _case(_OTHER_ENTITY.sub("", prefix))
    if _DATE.fullmatch(found.trailing_id):
        case = f"{case}_{found.trailing_id}".strip("_")
    trailing = found.trailing_id if _TRAILING_ID.fullmatch(found.trailing_id) else ""
    return ImageName(**vars(found), case=case, prefix=prefix, trailing=trailing)


@dataclass(frozen=True)
class FileName:
    """The name of a file, taken apart once: whoever sorts files asks this record what it says.

    Attributes:
        path: The file.
        known: The beginning of its name that is known to be an id, which says nothing about what the file is.
        id_behind: The end of its name, where that is known to be an id.
    """

    path: Path
    known: str = ""
    id_behind: str = ""

    @cached_property
    def words(self) -> list[str]:
        """Its words without the id."""
        return words_of(self.path.name, self.known)

    @property
    def behind(self) -> str:
        """What follows the id, without the ending."""
        return stem_of(self.path.name)[len(self.known) :]

    @cached_property
    def name(self) -> ImageName:
        """What it says of an image."""
        return read_name(stem_of(self.path.name).removesuffix(self.id_behind), self.known)

    @cached_property
    def map_certainty(self) -> Literal["no", "maybe", "yes"]:
        """Whether it says that the file is a mask, a segmentation or another map.

        "maybe": a word of a sequence or a number stands behind the map's word, which may so belong to an id; only the
        voxels can tell then.
        """
        if _BIDS_MAPS.fullmatch(stem_of(self.path.name)):
            return "yes"
        found = [at for at, word in enumerate(self.words) if _MAPS.fullmatch(word)]
        if not found:
            return "no"
        behind = self.words[found[-1] + 1 :]
        return "maybe" if any(re.search(r"\d", word) or read_words(word).sequence for word in behind) else "yes"

    @property
    def brain_mask(self) -> bool:
        """Whether the file is a brain mask (`brainmask`, `brain_mask`, `bet_mask`), and not a brain-tumour mask."""
        words = {word.lower() for word in self.words}
        if any(map(_LESION.fullmatch, words)):
            return False
        return bool(
            words & {"brainmask", "betmask", "hdbetmask"} or ("mask" in words and words & {"brain", "bet", "hdbet"})
        )

    @cached_property
    def rank(self) -> int | None:
        """How surely the file is an expert's label map: 0 is surest; None if it is something else.

        `ID_brain_segmentation`, tissue maps, anatomy and predictions are something else.
        """
        ranks = enumerate(_TRUTH_RANKS)
        told = ((rank, at) for rank, said in ranks for at, word in enumerate(self.words) if said.fullmatch(word))
        rank, at = next(told, (None, 0))
        if by_programs(self.words):
            return None
        if rank is None or any(map(_LESION.fullmatch, self.words)):
            return rank
        told_by = [
            word for word in self.words if rank or word.lower() != "valid"
        ]  # `seg_valid`: of the validation part
        if self.brain_mask or any(map(_NO_TUMOUR.fullmatch, told_by)):
            return None
        return None if any(map(_HEAD.fullmatch, self.words[max(at - 1, 0) : at + 2])) else rank


def belongs(stem: str, case: str) -> bool:
    """Whether a name without its ending begins with the id of a case."""
    return stem == case or (stem.startswith(case) and not stem[len(case)].isalnum())


def own_part(stem: str, scan_id: str) -> str:
    """The beginning of a label map's name that says of which scan it is: its id, or what annofree makes of it in names.

    Empty where it does not.
    """
    ours = bids_stem(scan_id)  # a corrected copy of an answer: `sub-p3_space-orig_desc-synthtumour_dseg` of `p_3`
    return scan_id if belongs(stem, scan_id) else ours if stem.startswith(f"{ours}_space-") else ""


def anothers(rest: str) -> Literal["", "visit", "other"]:
    """Whether what follows an id in a label map's name says a later visit, or another patient (`p1_2_seg` for `p1`).

    The visit may be that of the images, where these say the same or lie beside it.
    """
    words = re.finditer(r"[^-_. ]+", rest)
    before = rest[: next((word.start() for word in words if FileName(Path(word[0])).rank is not None), len(rest))]
    numbers = re.split(r"[-_. ]+", without_visits(before))
    if any(re.fullmatch(r"\d+[a-z]?", word, re.IGNORECASE) for word in numbers):
        return "other"
    return "visit" if later_visit(before) or re.search(r"[-_. ]run[-_]?\d", before, re.IGNORECASE) else ""


def known_case_of(stem: str, folder: Path) -> str:
    """The beginning of a name that repeats the name of its folder, or of one of the two folders above it."""
    for name in (folder.name, folder.parent.name, folder.parent.parent.name):
        if name and stem.startswith(name) and not stem[len(name) : len(name) + 1].isalnum():
            found = read_words(name)
            if found.sequence is None or found.start or found.trailing_id:  # a folder called FLAIR is no patient's
                return name
    return ""


def name_of_folder(folder: Path) -> str:
    """What a folder calls its patient: the nearest name upwards that says something."""
    absolute = folder.absolute()
    places = [part.name for part in (absolute, *absolute.parents) if part.name]
    return next((name for name in places if name.lower() not in GENERIC), places[0] if places else "scan")


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
