"""What numbers and settings mean, in words for the reader of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annofree.segmentation import Lesion, Segmentation

DISCLAIMER = "Research software, not a medical device"
REGION_NAMES = {"WT": "Whole tumour", "TC": "Tumour core", "ET": "Enhancing tumour"}
UNIT_NAMES = {
    "probability": "probability, 0 to 1",
    "z": "robust standard deviations from normal",
    "residual": "normalised grey levels that the model could not explain",
}
STEADINESS = "what is left of the volume when the threshold moves from a tenth below to a tenth above its place"
TIERS = {
    "T0": "Nothing that went into this result has seen a lesion: no mask, no label, no report.",
    "R": "Radiology reports helped to fit this result; no mask and no image label did.",
    "T1": "Labels that say whether an image shows a tumour helped to fit this result; no mask did.",
    "T2": "Expert masks helped to choose something here, if only a constant: not free of annotation.",
    "T3": "The threshold was chosen on the very mask that this result is scored on: an upper bound, not a result.",
    "S": "A network was trained on expert masks.",
}


def finding_sentence(result: Segmentation) -> str:
    """What was found, in one sentence."""
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


def confidence_words(lesions: Sequence[Lesion], steadiness: float | None) -> tuple[str, str]:
    """How sure, as a short value and a sentence that says what the value is."""
    known = [lesion.confidence for lesion in lesions if lesion.confidence is not None]
    if known:
        return f"{known[0]:.0%}", "mean probability inside the largest finding"
    if steadiness is not None:
        return (
            f"{steadiness:.0%}",
            STEADINESS,
        )
    return "n/a", "no confidence is known for this result"


def threshold_sentence(described: Mapping[str, Any], unit: str) -> str:
    """Where a threshold came from: "fixed, picked on ...; tier T2"."""
    kind = str(described.get("kind", "unknown")).replace("-", " ")
    saw = described.get("saw") or {}
    parts = [kind, str(described.get("source") or "")]
    if saw:
        parts.append("saw " + ", ".join(f"{key} {_short(value)}" for key, value in saw.items() if key != "ids"))
    parts.append(f"tier {described.get('tier', 'unknown')}")
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
