"""The words of series descriptions that annofree knows.

A description is free text and may hold names. Only words of this table are ever shown or kept; the rest is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from annofree.modality import read_contrast

_SUSCEPTIBLE = "is susceptibility-weighted or a gradient echo"
_ECHO_PLANAR = "is echo-planar (functional, diffusion or perfusion)"
_DIFFUSION = r"dwi|dti|diff\w*|[a-z]*adc|trace\w*|tensor|b\d{3,4}|noddi|hardi|fa(?![ _:=-]*\d)|colfa"
_ELSEWHERE = (
    r"spine|cerv\w*|lumb\w*|thorac\w*|c.?spine|l.?spine|hws|bws|lws|neck|orbit\w*|pituitary|hypophys\w*|sella|iac|knee|"
    r"shoulder|prostate|breast|abdomen|pelvis|liver|cardiac|heart"
)
#: A T2 by gradient echo is weighted by T2*, whatever it is called.
_T2_GRADIENT = r"t2w?i?[ _.-]+(?:(?:ax|tra|cor|sag|[23]d)[ _.-]+)*(?:f?gre|ffe|fl[23]d\d?)|f?gre[ _.-]+t2w?i?"
#: Sequences that come apart into water, fat and two phases, with what says that a series is not the water or in phase;
#: `post op` is an operation and `F/U` a later visit.
_DIXON = (
    r"(?:m?dixon|dxn|ideal|flex)[a-z]*[ _.-](?:[^|]*[ _.-])?"
    r"(?:f(?!/)|(?<!pre[ _.-])(?<!post[ _.-])(?<!intra[ _.-])opp?|out|fat(?![ _.-]*(?:sat|sup)))"
    r"|fat(?=:)|(?:opp(?:osed)?|out)(?:.?of)?.?phase"
)
#: A pattern, the word as it is shown, and what it speaks for: a sequence, or a reason not to take the series.
#: Contrast agent is read by the rule for names of files.
_TABLE: tuple[tuple[str, str, str], ...] = (
    (r"t2.?flair|flair|flr|tirm|dark.?fluid|darkfl|da.fl|(?:t2.?)?(?:压水|抑水|水抑制)", "flair", "FLAIR"),
    (r"t1.?(?:flair|tirm)", "t1 flair", "T1"),
    (r"(?:3d|[sv])?t1w?i?(?:c|ce|gd)?", "t1", "T1"),
    (r"mp.?rage|bravo|fspgr|spgr|vibe|mprage|t1.?tfe|t1.?ffe|ir.?fspgr|tfl", "mprage", "T1"),
    (r"(?:3d|[sv])?t2w?i?", "t2", "T2"),
    (r"propeller|blade|frfse", "propeller", "T2"),
    (r"inv.?[12]", "inversion", "is one inversion of MP2RAGE"),
    (r"t[12]\*?.?map\w*|mp2rage[\W_]*t1[\W_]*images", "map", "is a map"),
    (r"dir|double.?inversion\w*", "double inversion", "is double inversion recovery"),
    (_DIFFUSION, "diffusion", "is diffusion"),
    (_T2_GRADIENT, "t2 gradient echo", _SUSCEPTIBLE),
    (r"swi(?:3d)?|swan|t2star|t2\*|hemo|haemo|venobold|mip|minip|qsm|medic|merge", "susceptibility", _SUSCEPTIBLE),
    (r"tof|mra|mrv|angio\w*|venogr\w*|pca|carotid\w*", "angiography", "is angiography"),
    (
        r"perf\w*|dsc|dce|asl|pcasl|pasl|pwi|[a-z]*cb[fv]|mtt|ttp|tmax|ktrans|gbp|pbp|dynasuscp",
        "perfusion",
        "is perfusion",
    ),
    (r"bold|fmri|rest(?:ing)?(?:.?state)?|task|epi|ep2d", "functional", _ECHO_PLANAR),
    (r"loc|locali[sz]er\w*|scout|survey|3.?plane|aahead|auto.?align|smartbrain", "localiser", "is a localiser"),
    (r"svs|csi|mrs|press|spectro\w*", "spectroscopy", "is spectroscopy"),
    (r"field.?map\w*|b[01].?map|calib\w*|cal|ref.?scan", "calibration", "is a calibration scan"),
    (r"asset|coil\w*", "coil", "is a calibration scan"),
    (r"plan\w*", "planning", "is a localiser"),
    (r"sub|subtract\w*|subtraktion", "subtraction", "is a subtraction"),
    (r"pd|pdw?i?|proton", "pd", "is proton-density-weighted"),
    (_DIXON, "fat", "is the fat or the opposed phase of a Dixon series"),
    (r"stir", "stir", "is fat-suppressed inversion recovery (STIR)"),
    (r"ciss(?:3d)?|fiesta|drive|trufi", "ciss", "is a steady-state sequence of the nerves"),
    (_ELSEWHERE, "not the whole head", "does not show the whole head"),
)
#: Words that say something only where no sequence is named: `T1 ASSET` and `T1 for planning` are pictures.
_ALONE = ("coil", "planning")
#: A word ends where letters and digits end.
_PATTERNS = tuple(
    (re.compile(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])", flags=re.IGNORECASE), shown, speaks_for)
    for pattern, shown, speaks_for in _TABLE
)
_WITH_WITHOUT = (
    ("with|w", r"without|w[/ ]?o(?:ut)?"),
    ("mit", "ohne"),
    ("km", "nativ"),
    ("con|com", "sin|senza|sem"),
    ("avec", "sans"),
    ("med|met", "utan|uten|zonder"),
)
_AND = r"\W+(?:(?:and|und|y|e|et|och|og|en)\W+)?"
#: A protocol of two halves.
_BOTH = re.compile(
    "|".join(rf"\b(?:(?:{a}){_AND}(?:{b})|(?:{b}){_AND}(?:{a}))\b" for a, b in _WITH_WITHOUT) + r"|\bwwo\b|\+/-",
    flags=re.IGNORECASE,
)
#: How radiographers shorten "without" in front of contrast agent.
_SHORT = re.compile(
    r"(?<![a-z0-9])(w[/_. ]o(ut)?(?![a-z0-9])|o\.?(?=[ _]*km(?![a-z0-9]))|s/(?=[ _]*(?:c|g|mdc|inj)))",
    flags=re.IGNORECASE,
)
#: What programs that convert to enhanced multi-frame files write; it is the form of the file, no contrast agent.
_FORM = re.compile(r"\benhanced[ _-]+(?:conversion|multi[ _-]?frame|dicom|format|iod)\b", flags=re.IGNORECASE)


@dataclass(frozen=True)
class Words:
    """What a description speaks for.

    Attributes:
        shown: The known words in it.
        sequences: Sequences that it names, FLAIR before T2 where both are.
        contrast: True, False, or None where it says nothing of contrast agent.
        against: Why the series is none of the four sequences; None where nothing speaks against it.
    """

    shown: tuple[str, ...]
    sequences: tuple[str, ...]
    contrast: bool | None
    against: str | None


def read_words(text: str) -> Words:
    """Find the known words of a description.

    Example:
        >>> read_words("MILLER^ANNA ax t1_mprage +C").shown
        ('t1', 'mprage', 'contrast')
    """
    found = [(shown, speaks) for pattern, shown, speaks in _PATTERNS if pattern.search(text)]
    sequences = [speaks for _, speaks in found if speaks in ("T1", "T2", "FLAIR")]
    if "t1 flair" in [shown for shown, _ in found]:
        sequences = ["T1"]
    elif "FLAIR" in sequences:
        sequences = ["FLAIR"]
    elif "T1" in sequences and not any(shown == "t2" for shown, _ in found):  # a T1 by PROPELLER
        sequences = ["T1"]
    against = [
        speaks for shown, speaks in found if speaks.startswith(("is ", "does ")) and not (sequences and shown in _ALONE)
    ]
    said = (_contrast(field) for field in text.split(" | "))  # the description before the whole protocol
    contrast = next((given for given in said if given is not None), None)
    if contrast is not None:
        found.append(("contrast" if contrast else "native", ""))
    return Words(
        tuple(dict.fromkeys(shown for shown, _ in found)),
        tuple(dict.fromkeys(sequences)),
        contrast,
        against[0] if against else None,
    )


def _contrast(text: str) -> bool | None:
    if _BOTH.search(text.replace("_", " ")):
        return None
    plainly = _SHORT.sub("without ", _FORM.sub(" ", text))
    return read_contrast(re.sub(r"[/\\^:|;]", " ", plainly))  # `w/ gd` is `w gd`, which is known
