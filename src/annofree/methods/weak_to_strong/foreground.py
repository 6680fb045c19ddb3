"""The weak stage as published: Otsu foreground masks of pictures, and a 2-D U-Net that learns them.

What such a U-Net scores says how well it re-learns a threshold and two morphological operations, nothing about tumours.
The published 0.97 Dice was measured on the pictures that it had been trained on; here all three parts are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from annofree.errors import InputError
from annofree.formats.class_folders import (
    PARTS,
    open_class_folders,
    pair_by_name,
    read_grey,
    read_mask,
    split_by_class,
    write_mask,
)
from annofree.formats.outfolder import write_json, write_table
from annofree.formats.standing import MARK, refuse_filled
from annofree.inference.network import by_parts
from annofree.inference.torch_network import TorchNetwork
from annofree.methods.weak_to_strong.flat_unet import FlatUNetSettings, fit_flat_unet
from annofree.methods.weak_to_strong.otsu import foreground_mask
from annofree.metrics.overlap import Overlap
from annofree.settings import Settings
from annofree.training.settings import TrainSettings
from annofree.training.stream import Batch

MASKS = "foreground-masks"
IMAGES = "images"
#: Pictures that go through the network at once.
_TOGETHER = 8


class ForegroundSettings(Settings):
    """The published recipe.

    Attributes:
        side: Pictures are resized to so many pixels a side, a multiple of 16.
        epochs: Passes over the training part.
        batch: Pictures a step.
        learning_rate: Of AdamW.
        seed: Decides the split and the training.
    """

    side: int = Field(224, ge=32, multiple_of=16)
    epochs: int = Field(20, ge=1)
    batch: int = Field(4, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    seed: int = Field(0, ge=0)


@dataclass(frozen=True)
class PictureScores:
    """Mean Dice and IoU over the pictures of a part of the set: "train", "val" or "test"."""

    part: str
    pictures: int
    dice: float
    iou: float


@dataclass(frozen=True)
class Foreground:
    """What the stage made.

    Attributes:
        folder: Holds `<part>/images`, `<part>/foreground-masks`, `split.csv`, `unet/`, `scores.json`.
        scores: One a part; "test" is the one that counts.
        skipped: Sentences about pictures that were left out.
    """

    folder: Path
    scores: tuple[PictureScores, ...]
    skipped: tuple[str, ...]


def make_masks(source: str | Path, out: str | Path, settings: ForegroundSettings) -> tuple[str, ...]:
    """Split a set of class folders of JPEG or PNG files; write grey pictures and their foreground masks, both as PNG.

    The folder must be new or empty. Returns sentences about pictures that were left out.

    Raises:
        InputError: The set cannot be used.
        OutputError: The folder holds files, or cannot be written.
    """
    from PIL import Image

    root = Path(out)
    if not (root / MARK).is_file():  # else a run that was stopped goes over its own
        refuse_filled(root, "folder for the masks")
    found = open_class_folders(source)
    skipped = list(found.skipped)
    rows = []
    taken: dict[tuple[str, str], str] = {}
    for part, pictures in split_by_class(found, seed=settings.seed).items():
        for picture in pictures:
            try:
                grey = read_grey(picture.path, settings.side)
            except InputError as error:  # a file cut short: its head is fine
                skipped.append(f"{picture.name} cannot be read: {error.why}")
                continue
            if grey.min() == grey.max():
                skipped.append(f"{picture.name} has one grey level everywhere")
                continue
            key = (picture.label, picture.path.stem)
            # a.jpg and a.png of one class would become the same a.png.
            name = f"{picture.path.stem}_{picture.path.suffix[1:].lower()}.png" if key in taken else f"{key[1]}.png"
            taken[key] = picture.name
            place = root / part / IMAGES / picture.label
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(grey).save(place / name)
            write_mask(root / part / MASKS / picture.label / name, foreground_mask(grey))
            rows.append((part, picture.label, picture.path.name, name))
    write_table(root / "split.csv", rows, ("part", "class", "file", "written as"), delimiter=",")
    return tuple(skipped)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures and masks (N, H, W) of one part; also the sampler that goes through them epoch by epoch."""

    images: np.ndarray
    masks: np.ndarray
    batch: int = 1
    seed: int = 0

    @classmethod
    def read(cls, folder: Path, *, batch: int = 1, seed: int = 0) -> Pictures:
        """Read one part that :func:`make_masks` wrote; pictures and masks are paired by name.

        Raises:
            InputError: They do not pair, or their sizes differ.
        """
        pairs = pair_by_name(sorted((folder / IMAGES).rglob("*.png")), sorted((folder / MASKS).rglob("*.png")))
        if not pairs:
            raise InputError("There are no pictures", file=folder, fix="Make the masks first")
        images, masks = [], []
        for image, mask in pairs:
            images.append(read_grey(image, size=None))
            masks.append(read_mask(mask))
            if masks[-1].shape != images[-1].shape:
                raise InputError(f"A mask has the shape {masks[-1].shape}, its picture {images[-1].shape}", file=mask)
        return cls(np.stack(images), np.stack(masks), batch, seed)

    def __call__(self, step: int, lane: int) -> Batch:
        """``x`` (1, H, W) in 0..1 and ``target`` (1, H, W)."""
        epoch, place = divmod(step * self.batch + lane, len(self.images))
        index = int(np.random.default_rng([self.seed, 5, epoch]).permutation(len(self.images))[place])
        x = torch.from_numpy(self.images[index][None].astype(np.float32) / 255.0)
        return {"x": x, "target": torch.from_numpy(self.masks[index][None].astype(np.float32))}


