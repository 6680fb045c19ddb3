"""Choosing weights without a single annotated tumour: made cases with other seeds, and healthy scans.

And whether a senior is taken: not if it calls more in healthy people than the junior, or has forgotten made tumours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from annofree.inference.torch_network import predict_tensors
from annofree.segmentation import REGIONS
from annofree.training.losses import regions_of
from annofree.training.stream import CaseMaker, TrainingCase

ALL = (True, True, True, True)
FLAIR_ALONE = (False, False, False, True)


class Together(nn.Module):
    """Networks as one whose probability is the mean of theirs, as a method answers that has several."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.settings = networks[0].settings

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits, finest output only."""
        found = [network(*inputs) for network in self.networks]
        finest = [one[0] if isinstance(one, list | tuple) else one for one in found]
        return torch.logit(torch.stack([one.sigmoid() for one in finest]).mean(0), eps=1e-6)


class MadeValidation:
    """Dice on fixed made cases and falsely called volume on tumour-free ones and healthy scans.

    The score is the mean Dice of the whole tumour with four sequences and with FLAIR alone, with a quarter weight on
    core and enhancing tumour, less 0.1 for every 10 ml falsely called in a tumour-free brain (at most 0.3). Seeds are
    never used for training; further tumour-free cases are images, brain and empty labels, where a sequence that is all
    zero counts as absent.
    """

    def __init__(
        self, make: CaseMaker, seeds: Sequence[int], *, voxel_ml: float, healthy: Sequence[TrainingCase] = ()
    ) -> None:
        self.make, self.seeds, self.voxel_ml, self.healthy = make, seeds, voxel_ml, list(healthy)
        self._cases: list[TrainingCase] | None = None

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Numbers of a network in evaluation mode, with ``score``."""
        if self._cases is None:
            self._cases = [self.make(seed) for seed in self.seeds]
        dices: dict[str, list[float]] = {name: [] for name in (*REGIONS, "WT_flair")}
        false_ml: list[float] = []
        for images, brain, labels in self._cases:
            truth = regions_of(labels[None])[0].bool()
            found = predict_tensors(network, images, brain, torch.tensor(ALL)) > 0.5
            if not bool(truth[0].any()):
                false_ml.append(float(found[0].sum()) * self.voxel_ml)
                continue
            for region, name in enumerate(REGIONS):
                if bool(truth[region].sum() * self.voxel_ml >= 0.5):
                    dices[name].append(_dice(found[region], truth[region]))
            only = torch.tensor(FLAIR_ALONE)
            alone = predict_tensors(network, images * only.view(-1, 1, 1, 1), brain, only) > 0.5
            dices["WT_flair"].append(_dice(alone[0], truth[0]))
        looks = ((images, brain, (images != 0).flatten(1).any(dim=1)) for images, brain, _ in self.healthy)
        real_ml = [float((predict_tensors(network, *look)[0] > 0.5).sum()) * self.voxel_ml for look in looks]
        out = {f"dice_{name}": _mean(values) for name, values in dices.items() if values}
        if false_ml:
            out["false_ml_made"] = _mean(false_ml)
        if real_ml:
            out["false_ml_healthy"] = _mean(real_ml)
            out["false_ml_healthy_max"] = max(real_ml)
        inner = [out[f"dice_{name}"] for name in tuple(REGIONS)[1:] if f"dice_{name}" in out]
        quality = 0.75 * (out.get("dice_WT", 0.0) + out.get("dice_WT_flair", 0.0)) / 2 + 0.25 * _mean(inner)
        fault = _mean([min(0.3, ml / 100.0) for ml in false_ml + real_ml])
        return {"score": quality - fault, **out}


def _dice(found: Tensor, truth: Tensor) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()).clamp_min(1))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


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
