"""The nouns of the output side: `ScoreMap`, `Lesion`, `Segmentation`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.hooks import HOOKS
from annofree.labels import LABEL_NAMES as LABEL_NAMES
from annofree.labels import REGIONS as REGIONS
from annofree.masks import Box, bounding_box
from annofree.scan import Grid

if TYPE_CHECKING:
    from annofree.scan import Scan

Unit = Literal["probability", "z", "residual"]

_INT16 = 32767


class Rule(Protocol):
    """What a segmentation tells of the threshold behind a score map; `annofree.thresholds` has them."""

    @property
    def value(self) -> float | None:
        """The number that cut, where one is known."""

    @property
    def tier(self) -> str:
        """Supervision that the number took."""

    def to_dict(self) -> dict[str, Any]:
        """As data."""

    def describe(self) -> str:
        """In words."""


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """Abnormality per voxel: higher is more abnormal.

    Attributes:
        values: Float32 (X, Y, Z).
        name: What it scores: a region ("WT", "TC", "ET") or a detail such as "residual-FLAIR".
        unit: "probability", "z" (robust standard deviations) or "residual" (normalised grey levels).
        grid: Where the voxels lie: the scan's own grid, or a coarser one in closest-canonical RAS+ order
            (`annofree.formats.grids.on_grid` brings it to another).
        step: All values are whole multiples of this, -32767 to 32767 of them; None before `rounded`.
    """

    values: NDArray[np.float32]
    name: str
    unit: Unit
    grid: Grid
    step: float | None = None

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float32)
        if values.shape != tuple(self.grid.shape):
            raise InputError(f"Score map '{self.name}' is {values.shape} on a grid of {tuple(self.grid.shape)} voxels")
        object.__setattr__(self, "values", values)

    def counts(self) -> NDArray[np.int16]:
        """The values of a rounded map in steps, as they are kept on disk."""
        assert self.step is not None
        counts = np.zeros(self.values.shape, dtype=np.int16)
        box = bounding_box(self.values)
        if box is not None:
            counts[box] = np.rint(self.values[box] / np.float32(self.step))
        return counts

    def rounded(self) -> ScoreMap:
        """The map as it is kept on disk, in 16 bits: whoever decides on it decides the same after reading it back.

        Raises:
            InputError: A value is not finite.
        """
        if self.step is not None:
            return self
        largest = float(np.abs(self.values).max())
        if not np.isfinite(largest):
            raise InputError(f"Score map '{self.name}' is not finite", why="it holds NaN or infinity")
        # The step is a float32, as file headers have it, so that reading is exact.
        step = np.float32((max(1.0, largest) if self.unit == "probability" else largest or 1.0) / _INT16)
        counts = np.clip(np.rint(self.values / step), -_INT16, _INT16)
        return replace(self, values=counts.astype(np.float32) * step, step=float(step))

    def widened(self, grid: Grid, box: Box) -> ScoreMap:
        """The map of a box of a grid as one of the whole grid, 0 outside the box."""
        values = np.zeros(grid.shape, dtype=np.float32)
        values[box] = self.values
        return replace(self, values=values, grid=grid)


@dataclass(frozen=True)
class Lesion:
    """One connected finding.

    Attributes:
        index: 1 for the largest, and so on.
        volume_ml: Volume of the whole lesion.
        centre_mm: Centre of mass in scanner mm (RAS+).
        side: "left", "right" or "midline"; None where it could not be told.
        lobe: Main lobe or structure; None where the scan could not be aligned with the atlas.
        confidence: Mean score inside the lesion as a probability, None for scores without one.
        label_ml: Volume per label name ("core", "oedema", "enhancing"), where told apart.
    """

    index: int
    volume_ml: float
    centre_mm: tuple[float, float, float]
    side: str | None = None
    lobe: str | None = None
    confidence: float | None = None
    label_ml: Mapping[str, float] = field(default_factory=dict)


def told_of(scan: Scan) -> dict[str, Any]:
    """What a record says of a segmented scan: its sequences, where each is from, notes of reading, its preparation."""
    prepared = {} if scan.preparation is None else {"preparation": scan.preparation.to_dict()}
    files = {name: str(Path(file).resolve() if Path(file).exists() else file) for name, file in scan.files.items()}
    return {"sequences": [str(name) for name in scan.sequences], "files": files, "notes": list(scan.notes), **prepared}


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The answer for one scan, on the scan's canonical grid.

    Attributes:
        scan_id: The scan's id.
        labels: Uint8 (X, Y, Z): 0 background, 1 core, 2 oedema, 3 enhancing. Methods that do not tell regions
            apart use 2 for the whole tumour and say `regions=("WT",)`.
        affine: (4, 4) of the canonical grid.
        native: The grid of the reference file, to which the result is written.
        regions: The regions that the method tells apart.
        scores: Score maps by name.
        thresholds: The threshold used for each score map, by the map's name.
        brain: Boolean (X, Y, Z) mask of the voxels that the method looked at.
        lesions: Findings, largest first.
        provenance: Method, tier, model, versions, settings, notes.
        scan: The scan that was segmented, where it is still at hand: the page shows its images.
    """

    scan_id: str
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]
    native: Grid
    regions: tuple[str, ...] = ("WT",)
    scores: Mapping[str, ScoreMap] = field(default_factory=dict)
    thresholds: Mapping[str, Rule] = field(default_factory=dict)
    brain: NDArray[np.bool_] | None = None
    lesions: tuple[Lesion, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    scan: Scan | None = None

    @property
    def grid(self) -> Grid:
        """The canonical grid of the labels."""
        return Grid(self.labels.shape, self.affine)

    def mask(self, region: str = "WT") -> NDArray[np.bool_]:
        """The boolean mask of a region.

        Raises:
            InputError: The method does not tell that region apart.
        """
        if region not in self.regions:
            raise InputError(
                f"The segmentation of '{self.scan_id}' does not tell {region} apart", why=f"it has {self.regions}"
            )
        return np.isin(self.labels, REGIONS[region])

    @cached_property
    def volumes_ml(self) -> dict[str, float]:
        """Volume of each region in millilitres; worked out once."""
        voxel_ml = self.grid.voxel_ml
        counts = {label: np.count_nonzero(self.labels == label) for label in LABEL_NAMES if label}
        return {region: float(sum(counts[label] for label in REGIONS[region]) * voxel_ml) for region in self.regions}

    @property
    def expected_dice(self) -> float | None:
        """Expected Dice of the whole tumour; None where nothing was found or the model was not calibrated."""
        value: float | None = self.provenance.get("expectation", {}).get("dice")
        return value

    @property
    def volume_interval(self) -> tuple[float, float] | None:
        """Interval of the whole tumour's volume, ml, that holds 9 of 10 made tumours; None where none is known."""
        told = self.provenance.get("expectation", {})
        return None if told.get("high_ml") is None else (told["low_ml"], told["high_ml"])

    def replace(self, **changes: Any) -> Segmentation:
        """A copy with some attributes changed."""
        return replace(self, **changes)

    def __repr__(self) -> str:
        volumes = ", ".join(f"{region} {volume:.1f} ml" for region, volume in self.volumes_ml.items())
        found = f"{len(self.lesions)} finding{'' if len(self.lesions) == 1 else 's'}"
        made = f"; {self.provenance['method']}" if self.provenance.get("method") else ""
        return f"<Segmentation of '{self.scan_id}': {volumes}; {found}{made}>"

    def _repr_html_(self) -> str:
        return HOOKS.html(self)

    def save(self, out: str | Path, *, page: bool = True) -> Path:
        """Write masks, score maps and the lesion table below `out`, in the scan's own space; see `docs/formats.md`.

        Args:
            out: Output folder.
            page: Whether to write the page to look at too, `sub-<id>/sub-<id>.html`. Without a scan at hand it needs
                the scan's files where they were; where they are not, there is no page.

        Returns:
            The file of the whole tumour's mask.
        """
        return HOOKS.save(self, out, page)
