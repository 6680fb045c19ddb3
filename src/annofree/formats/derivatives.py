"""`Segmentation` to disk and back: BIDS-derivative names, the scan's own space, atomic files.

Masks and label maps are exact. Score maps are kept as int16 with one scale, so a threshold can be changed later
without running a method again; the JSON beside each says unit, scale and the largest rounding error. Tables
tell each program what the numbers of a label map mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from operator import call
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, OutputError, no_folder
from annofree.formats.bids_names import bids_folder, bids_label, bids_stem, scan_folders
from annofree.formats.lesion_table import read_lesions, write_lesions
from annofree.formats.nifti import read_labels, write_volume
from annofree.formats.outfolder import atomic_write, claim_folder, is_ours, together, write_json
from annofree.processes import side_by_side
from annofree.progress import say
from annofree.scan import Grid, Modality, canonical_grid, to_canonical, to_native
from annofree.segmentation import LABEL_NAMES, REGIONS, ScoreMap, Segmentation

__all__ = ["claim_folder", "mask_path", "read_segmentation", "sidecar_path", "write_segmentation", "written_ids"]

T = TypeVar("T")


def mask_path(out: str | Path, scan_id: str, method: str) -> Path:
    """Where the whole-tumour mask of a scan lies below an output folder."""
    return _image_path(out, scan_id, method, "mask", "lesion")


def _image_path(out: str | Path, scan_id: str, method: str, suffix: str, label: str = "") -> Path:
    of = f"_label-{bids_label(label)}" if label else ""
    name = f"{bids_stem(scan_id)}_space-orig{of}_desc-{bids_label(method)}_{suffix}.nii.gz"
    return bids_folder(out, scan_id) / "anat" / name


def sidecar_path(path: Path) -> Path:
    """The JSON beside an image."""
    return path.with_name(path.name.removesuffix(".nii.gz") + ".json")


def write_segmentation(result: Segmentation, out: str | Path) -> Path:
    """Write a segmentation below an output folder.

    Arrays are flipped and transposed back to the axis order of `result.native`. Returns the mask's file, whose JSON is
    written last: its presence means that the rest is there.

    Raises:
        OutputError: The folder holds others' files, is not writable, or another scan has the same BIDS name.
    """
    root = claim_folder(out)
    method = str(result.provenance.get("method") or "annofree")
    path = mask_path(root, result.scan_id, method)
    _refuse_collision(sidecar_path(path), result)
    standing = _beside(path, result.scan_id, method)
    derived = {file for file in standing if "_space-orig_" not in file.name or file.suffix == ".dcm"}
    stays = derived if derived and _is_there(result, root, method) else set()
    about = f"annofree {method}"
    common = {"SpatialReference": "orig", "ScanId": result.scan_id, "Method": method}
    volumes: list[Callable[[], None]] = []
    now = {path}

    def keep(file: Path, array: NDArray[Any], description: str = about) -> None:
        now.add(file)
        volumes.append(
            partial(write_volume, file, to_native(array, result.native), result.native, description=description)
        )

    record = {
        **common,
        "Type": "Lesion",
        "Description": "Whole tumour",
        "Regions": list(result.regions),
        "VolumesMl": {region: round(volume, 4) for region, volume in result.volumes_ml.items()},
        "Scores": list(result.scores),
        "Brain": result.brain is not None,
        "Thresholds": {name: threshold.to_dict() for name, threshold in result.thresholds.items()},
        "Provenance": dict(result.provenance),
    }
    with together(path.parents[1]):
        write_lesions(path.parents[1] / "lesions.tsv", result.lesions, method)
        if len(result.regions) > 1:
            dseg = _image_path(root, result.scan_id, method, "dseg")
            keep(dseg, result.labels)
            write_json(
                sidecar_path(dseg),
                {**common, "Description": "Tumour labels", "LabelMap": {str(k): v for k, v in LABEL_NAMES.items()}},
            )
            write_label_table(dseg)
            write_viewer_tables(root)
        for name, score in result.scores.items():
            now.add(file := _image_path(root, result.scan_id, method, "probseg", name))
            volumes.append(partial(_write_score, file, score, result, common))
        if result.brain is not None:
            brain = _image_path(root, result.scan_id, method, "mask", "brain")
            keep(brain, result.brain.view(np.uint8))
            write_json(
                sidecar_path(brain), {**common, "Type": "Brain", "Description": "Voxels that the method looked at"}
            )
        keep(path, result.mask("WT").view(np.uint8), f"{about}: whole tumour")
        side_by_side(call, volumes)
        write_json(sidecar_path(path), record)
    kept = {file.name.removesuffix(".nii.gz") for file in now}
    gone = [old for old in standing if old not in stays and old.name.split(".")[0] not in kept]
    for old in gone:
        old.unlink(missing_ok=True)
    if objects := sorted(old.name for old in gone if old.suffix == ".dcm"):
        report = " --dicom-sr" * any(name.endswith("_sr.dcm") for name in objects)
        say(
            f"{result.scan_id}: removed {' and '.join(objects)}, which described the answer before; "
            f"write anew with: annofree export dicom-seg {root} -o FOLDER --dicom STUDY{report}"
        )
    return path


def _beside(mask: Path, scan_id: str, method: str) -> list[Path]:
    """What describes a method's answer beside its mask, by the names that annofree gives and no other.

    Masks, labels and score maps with their JSON and TSV, the masks and labels on the grids of other sequences, DICOM
    SEG and SR. Any other file is somebody's own.
    """
    of, space = f"desc-{bids_label(method)}", f"space-(orig|{'|'.join(Modality)})"
    image = r"\.(nii\.gz|json)"
    names = (
        rf"{space}_label-lesion_{of}_mask{image}",
        rf"{space}_{of}_dseg({image}|\.tsv)",
        rf"space-orig_label-(brain_{of}_mask|[A-Za-z0-9]+_{of}_probseg){image}",
        rf"space-orig_{of}_(seg|sr)\.dcm",
    )
    ours = re.compile(f"{re.escape(bids_stem(scan_id))}_({'|'.join(names)})")
    return [path for path in mask.parent.glob("sub-*") if ours.fullmatch(path.name)]


def _is_there(result: Segmentation, root: Path, method: str) -> bool:
    """Whether this very answer lies there already: masks on other grids and DICOM objects still describe it then."""
    try:
        old = read_segmentation(root, result.scan_id, method, scores=())
    except InputError:
        return False
    told = (old.regions, old.lesions, old.provenance) == (result.regions, result.lesions, result.provenance)
    return told and old.grid.same_as(result.grid) and np.array_equal(old.labels, result.labels)


def _refuse_collision(sidecar: Path, result: Segmentation) -> None:
    if not sidecar.is_file():
        return
    record = read_sidecar(sidecar)
    other, scan_id = record.get("ScanId"), result.scan_id
    if other != scan_id:
        raise OutputError(
            f"Scans '{other}' and '{scan_id}' would share the files of {bids_stem(scan_id)}",
            file=sidecar.parents[1],
            why="BIDS names keep letters and digits only",
            fix="Rename one of them, or use another output folder",
        )
    before, now = (set((told.get("files") or {}).values()) for told in (record["Provenance"], result.provenance))
    if before and now and before.isdisjoint(now):
        raise OutputError(
            f"Another scan called '{scan_id}' lies in the output folder",
            file=sidecar.parents[1],
            why=f"that one was read from {min(before)}, this one from {min(now)}",
            fix="Use another output folder, or open one of them with another id",
        )


def _write_score(path: Path, score: ScoreMap, result: Segmentation, common: Mapping[str, Any]) -> None:
    score = score.rounded()
    assert score.step is not None
    own = score.grid.same_as(result.grid)
    stored = to_native(score.counts(), result.native) if own else score.counts()
    where = result.native if own else score.grid
    write_volume(path, stored, where, slope=score.step, description=f"annofree {score.name} {score.unit}")
    record = {
        **common,
        "Description": f"Score map, higher is more abnormal ({score.unit})",
        "Name": score.name,
        "Unit": score.unit,
        "Scale": score.step,
        "LargestRoundingError": score.step / 2,
        # Headers hold affines in single precision; a decision made again needs the very same grid.
        **({} if own else {"Affine": score.grid.affine.tolist()}),
    }
    write_json(sidecar_path(path), record)


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
        labels = read_labels(_image_path(root, scan_id, method, "dseg"))[0].astype(np.uint8)
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
        stored = read_labels(_image_path(root, scan_id, method, "mask", "brain"))[0]
        return np.asarray(np.ascontiguousarray(to_canonical(stored, native)) != 0)

    def score_map(name: str) -> ScoreMap:
        path = _image_path(root, scan_id, method, "probseg", name)
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


#: Colours of the labels, red, green, blue: those of BraTS.
COLOURS = {0: (0, 0, 0), 1: (255, 0, 0), 2: (0, 255, 0), 3: (255, 255, 0)}
_ABBREVIATIONS = {0: "BG", 1: "NCR", 2: "ED", 3: "ET"}


def write_label_table(dseg: Path) -> None:
    """Write the BIDS table beside a label map: index, name, abbreviation, colour."""
    lines = ["index\tname\tabbreviation\tcolor"]
    for index, name in LABEL_NAMES.items():
        red, green, blue = COLOURS[index]
        lines.append(f"{index}\t{name}\t{_ABBREVIATIONS[index]}\t#{red:02x}{green:02x}{blue:02x}")
    atomic_write(dseg.with_name(dseg.name.removesuffix(".nii.gz") + ".tsv"), "\n".join(lines) + "\n")


def write_viewer_tables(folder: Path) -> None:
    """Write the colours and names of the labels for ITK-SNAP (`.label`) and for 3D Slicer (`.ctbl`) into a folder.

    Both programs then show the label maps in the colours and under the names that the pages use.
    """
    snap = ["################################################", "# ITK-SnAP Label Description File"]
    snap += ["# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL", "################################################"]
    slicer = ["# Color table file", f"# {len(LABEL_NAMES)} values"]
    for index, name in LABEL_NAMES.items():
        red, green, blue = COLOURS[index]
        seen = int(index > 0)
        shown = "Clear Label" if index == 0 else name
        snap.append(f'{index:5d} {red:5d} {green:4d} {blue:4d} {seen:8.2f} {seen:2d} {seen:2d}    "{shown}"')
        slicer.append(f"{index} {name} {red} {green} {blue} {255 * seen}")
    atomic_write(folder / "labels.label", "\n".join(snap) + "\n")
    atomic_write(folder / "labels.ctbl", "\n".join(slicer) + "\n")
