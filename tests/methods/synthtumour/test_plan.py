"""`annofree fit synthtumour --set plan=plan.yaml` trains what the plan says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annofree.errors import SettingsError
from annofree.methods.synthtumour import SynthTumour, published_junior
from annofree.methods.synthtumour import junior as first
from annofree.methods.synthtumour import made_junior as junior
from annofree.scan import Cohort, Modality, Scan
from annofree.training.plan import TrainingPlan
from annofree.training.planner import Fingerprint, make_plan


def plan_of(spacing_mm: float | tuple[float, float, float]) -> TrainingPlan:
    data = Fingerprint(np.ones((9, 3)), np.tile((140.0, 175.0, 138.0), (9, 1)), 9)
    return make_plan(data, 0.2, spacing_mm=spacing_mm)


def scan(name: str) -> Scan:
    image = np.zeros((30, 30, 30), np.float32)
    image[5:25, 5:25, 5:25] = np.random.default_rng(0).uniform(1, 2, (20, 20, 20))
    return Scan(name, {Modality.FLAIR: image}, np.diag([4.0, 4.0, 4.0, 1.0]))


def caught(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> dict[str, Any]:
    """What the training is called with, instead of the training."""
    seen: dict[str, Any] = {}

    def stop(*given: Any, **named: Any) -> None:
        seen.update(named, given=given)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, name, stop)
    return seen


def test_made_brains_are_learned_by_the_planned_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(2.0)
    seen = caught(monkeypatch, junior, "fit_junior")
    monkeypatch.setattr(first, "bank_of", lambda *_: "maps")
    with pytest.raises(KeyboardInterrupt):
        SynthTumour(plan=str(plan.write(tmp_path / "plan.yaml")), steps=7).fit()
    recipe = seen["given"][2]
    assert recipe.network == plan.network
    assert (recipe.sample.patch, recipe.train.batch, recipe.train.steps) == (plan.patch, plan.batch, 7)


def test_the_published_form_is_learned_by_the_planned_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(3.0)
    seen = caught(monkeypatch, published_junior, "fit_flair_junior")
    method = SynthTumour(preset="published", plan=str(plan.write(tmp_path / "plan.yaml")))
    with pytest.raises(KeyboardInterrupt):
        method.fit(healthy=Cohort.of([scan(name) for name in "abcd"]))
    assert (seen["network"], seen["spacing_mm"], seen["sample"].patch) == (plan.network, 3.0, plan.patch)
    assert seen["given"][3].batch == plan.batch


def test_a_plan_that_made_brains_cannot_follow_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first, "bank_of", lambda *_: "maps")
    for spacing, said in ((3.0, "--spacing 1 or --spacing 2"), ((1.0, 1.0, 5.0), "no cubes")):
        file = plan_of(spacing).write(tmp_path / "plan.yaml")
        with pytest.raises(SettingsError, match=said):
            SynthTumour(plan=str(file)).fit()
