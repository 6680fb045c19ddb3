"""Which of T1, T1C, T2 and FLAIR a series is, from its headers and its picture, with the reasons.

Evidence is added up: words of the description that annofree knows, echo, repetition and inversion times, contrast agent
in the header, and what is bright in the picture. No single one decides: descriptions are copied from protocol to
protocol, and headers lose their times in anonymisers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from annofree.formats.dicom.header import Frame
from annofree.formats.dicom.picture import PictureEvidence, read_picture
from annofree.formats.dicom.study import Series, Study
from annofree.formats.dicom.words import read_words
from annofree.scan import Modality

#: SOP classes of MR pictures: classic, enhanced, enhanced colour, converted.
_MR_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.4{end}" for end in ("", ".1", ".3", ".4"))
_SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
#: Image types that make a series a map or another derived picture, and what to call it.
_DERIVED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("LOCALIZER", "SCOUT"), "is a localiser"),
    (("MOSAIC",), "is a mosaic (functional or diffusion)"),
    (("ADC", "EADC", "TRACEW", "TRACE", "FA", "DIFFUSION", "ISOTROPIC", "ANISOTROPIC", "TENSOR"), "is diffusion"),
    (("CBF", "CBV", "RCBF", "RCBV", "MTT", "TTP", "PERFUSION", "TMAX", "PERFUSION_ASL"), "is a perfusion map"),
    (("SUBTRACTION", "SUB"), "is a subtraction"),
    (("MIP", "MNIP", "MIN IP", "MAX_IP", "MIN_IP", "PROJECTION IMAGE", "MINIMUM", "MAXIMUM"), "is a projection"),
    (("P", "PHASE", "PHASE MAP", "VELOCITY"), "is a phase picture"),
    (("R", "REAL", "I", "IMAGINARY"), "is one part of a complex picture"),
    (("T1 MAP", "T2 MAP", "T1_MAP", "T2_MAP", "R2_MAP", "T2_STAR", "T2_STAR MAP", "FIELD_MAP", "B0 MAP"), "is a map"),
    (("SWI", "SWAN"), "is susceptibility-weighted"),
    (("FAT", "F", "OUT_PHASE", "OPP_PHASE", "OP"), "is the fat or the opposed phase of a Dixon series"),
)
_OTHER_BODY = frozenset(
    "SPINE CSPINE TSPINE LSPINE SSPINE CHEST ABDOMEN PELVIS KNEE SHOULDER HIP ANKLE ELBOW WRIST HAND FOOT BREAST HEART "  # noqa: SIM905
    "PROSTATE LIVER KIDNEY EXTREMITY ARM LEG NECK".split()
)
#: Fewer slices, or a thinner slab (mm), are not a picture of the head.
MIN_SLICES, MIN_SLAB_MM = 8, 60.0
#: A lead in the evidence below which the guess is called unsure.
_SURE = 2.0


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a series was taken for.

    Attributes:
        series: The series.
        modality: The guess; None where the series is none of the four.
        reasons: What speaks for it, or why the series is not taken.
        sure: Whether the evidence leads clearly.
        usable: Whether its pictures form a volume at all, so that the user may force the choice.
    """

    series: Series
    modality: Modality | None
    reasons: tuple[str, ...]
    sure: bool = True
    usable: bool = True
    picture: PictureEvidence | None = None
    contrast_known: bool = True


@dataclass
class _Evidence:
    points: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("T1", "T2", "FLAIR"), 0.0))
    reasons: list[str] = field(default_factory=list)

    def add(self, what: str, points: float, reason: str) -> None:
        self.points[what] += points
        if reason not in self.reasons:
            self.reasons.append(reason)


def classify_study(study: Study) -> list[Verdict]:
    """A verdict for each series of a study, in its order.

    Contrast agent comes last in an examination. Of several T1 series of which none says anything of it, one that was
    taken after all others and holds brighter spots is taken for T1C; where time and picture disagree, nothing is.
    """
    verdicts = [classify_series(series) for series in study.series]
    silent = [v for v in verdicts if v.modality == Modality.T1 and not v.contrast_known and v.picture is not None]
    native = [v for v in verdicts if v.modality == Modality.T1 and v.contrast_known and v.picture is not None]
    if not silent or len(silent) + len(native) < 2 or any(v.modality == Modality.T1C for v in verdicts):
        return verdicts
    last = max(silent, key=lambda v: order(v.series.first))
    others = [v for v in [*silent, *native] if v is not last]
    later = all(order(v.series.first) < order(last.series.first) for v in others)
    brighter = all(v.picture and last.picture and last.picture.bright > 1.15 * v.picture.bright for v in others)
    spots = ", ".join(f"series {v.series.key}: {v.picture.bright:.1f}" for v in (last, *others) if v.picture)
    spots = f"above the middle of the head, in medians, {spots}"
    if later and brighter:
        said = f"taken last and with brighter spots than the other T1 series, as contrast agent makes them ({spots})"
        verdicts[verdicts.index(last)] = replace(last, modality=Modality.T1C, reasons=(*last.reasons, said), sure=False)
        return verdicts
    when = f"series {last.series.key} was taken last" if later else "their times do not tell"
    doubt = (
        f"which of the T1 series has contrast agent cannot be told by time and bright spots ({when}; {spots}); "
        "say it: --series T1=NUMBER --series T1C=NUMBER"
    )
    return [replace(v, reasons=(*v.reasons, doubt), sure=False) if v in silent else v for v in verdicts]


