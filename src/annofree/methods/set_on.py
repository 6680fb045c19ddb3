"""Whether scores are of the sequences that a threshold was set on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from annofree.methods.decide import Scored
from annofree.progress import say
from annofree.thresholds.base import Threshold
from annofree.thresholds.fixed import Fixed

#: In a model's card: the sequences of the scans that the threshold was set on.
SET_ON = "threshold set on"


def set_on(seen: Collection[str]) -> dict[str, list[str]]:
    """What a card keeps of the sequences that scores were of; several are said."""
    if len(seen) > 1:
        mixed = " and on those of ".join(sorted(seen))
        say(f"The threshold was set on scores of {mixed}, which need not be alike: give scans of one kind")
    return {SET_ON: sorted(seen)} if any(seen) else {}


def doubted(scored: Scored, card: Mapping[str, Any], threshold: Threshold) -> Scored:
    """The scores, with a note where the threshold was set on others."""
    known = card.get(SET_ON)
    if not known or known == [scored.looked_at] or isinstance(threshold, Fixed):
        return scored
    differ = f"The scores are of {scored.looked_at}, and the threshold was set on {', '.join(known)}"
    return replace(scored, notes=(*scored.notes, f"{differ}: too much or too little may be called."))
