"""Masks that a person corrected in another program: checked, kept beside the original, with what changed.

The original is never touched. A corrected mask was drawn by a person: whatever learns from it has tier S.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, OutputError, some
from annofree.formats.accepted import FILE
from annofree.formats.bids_names import mask_path, scan_folders, sidecar_path
from annofree.formats.drawn import WHOLE
from annofree.formats.names import is_volume, stem_of
from annofree.formats.nifti import read_labels, write_volume
from annofree.formats.outfolder import is_ours, read_table, write_json, write_table
from annofree.formats.stored import read_sidecar
from annofree.formats.truth import nearest_whole, read_drawn
from annofree.labels import NESTED
from annofree.scan import canonical_grid, to_canonical, to_native
from annofree.segmentation import LABEL_NAMES, REGIONS

#: Headers that other programs write differ from ours by less than this.
_SAME_MM = 0.1
COLUMNS = ("id", "file", "region", "before_ml", "after_ml", "dice")


def accept(corrected: str | Path, out: str | Path, *, overwrite: bool = False) -> list[dict[str, Any]]:
    """Take corrected masks back.

    Args:
        corrected: A mask, or a folder of masks, each under the name of the file in `out` that it corrects.
        out: The output folder of the run; `accepted.tsv` there gets a row for each region of each mask.
        overwrite: Whether a correction accepted earlier may be replaced.

    Returns:
        The rows: volumes before and after in ml, and their Dice; None where a region is not told (enhancing tumour
        without T1C, unless a person drew it). Nothing is written unless all masks are in order.
        A mask is accepted once `accepted.tsv` names it, which happens when all are written: where it is stopped before
        that, the same call takes all of them. Another mask that stands where one would be written is not replaced.

    Raises:
        InputError: A mask belongs to no result or is one itself, lies on another grid, or holds other labels; or two
            correct one result.
        OutputError: `out` is no output folder, or holds a correction of that mask already.
    """
    root = Path(out)
    if not is_ours(root):
        raise OutputError("This is no output folder of annofree", file=root, fix="Name the folder that segment wrote")
    masks = [p for kind in ("mask", "dseg") for f in scan_folders(root) for p in f.glob(f"anat/sub-*_{kind}.nii.gz")]
    originals = {stem_of(p.name): p for p in masks if "label-brain" not in p.name and "Corrected_" not in p.name}
    before_this = read_table(root / FILE)
    accepted = {root / row["file"] for row in before_this}
    checked = [_check(path, original) for original, path in _paired(Path(corrected), originals).items()]
    records = [read_sidecar(sidecar_path(original)) for original, *_ in checked]
    apart = [_told_apart(root, original, told) for (original, *_), told in zip(checked, records, strict=True)]
    if not overwrite:
        for original, after, *_ in checked:
            _refuse_standing(_target(original), after, accepted)
    targets = {_target(original).relative_to(root).as_posix() for original, *_ in checked}
    earlier = [row for row in before_this if row["file"] not in targets]
    if len(earlier) < len(before_this):  # the masks that it tells of are about to go
        write_table(root / FILE, earlier, COLUMNS)
    rows: list[dict[str, Any]] = []
    for (original, after, before, grid), told, regions in zip(checked, records, apart, strict=True):
        changes = _changes(before, after, canonical_grid(grid).voxel_ml, regions)
        target = _target(original)
        write_volume(target, to_native(after, grid), grid, description="corrected by a person")
        about: dict[str, Any] = {key: told[key] for key in ("SpatialReference", "LabelMap", "Type") if key in told}
        about |= {"Description": "Corrected by a person", "Corrects": original.name, "Tier": "S", "Changes": changes}
        write_json(sidecar_path(target), about)
        rows += [{"id": told.get("ScanId"), "file": target.relative_to(root).as_posix(), **row} for row in changes]
    write_table(root / FILE, [*earlier, *rows], COLUMNS)
    return rows


def _files(source: Path) -> Iterable[Path]:
    if not source.exists():
        raise InputError("There is no such file or folder", file=source, fix="Check the path")
    found = (
        [source]
        if source.is_file()
        else sorted(path for path in source.rglob("*") if is_volume(path) or path.suffix == ".dcm")
    )
    if not found:
        raise InputError("A folder holds no mask", file=source, fix="Save the corrected masks there as .nii.gz")
    return found


def _paired(source: Path, originals: dict[str, Path]) -> dict[Path, Path]:
    """The corrected mask of each original."""
    found: dict[Path, Path] = {}
    for path in _files(source):
        original = originals.get(stem_of(path.name).removesuffix(".seg").removesuffix(".dcm"))
        if original is None:
            raise InputError(
                "A corrected mask belongs to no result",
                file=path,
                why=f"results are called {some(sorted(originals), 2)}",
                fix="Save it under the name of the file that it corrects",
            )
        if path.samefile(original):
            fix = "Save corrections in a folder of their own; if the result was drawn on, segment the scan again"
            raise InputError("A corrected mask is the result itself", file=path, fix=fix)
        if original in found:
            why, fix = f"{found[original]} is called the same", "Keep the one that counts"
            raise InputError("Two corrected masks belong to one result", file=path, why=why, fix=fix)
        found[original] = path
    return found


def _refuse_standing(target: Path, after: NDArray[Any], accepted: set[Path]) -> None:
    """Refuse to replace a correction, unless it is this very one that a stopped call wrote and no table names yet."""
    if target in accepted:
        raise OutputError("A correction was accepted already", file=target, fix="Give --overwrite to replace it")
    if not target.exists():
        return
    stands, grid = read_labels(target)
    if not np.array_equal(to_canonical(stands, grid), after):
        raise OutputError(
            "Another correction stands here",
            file=target,
            why=f"{FILE} does not name it: the table was removed, or a call was stopped and the mask changed since",
            fix="Keep a copy if it matters, and give --overwrite to replace it",
        )


def _check(path: Path, original: Path) -> tuple[Path, NDArray[Any], NDArray[Any], Any]:
    """The original, the corrected and the original labels in canonical order, and the original's grid."""
    before, grid = read_labels(original)
    stored, own, *_ = read_drawn(path, canonical_grid(grid)) or read_labels(path)
    if stored.ndim != 3 or not canonical_grid(own).same_as(canonical_grid(grid), _SAME_MM):
        raise InputError(
            "A corrected mask lies on another grid than its original",
            file=path,
            why=f"its shape is {stored.shape}, the original's {before.shape}"
            if stored.shape != before.shape
            else "the same number of voxels lies elsewhere, or has other edges or axes",
            fix="Draw on the mask of annofree and save it without resampling",
        )
    allowed = set(LABEL_NAMES) if "_dseg" in original.name else {0, 1}
    if len(allowed) == 2:
        stored = np.where(stored == WHOLE, 1, stored)
    stored = nearest_whole(stored)
    strange = sorted({float(value) for value in np.unique(stored)} - allowed)
    if strange:
        raise InputError(
            "A corrected mask holds labels that its original does not have",
            file=path,
            why=f"it holds {', '.join(f'{value:g}' for value in strange[:4])}; known are {sorted(allowed)}",
            fix="Use 1 core, 2 oedema, 3 enhancing (in 3-D Slicer as the segments' names)"
            if len(allowed) > 2
            else "Use 1 for the tumour",
        )
    after = np.ascontiguousarray(to_canonical(stored, own)).astype(np.uint8)
    return original, after, np.ascontiguousarray(to_canonical(before, grid)), grid


