"""The cohort must be neither trivial nor hopeless for the plain FLAIR rule."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from annofree.phantom import phantom_cohort

_spec = importlib.util.spec_from_file_location("phantom_difficulty", Path(__file__).with_name("difficulty.py"))
assert _spec is not None
assert _spec.loader is not None
difficulty = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(difficulty)


def test_the_flair_rule_neither_solves_nor_misses_the_cohort() -> None:
    # A few subjects on a coarser grid; the whole default cohort is measured in docs/phantom.md.
    thresholds = np.array([1.0, 1.5, 2.0, 2.5])
    rows = np.array(
        [
            difficulty.flair_rule(subject, thresholds)
            for subject in phantom_cohort(n=8, seed=0, spacing_mm=4.0, healthy_fraction=0.0)
        ]
    )
    means = rows.mean(axis=0)
    assert 0.3 < means[1] < 0.7
    assert means.max() < 0.75
    assert rows[:, 1].max() > 0.75  # some are easy
    assert rows[:, 1].min() < 0.2  # some are hopeless without the other sequences
