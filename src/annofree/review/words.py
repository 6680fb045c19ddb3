"""What numbers and settings mean, in words for the reader of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annofree.segmentation import Lesion, Segmentation
from annofree.thresholds.base import worst_tier

#: A remark of reading that is no note on the result: files beside the images that are none.
_NO_NOTE = "Not taken as images"
REGION_NAMES = {"WT": "Whole tumour", "TC": "Tumour core", "ET": "Enhancing tumour"}
REGION_MEANINGS = {
    "WT": "whole tumour (WT): everything abnormal, oedema included",
    "TC": "tumour core (TC): without the oedema",
    "ET": "enhancing tumour (ET): what takes up contrast",
}
#: What each threshold rule does, in one plain sentence.
RULES = {
    "fixed": "The threshold is a fixed value.",
    "healthy-quantile": "The threshold leaves out nearly all of what healthy brains score.",
    "conformal": "The threshold keeps false findings in healthy people below a stated volume and rate.",
    "otsu": "The threshold parts this scan's scores into two groups.",
    "mad": "The threshold lies a number of robust deviations above this scan's own median.",
    "oracle": "The threshold was chosen on the mask that this is scored on.",
    "learned": "The threshold was set for this scan by a network.",
}
#: What each clean-up step does, as a part of one plain sentence.
CLEAN_UP = {
    "components": "small pieces dropped",
    "eroded-brain": "the rim of the brain left out",
    "fill-holes": "holes filled",
    "half-height": "each border moved to a share of its finding's height",
    "median": "specks and pinholes smoothed away",
    "morphology": "thin bridges and specks smoothed away",
    "promptable": "each finding drawn anew by a network that is shown where it lies",
    "sam": "each finding drawn anew by a Segment Anything model",
    "mirror": "findings dropped that have their like on the other side of the brain",
    "appearance": "the border moved to where the images stop looking like the lesion",
    "published-mvit": "each slice cut again at its own level, the largest piece of each kind kept and its holes filled",
}
UNIT_NAMES = {
    "probability": "probability, 0 to 1",
    "z": "robust standard deviations from normal",
    "residual": "normalised grey levels that the model could not explain",
}
TIERS = {
    "T0": "Nothing that went into this result has seen a lesion: no mask, no label, no report.",
    "R": "Radiology reports helped to fit this result; no mask and no image label did.",
    "T1": "Labels that say whether an image shows a tumour helped to fit this result; no mask did.",
    "T2": "Expert masks helped to choose something here, if only a constant: not free of annotation.",
    "T3": "The threshold was chosen on the very mask that this result is scored on: an upper bound, not a result.",
    "S": "A network was trained on expert masks.",
}


def finding_sentence(result: Segmentation) -> str:
    """What was found, in one sentence, and how sure it is that there is anything."""
    parts = [_found(result)]
    finding = result.provenance.get("finding") or {}
    if finding.get("rate") is not None and result.lesions:
        parts.append(finding["sentence"])
    told = (result.provenance.get("expectation") or {}).get("sentence")
    if told and told not in result.provenance.get("notes", ()):
        parts.append(told)
    return " ".join(parts)


def _found(result: Segmentation) -> str:
    if not result.lesions:
        if (result.labels > 0).any():
            return "Only specks too small to list were found."
        return "Nothing was found. That is no proof that nothing is there."
    first = result.lesions[0]
    where = place(first)
    if len(result.lesions) == 1:
        return f"One finding{', ' + where if where else ''}: {first.volume_ml:.1f} ml."
    total = sum(lesion.volume_ml for lesion in result.lesions)
    return (
        f"{len(result.lesions)} findings, {total:.1f} ml together; "
        f"the largest{', ' + where + ',' if where else ''} has {first.volume_ml:.1f} ml."
    )


def place(lesion: Lesion) -> str:
    """Side and lobe, as far as they are known: "left frontal"."""
    return " ".join(part for part in (lesion.side, (lesion.lobe or "").lower()) if part)


def is_note(line: str) -> bool:
    """Whether a remark is about the result, and not only about files that lay beside the images."""
    return not line.startswith(_NO_NOTE)


def centre_words(lesion: Lesion, middle_mm: Sequence[float], size_mm: Sequence[float]) -> str:
    """Where a lesion's centre lies in the brain: "32 mm left of the middle, front third, upper third".

    Middle and extent of the brain's box are in scanner mm (RAS).
    """
    x, y, z = (float(c) - float(m) for c, m in zip(lesion.centre_mm, middle_mm, strict=True))
    aside = "in the middle" if abs(x) < 5 else f"{abs(x):.0f} mm {'right' if x > 0 else 'left'} of the middle"
    return ", ".join((aside, _third(y / size_mm[1], "back", "front"), _third(z / size_mm[2], "lower", "upper")))


def _third(share: float, low: str, high: str) -> str:
    """Which third of an extent; `share` counts from its middle."""
    middle = {"back": "between front and back", "lower": "middle height"}[low]
    return middle if abs(share) < 1 / 6 else f"{high if share > 0 else low} third"


def clean_up_sentence(chain: Sequence[Mapping[str, Any]]) -> str:
    """What happens to a mask after its threshold, in one plain sentence without settings."""
    steps = []
    for described in chain:
        kind = str(described.get("kind", "unknown"))
        step = CLEAN_UP.get(kind, kind.replace("-", " "))
        if kind == "components" and str(described.get("keep", "all")) in ("largest", "1"):
            step = "only the largest piece kept"
        if step not in steps:
            steps.append(step)
    if not steps:
        return "Nothing is done to the mask after that."
    last = steps.pop()
    return f"Then {', '.join(steps) + ' and ' if steps else ''}{last}."


def rule_sentence(described: Mapping[str, Any]) -> str:
    """What a threshold's rule does, in one plain sentence."""
    kind = str(described.get("kind", "unknown"))
    return RULES.get(kind, f"The threshold follows the rule '{kind}'.")


