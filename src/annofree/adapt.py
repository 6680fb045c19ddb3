"""A model that goes on learning from a hospital's own scans, which nobody annotated, and what that changed.

The second stage of SynthTumour (Zhang et al., Medical Image Analysis 2025) from a model that is there already.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annofree.errors import InputError, no_folder
from annofree.pipeline import fit
from annofree.scan import Cohort

if TYPE_CHECKING:
    from annofree.methods.base import Method

_SHOWN = (
    ("score", "score on held-out made cases"),
    ("dice_WT", "whole tumour there, four sequences"),
    ("dice_WT_flair", "whole tumour there, FLAIR alone"),
    ("dice_TC", "tumour core there"),
    ("dice_ET", "enhancing tumour there"),
    ("false_ml_made", "ml called in a made brain without tumour"),
    ("false_ml_healthy", "ml called in a healthy scan"),
)


@dataclass(frozen=True)
class Adaptation:
    """A finished adaptation.

    Attributes:
        method: The adapted method, as it was written.
        before: Numbers on held-out made cases and healthy scans of the network that it started from.
        after: The same of the adapted one.
        changes: Table of what is called in each patient before and after (`changes.tsv`).
    """

    method: Method
    before: dict[str, float]
    after: dict[str, float]
    changes: Path

    def lines(self) -> list[str]:
        """What got better or worse, a sentence each."""
        shown = [(name, words) for name, words in _SHOWN if name in self.before and name in self.after]
        return [f"{words}: {self.before[name]:.3f} before, {self.after[name]:.3f} now" for name, words in shown]


def adapt(
    model: str | Path,
    *,
    patients: str | Path | Cohort,
    out: str | Path,
    healthy: str | Path | Cohort | None = None,
    steps: int = 400,
    seed: int = 0,
    keep: bool = False,
    **sources: Any,
) -> Adaptation:
    """Adapt a synthtumour model to patients without masks (tier T0) and write it as a model folder.

    Call it again to go on with one that was stopped.

    Args:
        model: A model folder, or "shipped".
        patients: The patients' scans, a folder or a cohort; no mask is read.
        out: Model folder to write.
        healthy: Healthy scans of the same scanners, two or more: half of them get tumours mixed in, the other half
            checks that nothing is called there. Without any, made brains alone check.
        steps: Training steps.
        seed: Decides everything.
        keep: Leave checkpoints and pseudo-labels in `training/`.
        **sources: `brain_mask`, `patients_mask` and `sequence`, as `annofree.pipeline.fit` takes them.

    Raises:
        InputError: The adapted network is worse on what was kept back than the one that it started from (nothing is
            written then), or the scans do not suffice.
        OutputError: The folder is not empty.
    """
    from annofree import methods
    from annofree.training.remains import LOG, WORK

    if str(model) != "shipped":
        if not Path(model).is_dir():
            raise no_folder(model, "Name a model folder of synthtumour, or 'shipped' for the default", "of a model")
        loaded = methods.load(model)
        published = loaded.name == "synthtumour" and loaded.settings.preset == "published"
        if loaded.name != "synthtumour" or published:
            whose = "the published preset" if published else f"'{loaded.name}'"
            fix = "Name a model folder of synthtumour with its own preset, or 'shipped' for the default"
            raise InputError(f"A model of {whose} cannot be adapted", file=model, fix=fix)
    settings = {"junior": str(model), "senior_steps": steps, "seed": seed, "keep_junior": False}
    fitted = fit("synthtumour", out=out, healthy=healthy, patients=patients, settings=settings, keep=keep, **sources)
    cases = fitted.card["second stage"]["senior"]["held-out made cases"]
    return Adaptation(fitted, cases["junior"], cases["senior"], Path(out) / (WORK if keep else LOG) / "changes.tsv")
