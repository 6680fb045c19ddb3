"""What `--quality` trades."""

from __future__ import annotations

import numpy as np

from annofree import methods
from annofree.formats.grids import on_grid
from annofree.phantom import phantom_subject


def test_fast_answers_on_the_scans_own_grid_and_nearly_as_default_does() -> None:
    subject = phantom_subject(seed=4, kind="glioblastoma", spacing_mm=1.9)
    model = methods.shipped("synthtumour")
    default = model.segment(subject.scan)
    fast = model.replace(quality="fast").segment(subject.scan)
    assert fast.labels.shape == default.labels.shape
    assert fast.native is default.native
    assert set(fast.scores) == set(default.scores)
    assert all(score.values.shape == score.grid.shape for score in fast.scores.values())
    assert all(on_grid(score, subject.scan.grid).values.shape == subject.scan.shape for score in fast.scores.values())
    assert not (fast.labels > 0)[~subject.scan.foreground()].any()
    ours, theirs = fast.mask("WT"), default.mask("WT")
    assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.9
    assert np.isclose(fast.volumes_ml["ET"], default.volumes_ml["ET"], rtol=0.35)


def test_fast_stays_on_a_grid_that_is_coarse_already() -> None:
    subject = phantom_subject(seed=4, kind="glioblastoma", spacing_mm=4.0)
    fast = methods.shipped("synthtumour").replace(quality="fast").segment(subject.scan)
    assert not any("Resampled" in note for note in fast.provenance["notes"])


def test_calibration_sets_the_first_size_rule_and_crumbs_of_the_border_rules_still_go() -> None:
    from annofree.refine import KeepComponents
    from annofree.scan import Cohort

    model = methods.shipped("synthtumour")
    people = [phantom_subject(seed=s, healthy=True, spacing_mm=4.0).scan for s in (11, 12)]
    model = model.calibrate(Cohort.of(people))
    sizes = [rule.min_ml for rule in model.refiners["WT"] if isinstance(rule, KeepComponents)]
    assert len(sizes) == 2
    assert sizes[1] == 0.5 <= sizes[0]
    assert isinstance(model.refiners["WT"][-1], KeepComponents)