def dice_loss(model: nn.Module, batch: Batch) -> Tensor:
    """MONAI's soft Dice loss after a sigmoid, as published."""
    from monai.losses.dice import DiceLoss

    loss: Tensor = DiceLoss(sigmoid=True)(model(batch["x"])[0].float(), batch["target"])
    return loss


def predict_masks(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """Boolean masks (N, H, W) of uint8 pictures (N, H, W), by probability above 0.5."""
    x = images[:, None].astype(np.float32) / np.float32(255.0)
    return by_parts(TorchNetwork(network), x, together=_TOGETHER)[:, 0] > 0


def score_masks(part: str, found: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> PictureScores:
    """Mean Dice and IoU over pictures; a picture whose masks are both empty counts as 1."""
    overlaps = [Overlap.of(mask, guess) for mask, guess in zip(masks, found, strict=True)]
    empty = [overlap.truth + overlap.prediction == 0 for overlap in overlaps]
    dice = fmean(1.0 if none else o.dice for o, none in zip(overlaps, empty, strict=True))
    iou = fmean(1.0 if none else o.iou for o, none in zip(overlaps, empty, strict=True))
    return PictureScores(part, len(overlaps), dice, iou)


def learn_foreground(source: str | Path, out: str | Path, settings: ForegroundSettings | None = None) -> Foreground:
    """The whole stage: split, masks, U-Net, scores on all three parts. A stopped run goes on where it was.

    Raises:
        AnnofreeError: The set cannot be used or the folder cannot be written.
    """
    settings = settings or ForegroundSettings()
    root = Path(out)
    skipped: tuple[str, ...] = ()
    if not (root / "split.csv").is_file():
        skipped = make_masks(source, root, settings)
    lessons = Pictures.read(root / "train", batch=settings.batch, seed=settings.seed)
    steps = settings.epochs * -(-len(lessons.images) // settings.batch)
    own = settings.model_dump(include={"batch", "learning_rate", "seed"})
    recipe = TrainSettings(steps=steps, warmup=0, ema=0.0, ahead=0, **own)
    network = fit_flat_unet(FlatUNetSettings(), lessons, dice_loss, root / "unet", recipe)
    scores = []
    for part in PARTS:
        if (root / part / IMAGES).is_dir():
            pictures = Pictures.read(root / part)
            scores.append(score_masks(part, list(predict_masks(network, pictures.images)), list(pictures.masks)))
    write_json(root / "scores.json", {score.part: {**score.__dict__} for score in scores})
    return Foreground(root, tuple(scores), skipped)
