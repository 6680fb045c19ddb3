"""A tier is what everything together has seen: masks in training are not forgotten beside a plain threshold."""

from __future__ import annotations

import pytest

from annofree.review.words import threshold_sentence
from annofree.thresholds import parse


@pytest.mark.parametrize(("model", "shown"), [("S", "S"), ("R", "R"), ("T0", "T2"), ("T2", "T2"), ("", "T2")])
def test_the_tier_beside_a_threshold_is_the_worst_of_both(model: str, shown: str) -> None:
    described = parse("fixed:0.5").to_dict() | {"tier": "T2" if model in ("T0", "T2", "") else "T0"}
    assert f"; tier {shown};" in threshold_sentence(described, "probability", model)
