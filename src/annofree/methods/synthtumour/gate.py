"""Whether a senior is taken: not if it calls more in healthy people than the junior, or has forgotten made tumours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Made tumours may be found a little worse (the validation score, a mean of Dice): real ones were learned meanwhile.
MAY_LOSE = 0.03
#: Difference of the mean falsely called volume that is rounding, ml.
ROUNDING_ML = 0.05


def passes(
    junior_ml: Sequence[float],
    senior_ml: Sequence[float],
    junior_score: Mapping[str, float],
    senior_score: Mapping[str, float],
) -> dict[str, Any]:
    """The comparison and its outcome, for the model's card: ``taken``, ``why`` (empty where taken), and the numbers.

    Of both networks, the volume called tumour in each healthy scan that neither saw, ml, and the numbers on held-out
    made cases, with ``score``.
    """
    before, after = (sum(values) / max(len(values), 1) for values in (junior_ml, senior_ml))
    reasons = []
    if after > before + ROUNDING_ML:
        reasons.append(f"it calls {after:.1f} ml in a healthy brain, the junior {before:.1f} ml")
    if senior_score["score"] < junior_score["score"] - MAY_LOSE:
        reasons.append(f"it scores {senior_score['score']:.2f} on made cases, the junior {junior_score['score']:.2f}")
    return {
        "taken": not reasons,
        "why": "; ".join(reasons),
        "false ml in healthy scans": {
            "junior": [round(ml, 2) for ml in junior_ml],
            "senior": [round(ml, 2) for ml in senior_ml],
        },
        "held-out made cases": {
            "junior": {key: round(value, 3) for key, value in junior_score.items()},
            "senior": {key: round(value, 3) for key, value in senior_score.items()},
        },
    }
