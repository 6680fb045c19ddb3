"""Cohorts to folders of PNG slices as BLOGRR published them, and such folders back to one volume a subject."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, OutputError
from annofree.formats.dicom.drawn import Segs, segs_below
from annofree.formats.grids import resample
from annofree.formats.nifti import write_volume
from annofree.formats.outfolder import atomic_write
from annofree.formats.slices import (
    IMAGES,
    MASKS,
    REPORTS,
    Place,
    asked,
    in_template,
    number_of,
    places,
    read_stack,
    subjects_in,
    write_places,
    write_slices,
)
from annofree.formats.standing import refuse_filled, whole_or_nothing
from annofree.formats.truth import find_truth, open_truth
from annofree.prepare.slices import SliceSettings, framed, mni_alignment, mni_grid, pick_sequence
from annofree.reports import AtlasRegions, read_report
from annofree.scan import Cohort, Grid, Modality, Scan, canonical_grid, scoring, to_native


def export_slices(
    cohort: Cohort,
    out: str | Path,
    *,
    settings: SliceSettings | None = None,
    sequence: Modality | None = None,
    dataset: str = "",
    masks: str | Path | None = None,
    regions: AtlasRegions | None = None,
) -> dict[str, int]:
    """Write `img/`, where there are masks `seg/`, where there are reports `TXT/`, and `slices.json`.

    Files are `<dataset>_<subject>_<slice>.png`, numbered from 0 at the first slice cut out, as published. Subjects that
    `slices.json` names already are not cut again.

    Args:
        cohort: Scans with a brain.
        out: A new folder, or one that this function wrote.
        settings: How to cut; MNI slices 30 to 149 of 128 x 128 pixels by default.
        sequence: What to show; None takes the first present of FLAIR, T2, T1C, T1.
        dataset: First part of the names; left out where empty.
        masks: Folder of label maps on the scans' grids (truth for a test set).
        regions: Write to `seg/` the regions, whole, that each scan's report names, as published; empty where it names
            no tumour.

    Returns:
        Number of slices by subject.

    Raises:
        InputError: A scan cannot be used, has no report where regions are wanted, or masks are wanted twice.
        OutputError: The folder holds other files or slices cut otherwise, or cannot be written.
    """
    folder, settings = Path(out), settings or SliceSettings.published()
    if masks is not None and regions is not None:
        raise InputError("Masks come from a folder or from reports", fix="Leave out --masks or --report-masks")
    if masks is not None and not Path(masks).exists():
        raise InputError("There is no such folder of masks", file=masks, fix="Check --masks")
    known = places(folder)
    told = {
        "cut": settings.model_dump(mode="json"),
        "sequence": None if sequence is None else str(sequence),
        "masks": None if masks is None else str(Path(masks).absolute()),
        "reports' regions": regions is not None,
    }
    if not known:
        refuse_filled(folder, "folder for the slices")
    elif (before := asked(folder)) is not None and before != told:
        other = ", ".join(name for name in told if told[name] != before.get(name))
        raise OutputError(
            "The folder holds slices that were cut with other options",
            file=folder,
            why=other,
            fix="Name another folder",
        )
    counts: dict[str, int] = {}
    segs = cache(segs_below)
    for scan_id in cohort.ids:
        name = f"{dataset}_{scan_id}" if dataset else scan_id
        if name in known:
            counts[name] = known[name].slices.shape[2]
            continue
        scan = cohort[scan_id]
        shown = pick_sequence(scan, sequence)
        cut = framed(scan.replace(images={shown: scan.images[shown]}, brain=scan.foreground()), settings)
        if regions is not None:
            write_slices(folder, name, _report_mask(scan, cut, settings, regions), kind=MASKS)
        levels = np.round(cut.images[shown] * 255.0).astype(np.uint8)
        if masks is not None:
            write_slices(folder, name, _mask(scan, cut, masks, segs), kind=MASKS)
        if scan.report:
            atomic_write(folder / REPORTS / f"{name}.txt", scan.report)
        write_slices(folder, name, levels)
        assert scan.native is not None
        known[name] = Place(cut.grid, scan.native, shown, 0)
        write_places(folder, known, told)
        counts[name] = levels.shape[2]
    return counts


def _mask(scan: Scan, cut: Scan, masks: str | Path, segs: Segs) -> NDArray[np.uint8]:
    with scoring("export of a test set"):
        file = find_truth(masks, scan.id, segs)
        if file is None:
            raise InputError(f"There is no mask for scan '{scan.id}'", file=masks, fix="Name it <id>_seg.nii.gz")
        labels = open_truth(file, scan.id, scan.grid, native=scan.native, files=scan.files.values()).labels
    return resample((labels > 0).astype(np.uint8) * np.uint8(255), scan.grid, cut.grid, 0)


def _report_mask(scan: Scan, cut: Scan, settings: SliceSettings, regions: AtlasRegions) -> NDArray[np.uint8]:
    if scan.report is None:
        raise InputError(f"Scan '{scan.id}' has no report", fix="Name the folder of the texts with --reports")
    reading = read_report(scan.report, id=scan.id)
    named = regions.mask_of(place for lesion in reading.lesions for place in lesion.places)
    if in_template(cut.grid):
        in_mni = cut.grid
    elif settings.frame == "mni":
        in_mni = mni_grid(settings)
    else:
        in_mni = Grid(cut.grid.shape, mni_alignment(scan).affine @ cut.affine)
    return resample(named.astype(np.uint8) * np.uint8(255), Grid(named.shape, regions.affine), in_mni, 0)


def import_slices(
    folder: str | Path, out: str | Path, *, kind: str = MASKS, like: str | Path | None = None
) -> list[Path]:
    """Slices back to one NIfTI volume a subject, on the grid and in the axis order of the file they were cut from.

    Args:
        folder: Slices, or a folder whose `img/` or `seg/` holds them.
        out: Folder for `<dataset>_<subject>.nii.gz`.
        kind: "seg" writes 0 and 1 by nearest neighbour, "img" grey levels 0..255 linearly.
        like: Folder of the export that says where slices lie; by default `folder`.

    Returns:
        The files written.

    Raises:
        InputError: There are no slices, or nobody said where they lie.
        OutputError: The folder holds other files, or cannot be written.
    """
    if kind not in (IMAGES, MASKS):
        raise InputError(f"'{kind}' are no slices", fix=f"Use {IMAGES} or {MASKS}")
    source = Path(folder)
    place = source / kind if (source / kind).is_dir() else source
    subjects = subjects_in(place)
    if not subjects:
        other = IMAGES if kind == MASKS else MASKS
        there = place == source and (source / other).is_dir()
        fix = f"Say --kind {other}: its slices are those" if there else "Name slices <dataset>_<subject>_<slice>.png"
        raise InputError("No slices were found", file=place, why=f"it has no {kind}/" if there else None, fix=fix)
    known = places(Path(like) if like is not None else place.parent if place.name in (IMAGES, MASKS) else place)
    with whole_or_nothing(Path(out), "folder for the volumes") as half:
        for name, files in subjects.items():
            if name not in known:
                raise InputError(
                    f"Nobody said where the slices of '{name}' lie",
                    file=place,
                    why="no slices.json of 'annofree export slices' names them",
                    fix="Give the folder of that export with --like",
                )
            where = known[name]
            span = list(range(where.first, where.first + where.slices.shape[2]))
            if strange := [file for file in files if number_of(file) not in span]:
                why = f"slices are {span[0]} to {span[-1]}"
                raise InputError("A slice was never exported", file=strange[0], why=why)
            volume, _ = read_stack(files, numbers=span)
            wanted = tuple(where.slices.shape)
            if volume.shape != wanted:
                raise InputError(
                    f"The slices of '{name}' have another size than those exported",
                    file=files[0],
                    why=f"{volume.shape[0]} x {volume.shape[1]} against {wanted[0]} x {wanted[1]}",
                    fix="Resize them back first",
                )
            stored = (volume > 0).astype(np.uint8) if kind == MASKS else volume
            back = resample(stored, where.slices, canonical_grid(where.original), 0 if kind == MASKS else 1)
            write_volume(half / f"{name}.nii.gz", to_native(back, where.original), where.original)
    return [Path(out) / f"{name}.nii.gz" for name in subjects]