def threshold_sentence(described: Mapping[str, Any], unit: str, tier: str = "T0") -> str:
    """Where a threshold came from, with the scores' unit and the result's tier: "fixed, picked on ...; tier T2".

    A rule that saw nothing gives no tier T0 mask where the scores were learned from masks.
    """
    kind = str(described.get("kind", "unknown")).replace("-", " ")
    saw = described.get("saw") or {}
    parts = [kind, str(described.get("source") or "")]
    if saw:
        parts.append("saw " + ", ".join(f"{key} {_short(value)}" for key, value in saw.items() if key != "ids"))
    known = [name for name in (str(described.get("tier", "unknown")), tier) if name in TIERS]
    parts.append(f"tier {worst_tier(known) if known else 'unknown'}")
    parts.append(UNIT_NAMES.get(unit, unit))
    return "; ".join(part for part in parts if part)


def refiner_sentence(described: Mapping[str, Any]) -> str:
    """A refiner and its settings: "components (connectivity 6, keep largest)"."""
    kind = str(described.get("kind", "unknown")).replace("-", " ")
    settings = [
        f"{key.replace('_', ' ')} {_short(value)}"
        for key, value in described.items()
        if key != "kind" and value not in (None, 0.0, False)
    ]
    return f"{kind} ({', '.join(settings)})" if settings else kind


def citation(provenance: Mapping[str, Any]) -> list[str]:
    """What to cite: the software, and the published work that the model's card names."""
    version = provenance.get("annofree", "")
    lines = [f"annofree {version}: brain-tumour segmentation in MRI from data that nobody annotated. Software."]
    card = provenance.get("model")
    named = card.get("citation") if isinstance(card, Mapping) else None
    if named:
        lines += [str(named)] if isinstance(named, str) else [str(entry) for entry in named]
    return lines


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_short(entry)}" for key, entry in value.items())
    return str(value)
