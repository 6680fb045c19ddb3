"""Training of the promptable refiner: made tumours, faulty masks of them, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from annofree.formats.outfolder import atomic_path, write_json
from annofree.inference.channels import normalise
from annofree.inference.torch_network import TorchNetwork
from annofree.masks import dice
from annofree.networks.build import build
from annofree.refine.promptable.network import PromptNetSettings
from annofree.refine.promptable.voxels import SPACING_MM, describe_voxels, predict_near
from annofree.settings import Settings
from annofree.synthesis import LabelMapBank, SynthesisSettings
from annofree.synthesis.rough_mask import rough_mask
from annofree.synthesis.settings import Tumours
from annofree.training.loop import Trained, train
from annofree.training.samples import SampleSettings, draw_present
from annofree.training.settings import TrainSettings
from annofree.training.sources import MadeCases
from annofree.training.stream import Batch, CaseMaker, TrainingCase

#: Seeds of the cases that are learned from; validation counts from 0.
FIRST_SEED = 1_000_000


class PromptSettings(Settings):
    """The whole recipe.

    Attributes:
        network: Shape of the network.
        train: The loop; a batch is of rough masks.
        sample: How often sequences are missing.
        synthesis: What is made.
        cases: Made tumours to learn from.
        faults: Rough masks of each.
        voxels: Described voxels that are kept of each.
        drawn: Of those, how many a step sees.
        made_vox: Side of the made cube around a lesion.
        validation_cases: Further made tumours that choose the weights.
    """

    network: PromptNetSettings = PromptNetSettings()
    train: TrainSettings = TrainSettings(
        steps=1000, batch=8, learning_rate=3e-3, warmup=50, ema=0.99, validate_every=200, ahead=0
    )
    sample: SampleSettings = SampleSettings()
    synthesis: SynthesisSettings = SynthesisSettings(tumours=Tumours(healthy_share=0.1))
    cases: int = Field(100, ge=1)
    faults: int = Field(4, ge=1)
    voxels: int = Field(4096, ge=64)
    drawn: int = Field(1024, ge=16)
    made_vox: int = Field(40, ge=16)
    validation_cases: int = Field(24, ge=1)


@dataclass(frozen=True)
class Prompted:
    """A faulty mask of a made tumour, described.

    Attributes:
        truth: (X, Y, Z) the whole tumour.
        mask: (X, Y, Z) the faulty mask.
        where: (X, Y, Z) the voxels that are described.
        rows: (N, features).
    """

    truth: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    where: NDArray[np.bool_]
    rows: NDArray[np.float32]


def prompted(case: TrainingCase, rng: np.random.Generator, settings: SampleSettings) -> Prompted:
    """Draw a fault of a made cube (images (4, X, Y, Z), brain, labels) and describe what it leaves."""
    images, brain, labels = case[0].float().numpy(), case[1].numpy(), case[2].numpy()
    there = np.array([bool(image.any()) for image in images])
    drawn = draw_present(rng, settings).numpy() & there
    present = drawn if drawn.any() else there
    if not present.any():
        present = np.ones(len(present), dtype=bool)  # an empty cube: zeros are what there is to see
    levels = normalise(images, brain & (labels == 0)) if (brain & (labels == 0)).any() else images
    mask, score = rough_mask(labels, levels, brain, present, SPACING_MM, rng)
    if not mask.any():
        mask = brain & (score >= score.max())
    if not mask.any():
        mask[tuple(n // 2 for n in mask.shape)] = True
    where, rows = describe_voxels(images, brain, present, mask, score)
    return Prompted(labels > 0, mask, where, rows)


def describe_cases(make: CaseMaker, recipe: PromptSettings, folder: Path) -> list[Path]:
    """Tables of described voxels, a file a made tumour; files that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number in range(recipe.cases):
        seed = FIRST_SEED + number
        files.append(folder / f"{seed}.npz")
        if files[-1].exists():
            continue
        case, rng = make(seed), np.random.default_rng([recipe.train.seed, seed])
        rows, truths = [], []
        for _ in range(recipe.faults):
            found = prompted(case, rng, recipe.sample)
            if not len(found.rows):
                continue
            chosen = rng.integers(0, len(found.rows), recipe.voxels)
            rows.append(found.rows[chosen].astype(np.float16))
            truths.append(found.truth[found.where][chosen])
        with atomic_path(files[-1]) as part, part.open("wb") as stream:
            np.savez(stream, rows=np.array(rows), truth=np.array(truths))
    return files