def order(frame: Frame) -> tuple[str, int]:
    """What sorts the series of an examination by time: the time of day of the acquisition, then the series' number."""
    return frame.begun, frame.series_number or 0


def classify_series(series: Series) -> Verdict:
    """What one series is."""
    against = _not_a_head_mr(series)
    if series.problem is not None:
        return Verdict(series, None, (against or series.problem,), usable=False)
    if against is not None:
        return Verdict(series, None, (against,), usable=series.first.modality == "MR")
    frame, words = series.first, read_words(series.first.text)
    why = words.against or _other_weighting(frame, bool(words.sequences))
    if why is not None:
        return Verdict(series, None, (why,))
    evidence = _Evidence()
    for name in words.sequences:
        evidence.add(name, 3.0, f"description says {', '.join(words.shown)}")
    _from_times(frame, evidence)
    picture = read_picture(series)
    if picture is not None:
        for name, points in picture.points.items():
            evidence.points[name] += points
        if picture.reason:
            evidence.reasons.append(picture.reason)
    best, second, *_ = sorted(evidence.points, key=lambda name: -evidence.points[name])
    lead = evidence.points[best] - evidence.points[second]
    if evidence.points[best] <= 0.5 or lead < 0.5:
        return Verdict(
            series, None, ("neither headers nor picture tell which sequence it is", *evidence.reasons), False
        )
    sure = lead >= _SURE
    if best != "T1":
        return Verdict(series, Modality(best), tuple(evidence.reasons), sure, True, picture)
    given, said = _contrast(frame, words.contrast)
    reasons = (*evidence.reasons, *([said] if said else []))
    return Verdict(series, Modality.T1C if given else Modality.T1, reasons, sure, True, picture, given is not None)


def _contrast(frame: Frame, words: bool | None) -> tuple[bool | None, str | None]:
    if words is not None:
        return words, "description says contrast agent" if words else "description says no contrast agent"
    if frame.contrast is not None:
        return frame.contrast, f"header says {'' if frame.contrast else 'no '}contrast agent"
    return None, "nothing says contrast agent"


def _not_a_head_mr(series: Series) -> str | None:
    frame = series.first
    if frame.modality != "MR":
        names = {"CT": "CT", "PT": "PET", "NM": "nuclear medicine", "US": "ultrasound", "SEG": "a segmentation"}
        known = names.get(frame.modality)
        return f"is {known}, not MR" if known else "is not MR"
    if frame.sop_class == _SECONDARY or frame.samples != 1 or frame.photometric == "PALETTE COLOR":
        return "is a screen capture or in colour"
    if frame.sop_class not in _MR_CLASSES:
        return "is MR data other than pictures (spectroscopy, raw data)"
    kinds = set(frame.image_type)
    for tokens, said in _DERIVED:
        if kinds.intersection(tokens) and not (said.startswith("is one part") and len(kinds) < 3):
            return said
    if frame.b_value:
        return f"is diffusion (b = {frame.b_value:g})"
    if frame.body_part.replace(" ", "") in _OTHER_BODY:
        return "shows another part of the body by its header"
    if series.repeat[1] > 1:
        return f"is volume {series.repeat[0]} of {series.repeat[1]} at the same positions (dynamic or repeated)"
    count = len(series.frames)
    if count < MIN_SLICES:
        return f"has {count} slice{'' if count == 1 else 's'} only (a localiser or a sample)"
    if series.stack is not None:
        slab = series.stack.grid.shape[2] * series.stack.grid.spacing_mm[2]
        if slab < MIN_SLAB_MM:
            return f"covers {slab:.0f} mm only"
    return None


def _other_weighting(frame: Frame, named: bool) -> str | None:
    """Sequences that the times give away, most of them only where no word names one of the four."""
    tr, te, ti = frame.tr_ms, frame.te_ms, frame.ti_ms
    gradient = "GR" in frame.scanning and "SE" not in frame.scanning
    if ti is not None and 80 <= ti < 300 and (tr or 0) > 1500 and not gradient:  # TIRM may be this or FLAIR
        return f"is fat-suppressed inversion recovery (TI {ti:g} ms)"
    if named or tr is None or te is None:
        return None
    if gradient and not frame.is_3d and 12 < te < 70 and tr > 150 and not ti:
        return f"is a T2*-weighted gradient echo (TE {te:g} ms)"
    if "EP" in frame.scanning and (frame.echo_train or 0) != 1:
        return "is echo-planar (functional, diffusion or perfusion)"
    if not gradient and tr > 1800 and te < 45 and not ti:
        return f"is proton-density-weighted (TR {tr:g}, TE {te:g} ms)"
    return None


def _from_times(frame: Frame, evidence: _Evidence) -> None:
    tr, te, ti = frame.tr_ms, frame.te_ms, frame.ti_ms
    if te is None or tr is None:
        return
    said = f"TR {tr:.0f}, TE {te:.0f}" + (f", TI {ti:.0f} ms" if ti else " ms")
    ti = ti or 0
    if 1400 <= ti <= 3200 and tr > 3500 and te > 45:
        evidence.add("FLAIR", 4.0, said)
    elif 350 <= ti < 1400 and te < 45:
        evidence.add("T1", 4.0, said)
    elif "IR" in frame.scanning and tr > 3500 and te > 60:
        evidence.add("FLAIR", 3.0, said)
    elif te < 35 and tr < 1500:
        evidence.add("T1", 3.0, said)
    elif te >= 60 and tr >= 1500:
        evidence.add("T2", 3.0, said)
        evidence.points["FLAIR"] += 1.0 if tr > 6000 and ti <= 0 else 0.0
