"""What `--quality` trades, and what scores and rules of the default have to do with each other."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from annofree import methods
from annofree.formats.grids import on_grid
from annofree.phantom import phantom_subject
from annofree.scan import Modality, Scan


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


def test_what_a_rim_encloses_is_core_where_only_the_rules_call_it_tumour(monkeypatch: pytest.MonkeyPatch) -> None:
    # the networks take the fluid of a cyst for healthy, and the whole tumour's holes are filled after they spoke
    grid = np.indices((40, 40, 40))
    away = np.sqrt(((grid - 19.5) ** 2).sum(axis=0)) * 2.0
    tumour, cyst = away < 16.0, away < 9.0

    def sees(network: object, images: NDArray[np.float32], *args: object, **kwargs: object) -> NDArray[np.float32]:
        core = np.where(tumour, 0.9, 0.01)
        return np.stack([np.where(cyst, 0.2, core), core, np.zeros(tumour.shape)]).astype(np.float32)

    monkeypatch.setattr("annofree.inference.predict_scan_array", sees)
    rng = np.random.default_rng(0)
    flair = ((100.0 + 80.0 * tumour + rng.normal(0, 3, tumour.shape)) * (away < 38.0)).astype(np.float32)
    scan = Scan("cyst", {Modality.FLAIR: flair}, np.diag([2.0, 2.0, 2.0, 1.0]), brain=away < 38.0)
    found = methods.shipped("synthtumour").segment(scan)
    assert found.mask("WT")[cyst].all()
    assert found.mask("TC")[cyst].all()
    assert found.scores["WT"].values[cyst].max() < 0.5 < found.scores["TC"].values[cyst].min()
