"""Settings of BLOGRR; what is None is the preset's own."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from annofree.errors import SettingsError
from annofree.methods.reconstruction import DAESettings
from annofree.settings import Settings

if TYPE_CHECKING:
    from annofree.methods.blogrr.levels import BilevelSettings
    from annofree.methods.reconstruction.error_map import ErrorSettings


class BlogrrSettings(DAESettings):
    """Settings of BLOGRR; of those that are None, each preset has its own value.

    Attributes:
        threshold: "levels" or "network", see the module; None takes what the preset has ("network" if published).
        reports: What of a report is used: "side", "lobe", "lobe+size", or the named regions as a "published" mask; None
            takes what the preset has, "lobe+size" or "published".
        atlas: NIfTI atlas in MNI space, instead of the default one, in which the reports' places are looked up.
        regions: Its table: index, name, side, lobe.
        region_table: Published region table (.xlsx, .csv) whose words are looked up in the reports instead of ours.
        pretrain: Whether the reconstructor is trained on its own before the turns; published it is not.
        rounds: Turns of the bi-level training (threshold "network"): 20, published 101.
        bilevel_steps: Steps of each network a turn: 10; published a turn is an epoch, as many as the slices give.
        bilevel_batch: Slices a step: 8, published 64.
        lower_rate: Adam's rate of the reconstructor: 1e-4, also published.
        upper_rate: Adam's rate of the threshold network: 1e-3, published 1e-5.
        loss: Of the reconstructor: "mse+tolerance", or the paper's "tolerance" alone.
        dice: Of the threshold network: "pooled" over the batch as published, or "per-sample".
        hypergradient: "first-order" as published, "unrolled" or "implicit".
        keep: Networks of the "last" round, or of the one with the "lowest" loss of the threshold network (from the
            fourth to the last but one): last, published lowest.
        monitor: Plots the Dice during bi-level training on the labelled scans of a folder, or on "phantoms"; it chooses
            nothing. None does not look.
    """

    places: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "atlas": (),
        "regions": (),
        "region_table": (),
        "monitor": ("phantoms",),
    }

    threshold: Literal["levels", "network"] | None = None
    reports: Literal["side", "lobe", "lobe+size", "published"] | None = None
    atlas: str | None = None
    regions: str | None = None
    region_table: str | None = None
    pretrain: bool | None = None
    rounds: int | None = Field(None, ge=1)
    bilevel_steps: int | None = Field(None, ge=1)
    bilevel_batch: int | None = Field(None, ge=1)
    lower_rate: float | None = Field(None, gt=0)
    upper_rate: float | None = Field(None, gt=0)
    loss: Literal["mse+tolerance", "tolerance"] = "mse+tolerance"
    dice: Literal["pooled", "per-sample"] = "pooled"
    hypergradient: Literal["first-order", "unrolled", "implicit"] = "first-order"
    keep: Literal["last", "lowest"] | None = None
    monitor: str | None = None

    def model_post_init(self, context: object) -> None:
        """An atlas is an image with a table."""
        if (self.atlas is None) != (self.regions is None):
            raise SettingsError("An atlas is an image with a table", fix="Give both --set atlas and --set regions")

    @property
    def by_network(self) -> bool:
        """Whether a network gives the threshold."""
        return (self.threshold or ("network" if self.preset == "published" else "levels")) == "network"

    @property
    def pretrains(self) -> bool:
        """Whether the reconstructor is trained on its own first."""
        return not self.by_network or (self.preset != "published" if self.pretrain is None else self.pretrain)

    @property
    def use(self) -> Literal["side", "lobe", "lobe+size", "published"]:
        """What of a report is used."""
        return self.reports or ("published" if self.preset == "published" else "lobe+size")

    def bilevel(self, error: ErrorSettings, healthy_slices: int, patient_slices: int) -> BilevelSettings:
        """How the two networks are trained in turns, on so many slices of healthy people and of patients."""
        from annofree.methods.blogrr.levels import BilevelSettings

        published = self.preset == "published"
        form = BilevelSettings.published() if published else BilevelSettings(batch=8, outside=0.5)
        own: dict[str, Any] = {"rounds": self.rounds, "batch": self.bilevel_batch}
        own |= {"lower_rate": self.lower_rate, "upper_rate": self.upper_rate, "keep": self.keep}
        changes = {name: value for name, value in own.items() if value is not None}
        batch = changes.get("batch", form.batch)
        lower, upper = (ceil(healthy_slices / batch), ceil(patient_slices / batch)) if published else (10, 10)
        changes |= {"lower_steps": self.bilevel_steps or lower, "upper_steps": self.bilevel_steps or upper}
        changes |= {"loss": self.loss, "dice": self.dice, "hypergradient": self.hypergradient}
        return form.model_copy(update={**changes, "error": error})

    def threshold_network(self) -> Settings:
        """The network that looks at slices: a small one that sees the error map too, or ResNet-18 on the slice."""
        from annofree.methods.blogrr.threshold_net import ThresholdNetSettings

        return ThresholdNetSettings.published() if self.preset == "published" else ThresholdNetSettings()
