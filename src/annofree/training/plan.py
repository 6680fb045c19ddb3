"""A plan of a training as a file that a person can read and change: spacing, patch, depth, batch, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import yaml
from pydantic import Field

from annofree.errors import InputError, SettingsError
from annofree.formats.outfolder import atomic_write
from annofree.networks.dyn_unet import DynUNetSettings
from annofree.settings import Settings

Three = tuple[int, int, int]


class TrainingPlan(Settings):
    """How to train on some data with some memory.

    Attributes:
        spacing_mm: Voxel edge lengths of the network's grid.
        shape: Median brain on that grid, voxels.
        patch: What a step sees, voxels.
        batch: Patches a step.
        network: A DynUNet whose depth and strides fit the patch.
        step_gb: Estimated memory of a training step.
        memory_gb: What was allowed.
        reasons: A sentence for each decision, by the decision's name; comments in the file.
    """

    spacing_mm: tuple[float, float, float]
    shape: Three
    patch: Three
    batch: int = Field(ge=1)
    network: DynUNetSettings
    step_gb: float
    memory_gb: float
    reasons: dict[str, str] = Field(default_factory=dict, exclude=True)

    @property
    def cube_mm(self) -> float:
        """The voxel's edge. Raises `SettingsError`: the edges differ."""
        if len(set(self.spacing_mm)) > 1:
            raise SettingsError(
                f"The plan's voxels of {by(self.spacing_mm)} mm are no cubes",
                fix="Plan with one --spacing for all axes",
            )
        return self.spacing_mm[0]

    def to_yaml(self) -> str:
        """The plan with its reasons as comments."""
        lines = []
        for key, value in self.model_dump(mode="json").items():
            lines += [f"# {self.reasons[key]}"] if key in self.reasons else []
            if isinstance(value, dict):
                lines += [f"{key}:", *(f"  {name}: {json.dumps(item)}" for name, item in value.items())]
            else:
                lines.append(f"{key}: {json.dumps(value)}")
        return "\n".join(lines) + "\n"

    def write(self, file: str | Path) -> Path:
        """Write the YAML file; `read_plan` reads it."""
        atomic_write(Path(file), self.to_yaml())
        return Path(file)


def read_plan(file: str | Path) -> TrainingPlan:
    """A plan from its file, changed by hand or not.

    Raises:
        InputError: It cannot be read.
        SettingsError: A key is unknown, or the patch does not fit the network.
    """
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError("The plan cannot be read", file=file, why=str(error).splitlines()[0]) from None
    if not isinstance(content, dict):
        raise InputError("This is no plan", file=file, fix="Write one with 'annofree plan DATA -o plan.yaml'")
    found = TrainingPlan(**content)
    divisor = found.network.divisor
    if any(p % d for p, d in zip(found.patch, divisor, strict=True)):
        fitting = tuple(-(-p // d) * d for p, d in zip(found.patch, divisor, strict=True))
        raise SettingsError(
            f"A patch of {by(found.patch)} voxels does not fit the network's strides", fix=f"Use {by(fitting)}"
        )
    return found


def by(values: Iterable[float]) -> str:
    """Sides as text: "32 x 48 x 32"."""
    return " x ".join(f"{value:g}" for value in values)
