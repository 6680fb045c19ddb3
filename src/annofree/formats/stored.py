"""Segmentations that lie in a folder: which there are, and each as it was, scores included."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, no_folder
from annofree.formats.bids_names import bids_folder, image_path, mask_path, scan_folders, sidecar_path
from annofree.formats.lesion_table import read_lesions
from annofree.formats.nifti import read_labels
from annofree.formats.outfolder import is_ours
from annofree.scan import Grid, canonical_grid, to_canonical
from annofree.segmentation import REGIONS, ScoreMap, Segmentation

T = TypeVar("T")


@dataclass(frozen=True)
class StoredThreshold:
    """A threshold as an earlier run recorded it: its description, without the rule behind it."""

    record: Mapping[str, Any]

    @property
    def value(self) -> float | None:
        """The number, where the rule had one."""
        value = self.record.get("value")
        return None if value is None else float(value)

    def to_dict(self) -> dict[str, Any]:
        """The record."""
        return dict(self.record)


def written_ids(out: str | Path, method: str | None = None) -> tuple[str, ...]:
    """Ids of the scans that have a finished segmentation below an output folder, sorted.

    Raises:
        InputError: There is no such folder, or not one of its segmentations is by `method`.
    """
    records = [read_sidecar(path) for path in _sidecars(Path(out))]
    methods = sorted({str(record.get("Method")) for record in records})
    if methods and method not in (None, *methods):
        raise InputError(f"No segmentation is by '{method}'", file=out, fix=f"Name {' or '.join(methods)}")
    return tuple(sorted({str(record.get("ScanId")) for record in records}))


def no_results(folder: Path) -> InputError:
    """What to raise where a folder of segmentations is needed, and this holds none or is none."""
    if not folder.is_dir():
        return no_folder(folder, "Give a folder that annofree segment wrote")
    whole = next((place for place in folder.absolute().parents if is_ours(place)), None)
    fix = "Run annofree segment first, or give the folder that it wrote" if whole is None else f"Give {whole}"
    why = None if whole is None else "it lies within a folder that annofree wrote"
    return InputError("There is no segmentation in the folder", file=folder, why=why, fix=fix)


def _sidecars(out: Path, scan_id: str | None = None) -> list[Path]:
    if not out.is_dir():
        raise no_results(out)
    folders = scan_folders(out) if scan_id is None else [bids_folder(out, scan_id)]
    found = (path for folder in folders for path in folder.glob("anat/sub-*_space-orig_label-lesion_desc-*_mask.json"))
    # a mask that a person corrected lies beside ours and is no answer of a run
    return sorted(path for path in found if "Corrects" not in read_sidecar(path))


def read_segmentation(
    out: str | Path,
    scan_id: str,
    method: str | None = None,
    *,
    scores: Collection[str] | None = None,
    left_out: list[str] | None = None,
) -> Segmentation:
    """Read a segmentation back, scores included.

    Args:
        out: A folder that `write_segmentation` wrote to.
        scan_id: The scan's original id.
        method: Which method's answer, where there are several.
        scores: Names of the score maps to read; None for all.
        left_out: If given, a score map, brain mask or lesion table that cannot be read is left out and its sentence
            put here; labels always have to be there.

    Raises:
        InputError: It is not there, is ambiguous, or is damaged.
    """
    root = Path(out)
    # Only this scan's folder is read: a cohort is read scan by scan, and would be read all over for each.
    records = {path: read_sidecar(path) for path in _sidecars(root, scan_id)}
    fitting = [p for p, r in records.items() if r.get("ScanId") == scan_id and method in (None, r.get("Method"))]
    if len(fitting) != 1:
        records = {path: read_sidecar(path) for path in _sidecars(root)}
        known = sorted({str(record.get("ScanId")) for record in records.values()})
        methods = sorted({str(records[path].get("Method")) for path in fitting})
        others = sorted({str(record.get("Method")) for record in records.values() if record.get("ScanId") == scan_id})
        if not fitting and others:
            raise InputError(
                f"There is no segmentation of '{scan_id}' by '{method}'", file=root, fix=f"Name {' or '.join(others)}"
            )
        raise InputError(
            f"There is {'more than one' if fitting else 'no'} segmentation of '{scan_id}'",
            file=root,
            why=f"methods: {', '.join(methods)}" if fitting else f"scans there: {', '.join(known[:5]) or 'none'}",
            fix="Name the method (--method)" if fitting else "Run annofree segment first",
        )
    record, sidecar = records[fitting[0]], fitting[0]
    try:
        return _rebuild(root, sidecar, record, scores, left_out)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"The record of scan '{scan_id}' is damaged", file=sidecar, why=str(error), fix="Segment the scan again"
        ) from None


def _rebuild(
    root: Path,
    sidecar: Path,
    record: Mapping[str, Any],
    wanted: Collection[str] | None,
    left_out: list[str] | None,
) -> Segmentation:
    scan_id, method = str(record["ScanId"]), str(record["Method"])
    regions = tuple(str(region) for region in record["Regions"])
    if not set(regions) <= set(REGIONS):
        raise ValueError(f"unknown regions {regions}")
    mask, native = read_labels(mask_path(root, scan_id, method))
    labels = mask.astype(np.uint8) * np.uint8(2)
    if len(regions) > 1:
        labels = read_labels(image_path(root, scan_id, method, "dseg"))[0].astype(np.uint8)
    grid = canonical_grid(native)

    def may_lack(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except InputError as error:
            if left_out is None:
                raise
            left_out.append(str(error))
            return None

    def brain_mask() -> NDArray[np.bool_]:
        stored = read_labels(image_path(root, scan_id, method, "mask", "brain"))[0]
        return np.asarray(np.ascontiguousarray(to_canonical(stored, native)) != 0)

    def score_map(name: str) -> ScoreMap:
        path = image_path(root, scan_id, method, "probseg", name)
        about = read_sidecar(sidecar_path(path))
        values, where = read_labels(path)[0], grid
        if "Affine" in about:
            where = Grid(values.shape, np.asarray(about["Affine"], dtype=float))
        else:
            values = to_canonical(values, native)
        values = np.ascontiguousarray(values, dtype=np.float32)
        return ScoreMap(values, str(about["Name"]), about["Unit"], where, about.get("Scale"))

    names = [name for name in record["Scores"] if wanted is None or name in wanted]
    maps = {name: may_lack(partial(score_map, name)) for name in names}
    thresholds = {name: StoredThreshold(described) for name, described in record["Thresholds"].items()}
    return Segmentation(
        scan_id=scan_id,
        labels=np.ascontiguousarray(to_canonical(labels, native)),
        affine=grid.affine,
        native=native,
        regions=regions,
        scores={name: score for name, score in maps.items() if score is not None},
        thresholds=cast(Any, thresholds),
        brain=may_lack(brain_mask) if record["Brain"] else None,
        lesions=may_lack(lambda: read_lesions(sidecar.parents[1] / "lesions.tsv", method)) or (),
        provenance=record["Provenance"],
    )


def read_sidecar(path: Path) -> dict[str, Any]:
    """What `segment` wrote beside a mask. Raises `InputError`: it is not there or cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            "A record cannot be read",
            file=path,
            why=getattr(error, "strerror", None) or str(error)[:120],
            fix="Segment the scan again",
        ) from None
    return content if isinstance(content, dict) else {}