class PromptSampler:
    """Voxels drawn from the tables of `describe_cases`, so many a sample."""

    def __init__(self, files: Sequence[Path], drawn: int, seed: int) -> None:
        self.drawn, self.seed = drawn, seed
        tables = [np.load(file) for file in files]
        self.rows = np.concatenate([table["rows"] for table in tables if len(table["rows"])])
        self.truth = np.concatenate([table["truth"] for table in tables if len(table["truth"])])

    def __call__(self, step: int, lane: int) -> Batch:
        """Descriptions ``x`` (voxels, features) of voxels near one rough mask, and ``target`` (voxels)."""
        rng = np.random.default_rng([self.seed, step, lane])
        which = int(rng.integers(len(self.rows)))
        chosen = rng.integers(0, self.rows.shape[1], self.drawn)
        target = self.truth[which, chosen].astype(np.float32)
        return {"x": torch.from_numpy(self.rows[which, chosen].astype(np.float32)), "target": torch.from_numpy(target)}


def prompt_objective(model: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy and soft Dice of each lesion's voxels, averaged over lesions."""
    logits, target = model(batch["x"]), batch["target"]
    entropy = functional.binary_cross_entropy_with_logits(logits, target)
    probability = torch.sigmoid(logits)
    smooth = 0.01 * target.shape[1]
    overlap = 2.0 * (probability * target).sum(1) + smooth
    dice = overlap / (probability.sum(1) + target.sum(1) + smooth)
    loss: Tensor = entropy + (1.0 - dice).mean()
    return loss


class PromptValidation:
    """Dice of fixed made cases, never trained on, after refinement; `before` is the faulty masks' own."""

    def __init__(self, make: CaseMaker, seeds: Sequence[int], sample: SampleSettings) -> None:
        self.make, self.seeds, self.sample = make, seeds, sample
        self._cases: list[Prompted] | None = None

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Numbers of a network in evaluation mode, with ``score``."""
        if self._cases is None:
            made = (prompted(self.make(seed), np.random.default_rng([seed, 1]), self.sample) for seed in self.seeds)
            self._cases = [case for case in made if case.truth.any()]
        before = [dice(case.mask, case.truth, empty=0.0) for case in self._cases]
        redrawn = (predict_near(TorchNetwork(network), case.where, case.rows) > 0.5 for case in self._cases)
        after = [dice(mask, case.truth, empty=0.0) for mask, case in zip(redrawn, self._cases, strict=True)]
        return {"score": float(np.mean(after)), "before": float(np.mean(before))}


def fit_prompt_net(
    bank: LabelMapBank,
    folder: Path,
    settings: PromptSettings | None = None,
) -> Trained:
    """Train the promptable refiner's network on made brains; the one to use is ``folder/best``."""
    settings = settings or PromptSettings()
    torch.manual_seed(settings.train.seed)
    crop = {"around": "lesion", "size": settings.made_vox}
    make = MadeCases(bank, settings.synthesis, SPACING_MM, crop)
    write_json(folder / "recipe.json", settings)
    files = describe_cases(make, settings, folder / "cases")
    return train(
        build(settings.network),
        PromptSampler(files, settings.drawn, settings.train.seed),
        prompt_objective,
        folder,
        settings=settings.train,
        validate=PromptValidation(make, range(settings.validation_cases), settings.sample),
        extra={"spacing_mm": SPACING_MM},
    )
