"""`annofree segment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annofree.cli.options import Bias, Brain, Coregister, Locate, Sequence, Series, Workers
from annofree.quick_imports import quick_imports

if TYPE_CHECKING:
    from annofree.pipeline import Choice
    from annofree.scan import Cohort


def segment(
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Patient folders, image files, or a folder of many patients.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Output folder; required.", show_default=False)
    ] = None,
    participant_label: Annotated[
        list[str] | None,
        typer.Option("--participant-label", "--participant_label", help="BIDS: these persons only; may be repeated."),
    ] = None,
    method: Annotated[str | None, typer.Option(help="Method (see 'annofree methods'); the best shipped one.")] = None,
    model: Annotated[str | None, typer.Option(help="Folder of a model that 'annofree fit' wrote.")] = None,
    quality: Annotated[str | None, typer.Option(help="fast, default or best, for methods with a network.")] = None,
    threshold: Annotated[
        str | None, typer.Option(help="Whole-tumour threshold, such as fixed:0.7 or otsu; the method's own without.")
    ] = None,
    refine: Annotated[
        list[str] | None,
        typer.Option(
            help="Whole-tumour refiner, such as components:26,min_ml=0.5, instead of the method's own; "
            "may be repeated; 'own' stands for the method's, 'none' for no refiner."
        ),
    ] = None,
    sam: Annotated[Path | None, typer.Option(help="Folder of a SAM, SAM 2 or MedSAM, for --refine sam.")] = None,
    device: Annotated[str, typer.Option(help="Where networks compute: auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    sequence: Sequence = None,
    series: Series = None,
    keep_ids: Annotated[bool, typer.Option(help="DICOM: name scans by patient id.")] = False,
    dicom_seg: Annotated[bool, typer.Option("--dicom-seg", help="DICOM: write each answer as DICOM SEG too.")] = False,
    dicom_sr: Annotated[
        bool, typer.Option("--dicom-sr", help="DICOM: a structured report too, volume, side and lobe of each lesion.")
    ] = False,
    labelmap: Annotated[bool, typer.Option("--labelmap", help="Label-map form of --dicom-seg.")] = False,
    brain_mask: Annotated[Path | None, typer.Option(help="Brain mask, for scans with a skull.")] = None,
    brain: Brain = "auto",
    coregister: Coregister = "rigid",
    bias: Bias = "off",
    native: Annotated[
        str, typer.Option(help="reference, or all: masks also on the own grid of every other sequence.")
    ] = "reference",
    locate: Locate = True,
    review: Annotated[bool, typer.Option(help="Make a page to look at for each scan and for all of them.")] = True,
    workers: Workers = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler whose workers do the work, such as tcp://host:8786.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse scans that do not seem to belong, instead of a warning.")
    ] = False,
    false_alarms: Annotated[
        float, typer.Option("--false-alarms", help="Share of tumour-free scans that may be called tumour.")
    ] = 0.2,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be read and done, how long it takes, what is missing.")
    ] = False,
) -> None:
    """Segment scans: masks, score maps and a table, in each scan's own space.

    A scan that fails is told and stops no other. Exit code 0: all done; 3: some failed or got no page; 2: all failed,
    or the command could not be carried out. The same command again goes on with what is not done.
    """
    with quick_imports():
        from annofree.batch.run import run
        from annofree.cli.bids_app import sort_arguments, take_participants
        from annofree.cli.show import say, show_failures, show_rows, warn_of_old_scores
        from annofree.errors import InputError
        from annofree.formats import open_cohort
        from annofree.pipeline import Choice
        from annofree.prepare import Recipe
        from annofree.prepare.brain_ladder import require_program

    inputs, folder, labels = sort_arguments(inputs, out, participant_label)
    if scheduler is not None:  # the workers start elsewhere
        inputs = [path.absolute() for path in inputs]
        brain_mask = None if brain_mask is None else brain_mask.absolute()
    else:
        require_program(brain)
    objects = dicom_seg or dicom_sr
    if labelmap and not objects:
        raise InputError("--labelmap says how a DICOM SEG is written, and none was asked for", fix="Add --dicom-seg")
    recipe = Recipe(brain=brain, coregister=coregister, bias=bias, native=native)
    dicom = {"series": tuple(series or ()), "keep_ids": keep_ids} if series or keep_ids else None
    _refuse_other_files(inputs, objects=objects, read_by=dicom)
    cohort = open_cohort(inputs, sequence=sequence, brain_mask=brain_mask, dicom=dicom, prepare=recipe)
    cohort = take_participants(cohort, labels)
    options = {} if quality is None else {"quality": quality}
    chain, weights = tuple(refine) if refine else None, None if sam is None else str(sam)
    choice = Choice(method, model, threshold, chain, options, weights, device, strict, false_alarms)
    if dry_run:
        _show_what_would_be(cohort, choice, folder, workers)
        return
    report = run(
        cohort, choice, folder, workers=workers, scheduler=scheduler, locate=locate, review=review, progress=True
    )
    show_rows(report)
    warn_of_old_scores(report)
    if objects and report.rows:
        from annofree.formats.dicom import DicomSettings
        from annofree.formats.dicom.results import export_dicom_seg

        reading = DicomSettings(**(dicom or {}))
        for path in export_dicom_seg(report.out, inputs, settings=reading, labelmap=labelmap, report=dicom_sr):
            say(f"DICOM {'SR' if path.name.endswith('_sr.dcm') else 'SEG'} written to {path}")
    if review and report.rows:
        say(f"open {report.out / 'index.html'} to look at them")
    show_failures(report)
    if report.failures or report.pageless:
        raise typer.Exit(3 if report.rows else 2)


def _refuse_other_files(inputs: list[Path], *, objects: bool, read_by: dict[str, Any] | None) -> None:
    """Refuse options that are for DICOM where it was not given: objects to write, and how to read."""
    from annofree.errors import InputError
    from annofree.formats.dicom import recognises, require_dicom

    if objects:
        require_dicom(inputs)
    if read_by is not None and not any(recognises(path) for path in inputs if path.exists()):
        fix = "Leave them out; --sequence says what other files are"
        raise InputError("--series and --keep-ids are for DICOM, and none was given", file=inputs[0], fix=fix)


def _show_what_would_be(cohort: Cohort, choice: Choice, folder: Path, workers: int) -> None:
    """Look at the scans and say what a run would do; what would fail decides the exit code."""
    from annofree.batch.dry_run import expect
    from annofree.cli.show import show_expected

    built = choice.build()
    expected = [expect(cohort, scan_id, built) for scan_id in cohort.ids]
    show_expected(expected, built, folder, workers)
    if any(scan.problems for scan in expected):
        raise typer.Exit(2 if all(scan.problems for scan in expected) else 3)
