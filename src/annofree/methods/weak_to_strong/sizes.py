"""The three sizes of the strong stage: grid, network and how it is trained."""

from __future__ import annotations

from typing import Literal

from annofree.methods.weak_to_strong.settings import WeakToStrongSettings
from annofree.methods.weak_to_strong.unetr import UNETRSettings
from annofree.settings import Settings


class Size(Settings):
    """Grid, network and recipe that belong together.

    Attributes:
        network: The UNETR; its window is what it sees at once.
        spacing_mm: Edge of its voxels.
        crop: "random" windows inside the brain, which leave nothing unseen; "centre" one fixed window about the middle
            of the brain, as published, which may cut a tumour (how much is reported).
        vary: Flips, contrast and missing sequences while training.
        batch: Windows a step. Never 1 on a processor by choice: there torch computes small 3-D convolutions of a
            single sample by a routine that was measured to take four times as long a sample.
        learning_rate: Peak rate of AdamW.
        weight_decay: Of AdamW.
        bce_weight: w of the loss w BCE + (1 - w) Dice.
        ema: Decay of the averaged weights; 0 takes the last ones.
        clip: Largest norm of the gradient.
    """

    network: UNETRSettings
    spacing_mm: float
    crop: Literal["random", "centre"] = "random"
    vary: bool = True
    batch: int = 2
    learning_rate: float = 3e-4
    weight_decay: float = 1e-5
    bce_weight: float = 0.5
    ema: float = 0.99
    clip: float = 1.0


SIZES: dict[str, Size] = {
    "small": Size(network=UNETRSettings(), spacing_mm=4.0, learning_rate=3e-3),
    "compact": Size(network=UNETRSettings.published((96, 96, 96)), spacing_mm=2.0),
    "published": Size(
        network=UNETRSettings.published(), spacing_mm=1.0, crop="centre", vary=False, batch=1, ema=0.0, clip=1e9
    ),
}


def size_of(settings: WeakToStrongSettings) -> Size:
    """The size that the settings name, with the numbers that they change."""
    own = {name: getattr(settings, name) for name in ("batch", "learning_rate", "bce_weight")}
    return SIZES[settings.size].model_copy(update={name: value for name, value in own.items() if value is not None})
