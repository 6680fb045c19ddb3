"""Settings of both forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from annofree.settings import Seed, Settings

Fusion = Literal["early", "late", "early-late"]


class _FitSettings(Settings):
    """What a fit of either form needs.

    Attributes:
        labelmaps: Folder (or bank file) of anatomical label maps to make brains from; None takes the MNI tissue maps.
        made: Made brains that `fit` learns from.
        steps: Training steps of `fit`.
        seed: Decides a fit.
    """

    places: ClassVar[Mapping[str, tuple[str, ...]]] = {"labelmaps": ()}

    labelmaps: str | None = None
    made: int = Field(24, ge=1)
    steps: int = Field(1600, ge=1)
    seed: Seed = 0


class MViTAESettings(_FitSettings):
    """Settings of the method.

    Attributes:
        fusion: "early": all sequences reconstructed together, one decision on their mean; "late": each reconstructed
            from itself and decided on its own; "early-late": reconstructed together, decided one by one.
        reconstruction: "network"; or "constant", a control that expects the brain's median everywhere, so that the
            plain grey levels go through the same decisions.
        rounds: How often the network looks; in every round after the first the patches explained worst are hidden.
        hide_share: Share of the brain's patches that such a round hides.
        sigma_mm: Smoothing of residuals.
        quantile: Share of healthy voxels below the level from which a residual is abnormal.
        inside_quantile: The same for enhancement within what is called tumour: healthy T1C is bright in vessels, dura
            and choroid plexus, which are rare there.
        spacing_mm: Voxel of the slices that `fit` learns.
    """

    fusion: Fusion = "early-late"
    reconstruction: Literal["network", "constant"] = "network"
    rounds: int = Field(2, ge=1)
    hide_share: float = Field(0.2, gt=0, lt=1)
    sigma_mm: float = Field(1.5, ge=0)
    quantile: float = Field(0.99, gt=0, lt=1)
    inside_quantile: float = Field(0.95, gt=0, lt=1)
    spacing_mm: float = Field(2.5, gt=0)


class MViTAEPublishedSettings(_FitSettings):
    """Settings of the preset.

    Attributes:
        reconstruction: "network"; or "constant", the control that the authors' log reports: the brain's median stands
            in everywhere (their constant is not stated).
        network: What `fit` trains: "published" (40.7 million parameters, slices of 1 mm) or "narrow" (the same layout
            at 3 mm, which two CPU cores can train).
    """

    reconstruction: Literal["network", "constant"] = "network"
    network: Literal["published", "narrow"] = "published"
    steps: int = Field(10_000, ge=1)
