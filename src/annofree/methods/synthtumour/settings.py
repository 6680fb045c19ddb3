"""Settings of SynthTumour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from annofree.settings import Seed, Settings


class SynthTumourSettings(Settings):
    """Settings of the method.

    Attributes:
        quality: "fast" one pass, and the rules on the networks' grid; "default" adds the left-right flipped scan;
            "best" adds two more contrasts of both.
        labelmaps: Folder of anatomical label maps that `fit` makes brains from; None takes the MNI tissue maps.
        steps: Training steps of the junior.
        seed: Decides a fit.
        preset: "ours", or "published": the published stages, which tell the whole tumour in FLAIR and nothing else.
        junior: Where the first network comes from: "fit" trains it (hours), "shipped" takes the one that comes with the
            package, anything else is a model folder. None is "shipped" when patients are given, "fit" otherwise and
            for the published preset, of which none is shipped.
        cases: Data set of made cases that `annofree synth --preset published` wrote: the published junior learns from
            its training cases instead of making its own, and its held-out cases choose the weights.
        senior_steps: Training steps of the senior; None is 400, or `steps` for the published preset.
        mixed: Mixed cases at most.
        keep_junior: Whether the model is the junior where the senior is not taken; otherwise the fit ends without one.
        plan: File that `annofree plan` wrote: voxel size, patch, batch and network of a junior that is then trained.
    """

    places: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "labelmaps": (),
        "junior": ("fit", "shipped"),
        "cases": (),
        "plan": (),
    }

    quality: Literal["fast", "default", "best"] = "default"
    labelmaps: str | None = None
    steps: int = Field(2000, ge=1)
    seed: Seed = 0
    preset: Literal["ours", "published"] = "ours"
    junior: str | None = None
    cases: str | None = None
    senior_steps: int | None = Field(None, ge=1)
    mixed: int = Field(24, ge=1)
    keep_junior: bool = True
    plan: str | None = None

    @property
    def published(self) -> bool:
        """Whether the published stages were asked for."""
        return self.preset == "published"

    @property
    def second_steps(self) -> int:
        """Training steps of the senior."""
        return self.senior_steps or (self.steps if self.published else 400)
