"""`Segmentation` to disk: BIDS-derivative names, the scan's own space, atomic files; `stored.py` reads it back.

Masks and label maps are exact. Score maps are kept as int16 with one scale, so a threshold can be changed later
without running a method again; the JSON beside each says unit, scale and the largest rounding error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from operator import call
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, OutputError
from annofree.formats.bids_names import bids_label, bids_stem, image_path, mask_path, sidecar_path
from annofree.formats.label_tables import write_label_table, write_viewer_tables
from annofree.formats.lesion_table import write_lesions
from annofree.formats.nifti import write_volume
from annofree.formats.outfolder import claim_folder, together, write_json
from annofree.formats.stored import StoredThreshold as StoredThreshold  # pickles name its old place
from annofree.formats.stored import read_segmentation, read_sidecar
from annofree.processes import side_by_side
from annofree.progress import say
from annofree.scan import Modality, to_native
from annofree.segmentation import LABEL_NAMES, ScoreMap, Segmentation


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

    with together(path.parents[1]):
        write_lesions(path.parents[1] / "lesions.tsv", result.lesions, method)
        if len(result.regions) > 1:
            dseg = image_path(root, result.scan_id, method, "dseg")
            keep(dseg, result.labels)
            write_json(
                sidecar_path(dseg),
                {**common, "Description": "Tumour labels", "LabelMap": {str(k): v for k, v in LABEL_NAMES.items()}},
            )
            write_label_table(dseg)
            write_viewer_tables(root)
        for name, score in result.scores.items():
            now.add(file := image_path(root, result.scan_id, method, "probseg", name))
            volumes.append(partial(_write_score, file, score, result, common))
        if result.brain is not None:
            brain = image_path(root, result.scan_id, method, "mask", "brain")
            keep(brain, result.brain.view(np.uint8))
            write_json(
                sidecar_path(brain), {**common, "Type": "Brain", "Description": "Voxels that the method looked at"}
            )
        keep(path, result.mask("WT").view(np.uint8), f"{about}: whole tumour")
        side_by_side(call, volumes)
        write_json(sidecar_path(path), {**common, **_record(result)})
    kept = {file.name.removesuffix(".nii.gz") for file in now}
    _remove([old for old in standing if old not in stays and old.name.split(".")[0] not in kept], result.scan_id, root)
    return path


def _remove(gone: list[Path], scan_id: str, root: Path) -> None:
    """Remove what describes an answer that is no more; of DICOM objects, which a run does not write, it is said."""
    for old in gone:
        old.unlink(missing_ok=True)
    if objects := sorted(old.name for old in gone if old.suffix == ".dcm"):
        report = " --dicom-sr" * any(name.endswith("_sr.dcm") for name in objects)
        say(
            f"{scan_id}: removed {' and '.join(objects)}, which described the answer before; "
            f"write anew with: annofree export dicom-seg {root} -o FOLDER --dicom STUDY{report}"
        )


def _record(result: Segmentation) -> dict[str, Any]:
    """What the JSON beside the mask says of a result, with which it can be read back and decided again."""
    return {
        "Type": "Lesion",
        "Description": "Whole tumour",
        "Regions": list(result.regions),
        "VolumesMl": {region: round(volume, 4) for region, volume in result.volumes_ml.items()},
        "Scores": list(result.scores),
        "Brain": result.brain is not None,
        "Thresholds": {name: threshold.to_dict() for name, threshold in result.thresholds.items()},
        "Provenance": dict(result.provenance),
    }


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