def _told_apart(root: Path, original: Path, about: Mapping[str, Any]) -> Collection[str]:
    """The regions that the answer tells apart, by the record beside its whole-tumour mask."""
    if "_dseg" not in original.name:
        return ("WT",)
    regions: list[str] = read_sidecar(sidecar_path(mask_path(root, about["ScanId"], about["Method"])))["Regions"]
    return regions


def _changes(before: NDArray[Any], after: NDArray[Any], voxel_ml: float, told: Collection[str]) -> list[dict[str, Any]]:
    rows = []
    for region in REGIONS if len(told) > 1 else told:
        a, b = np.isin(before, REGIONS[region]), np.isin(after, REGIONS[region])
        total = int(a.sum() + b.sum())
        before_ml, after_ml = (round(float(mask.sum() * voxel_ml), 4) for mask in (a, b))
        row: dict[str, Any] = {"region": region, "before_ml": before_ml, "after_ml": after_ml}
        # both empty: nothing to compare
        row["dice"] = round(2 * int((a & b).sum()) / total, 4) if total else None
        if region not in told:  # an empty one says nothing
            drawn = bool((after == dict(NESTED)[region]).any())
            row |= {"before_ml": None, "dice": None} | ({} if drawn else {"after_ml": None})
        rows.append(row)
    return rows


def _target(original: Path) -> Path:
    name, suffix = stem_of(original.name).rsplit("_", 1)
    return original.with_name(f"{name}Corrected_{suffix}.nii.gz")
