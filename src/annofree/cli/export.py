"""`annofree export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annofree.cli.options import BrainMask, Out, WhoseAnswers

WHAT = ("slices", "volumes", "dicom-seg")
#: Options that are not of slices; one of another would be passed over in silence.
OF = dict.fromkeys(("dicom", "labelmap", "dicom_sr", "keep_ids", "method"), "dicom-seg")
OF |= dict.fromkeys(("kind", "like"), "volumes")


def export(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="slices (scans to PNG), volumes (PNG back to NIfTI) or dicom-seg.")],
    source: Annotated[Path, typer.Argument(help="Scans; for volumes the slices, for dicom-seg the results.")],
    out: Out,
    sequence: Annotated[str | None, typer.Option(help="What to show; FLAIR, T2, T1C or T1 without.")] = None,
    brain_mask: BrainMask = None,
    reports: Annotated[Path | None, typer.Option(help="Report texts, copied to TXT/.")] = None,
    masks: Annotated[Path | None, typer.Option(help="Label maps, written to seg/.")] = None,
    report_masks: Annotated[
        bool, typer.Option("--report-masks", help="slices: the regions that the reports name, written to seg/.")
    ] = False,
    atlas: Annotated[Path | None, typer.Option(help="--report-masks: your own atlas; needs --regions.")] = None,
    regions: Annotated[Path | None, typer.Option(help="Its table: index, name, side, lobe.")] = None,
    dataset: Annotated[str, typer.Option(help="First part of the file names.")] = "",
    frame: Annotated[str, typer.Option(help="mni (as published) or scan (2 mm, nothing registered).")] = "mni",
    size: Annotated[int | None, typer.Option(help="Pixels a side; 128 in MNI space, else 96.")] = None,
    first: Annotated[int, typer.Option(help="First slice of the 1 mm template.")] = 30,
    last: Annotated[int, typer.Option(help="Last slice, included.")] = 149,
    kind: Annotated[str, typer.Option(help="volumes: seg (masks) or img (grey levels).")] = "seg",
    like: Annotated[Path | None, typer.Option(help="volumes: the export that slices.json lies in.")] = None,
    dicom: Annotated[
        list[Path] | None, typer.Option(help="dicom-seg: the DICOM that was segmented; may be repeated.")
    ] = None,
    labelmap: Annotated[bool, typer.Option("--labelmap", help="dicom-seg: the label-map form.")] = False,
    dicom_sr: Annotated[bool, typer.Option("--dicom-sr", help="dicom-seg: a structured report too.")] = False,
    keep_ids: Annotated[bool, typer.Option("--keep-ids", help="dicom-seg: copy the patient's name and ids.")] = False,
    method: WhoseAnswers = None,
) -> None:
    """Write scans as 8-bit PNG slices, read such slices back into volumes, or write results as DICOM SEG."""
    from annofree.cli.show import say
    from annofree.errors import InputError
    from annofree.export import export_slices, import_slices
    from annofree.formats import open_cohort
    from annofree.prepare import Recipe
    from annofree.prepare.slices import SliceSettings
    from annofree.scan import Modality

    if what not in WHAT:
        raise InputError(f"'{what}' cannot be exported", fix=f"Use {', '.join(WHAT)}")
    for name in context.params.keys() - {"what", "source", "out"}:
        given, owner = context.get_parameter_source(name), OF.get(name, "slices")
        if given is not None and given.name == "COMMANDLINE" and owner != what:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} means nothing to 'export {what}'", fix=f"Leave it out; it is for {owner}")
    if what == "dicom-seg":
        from annofree.formats.dicom import DicomSettings
        from annofree.formats.dicom.results import export_dicom_seg

        if not dicom:
            raise InputError("DICOM SEG refers to the pictures it was made on", fix="Name their folder with --dicom")
        reading = DicomSettings(keep_ids=keep_ids)
        for path in export_dicom_seg(
            source, dicom, out, settings=reading, method=method, labelmap=labelmap, report=dicom_sr
        ):
            say(f"written to {path}")
        return
    if what == "volumes":
        say(f"{len(import_slices(source, out, kind=kind, like=like))} volumes of {kind}/ written to {out}")
        return
    named = None
    if (atlas is None) != (regions is None) or (atlas is not None and not report_masks):
        raise InputError("An atlas is an image with a table, for --report-masks", fix="Give all three options")
    if report_masks:
        from annofree.reports import AtlasRegions

        named = AtlasRegions.from_files(atlas, regions)
    settings = SliceSettings(frame=frame, size=size or (128 if frame == "mni" else 96), first=first, last=last)
    cohort = open_cohort(source, reports=reports, brain_mask=brain_mask, prepare=Recipe())
    shown = None if sequence is None else Modality.parse(sequence)
    counts = export_slices(cohort, out, settings=settings, sequence=shown, dataset=dataset, masks=masks, regions=named)
    say(f"{sum(counts.values())} slices of {len(counts)} subjects are in {out / 'img'}, told in {out / 'slices.json'}")
