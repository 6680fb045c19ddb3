"""Settings of the method, readable without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from annofree.errors import SettingsError
from annofree.settings import Settings

#: Words for labels that need no folder.
MADE, OTSU = "made", "otsu"


class WeakToStrongSettings(Settings):
    """Settings of the method.

    Attributes:
        quality: "fast" looks once, at windows that overlap by a quarter; "default" also at the flipped scan, and
            windows overlap by half; "best" lets them overlap by three quarters.
        supervision: "pseudo" learns from labels that no person drew; "truth" from experts' masks, which is tier S.
        labels: For "pseudo": "made" (made brains with made tumours), "otsu" (the weak stage's tumour masks of
            `patients`), or a folder that `annofree segment` or `annofree weak tumour` wrote for `patients`. For
            "truth": the folder of label maps.
        size: "small" (32 voxels of 4 mm), "compact" (96 of 2 mm) or "published" (128 of 1 mm, one fixed crop).
        steps: Training steps of `fit`.
        batch: Windows a step; None takes the size's own. So for the next two.
        learning_rate: Peak rate of AdamW.
        bce_weight: w of the loss w BCE + (1 - w) Dice.
        pretrain_steps: Steps of masked pre-training on the scans given, before anything else; 0 leaves it out.
        labelmaps: Folder of anatomical label maps for made brains; None takes the MNI tissue maps.
        made_cases: Made cases kept in memory at a time.
        seed: Decides the split and the fit.
    """

    places: ClassVar[Mapping[str, tuple[str, ...]]] = {"labels": (MADE, OTSU), "labelmaps": ()}

    quality: Literal["fast", "default", "best"] = "default"
    supervision: Literal["pseudo", "truth"] = "pseudo"
    labels: str = MADE
    size: Literal["small", "compact", "published"] = "small"
    steps: int = Field(1200, ge=1)
    batch: int | None = Field(None, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    bce_weight: float | None = Field(None, ge=0, le=1)
    pretrain_steps: int = Field(0, ge=0)
    labelmaps: str | None = None
    made_cases: int = Field(100, ge=1)
    seed: int = Field(0, ge=0)

    def model_post_init(self, context: object) -> None:
        """Refuse supervision by truth without a folder of truth."""
        if self.supervision == "truth" and self.labels in (MADE, OTSU):
            raise SettingsError(
                "Supervision by truth needs the folder of label maps", fix="Name it with --set labels=FOLDER"
            )
