"""Whether a stated expectation came true."""

from __future__ import annotations

from annofree.evaluation.foretold import Foretold, foretold_sentence


def test_by_hand() -> None:
    cases = [
        Foretold(0.9, 0.8, 5.0, 20.0, 10.0),
        Foretold(0.7, 0.75, 5.0, 8.0, 10.0),
        Foretold(0.5, 0.3, 1.0, 20.0, 10.0),
        Foretold(0.6, 0.55, 1.0, 20.0, 10.0),
        Foretold(None, 0.0, 0.0, 9.0, 10.0),  # overlooked, and larger than what usually is
        Foretold(0.9, 0.0, 1.0, 2.0, 0.0),  # no tumour: an expected Dice is of a tumour that is there
    ]
    said = foretold_sentence(cases)
    assert "mean absolute error 0.100 over 4" in said  # (0.1 + 0.05 + 0.2 + 0.05) / 4
    assert "Spearman 1.00" in said
    assert "3 of 5 true volumes" in said


def test_nothing_stated_says_nothing() -> None:
    assert foretold_sentence([Foretold(None, 0.9, None, None, 5.0)]) == ""
