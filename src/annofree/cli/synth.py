"""`annofree synth`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from annofree.cli.options import BrainMask, Healthy, Patients, PatientsMask, Sequence, Setting, Workers

#: What each form of the verb looks at, beside the seed; the default form is that of a folder of cases.
_LOOKS_AT = {
    "mix": "out n preset healthy brain_mask sequence images labels tier csv setting workers",
    "class-folders": "out n",
    "one image": "out preset brain_mask sequence setting validation overwrite",
    "a folder": "out n preset labelmaps healthy patients brain_mask patients_mask sequence setting workers layout",
}


def _refuse_unused(ctx: typer.Context, form: str) -> None:
    """Refuse options that this form of the verb would not look at: nobody gives one for nothing."""
    from annofree.errors import SettingsError

    for option in ctx.command.params:
        given = ctx.get_parameter_source(str(option.name))
        unused = option.name not in ("files", "seed", *_LOOKS_AT[form].split())
        if unused and given is not None and given.name == "COMMANDLINE":
            raise SettingsError(f"'synth' of {form} does not look at {option.opts[0]}", fix="Leave it out")


def synth(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="A healthy image that is read, the image with a tumour that is written, its labels that are written "
            "(IN is never replaced); or the word mix, or class-folders.",
            metavar="[IN IMG LAB | mix | class-folders]",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder to write many cases to.")] = None,
    n: Annotated[
        int | None, typer.Option("--n", min=1, help="Cases; 20, or one a healthy scan in the published forms.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="One seed decides everything.")] = 0,
    preset: Annotated[
        str, typer.Option(help="default, published, published-corrected, published-single or published-multi.")
    ] = "default",
    labelmaps: Annotated[Path | None, typer.Option(help="Anatomical label maps; the MNI brain without.")] = None,
    healthy: Healthy = None,
    patients: Patients = None,
    brain_mask: BrainMask = None,
    patients_mask: PatientsMask = None,
    sequence: Sequence = None,
    images: Annotated[Path | None, typer.Option(help="mix: nnU-Net's imagesTr of patients.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="mix: the first network's answers: labelsTr, or what 'annofree segment' wrote.")
    ] = None,
    tier: Annotated[
        str | None, typer.Option(help="mix: tier of labels whose folder does not tell it; T0 if no mask taught them.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="mix: table of pairs to write; OUT/mixid.csv without.")] = None,
    setting: Setting = None,
    validation: Annotated[bool, typer.Option(help="One image: the distribution-shifted twin.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="One image: replace IMG and LAB that stand.")] = False,
    workers: Workers = 1,
    layout: Annotated[str, typer.Option(help="nnunet or folders.")] = "nnunet",
) -> None:
    """Make brains with tumours and their labels: a folder of cases (-o), or one from one healthy image (IN IMG LAB).

    'mix' is SynthTumour's second stage: the tumours of --images, where --labels say, in --healthy scans, and a data
    set of nnU-Net for the senior. 'class-folders' makes JPEG slices of phantoms, one folder a class, --n in each.
    """
    from annofree.cli.main import GOING_ON
    from annofree.cli.show import parse_settings, say
    from annofree.synthesis.synthesise import synthesise, synthesise_one

    drawn: dict[str, Any] = {"preset": preset, "changes": parse_settings(setting), "seed": seed, "sequence": sequence}
    word = str(files[0]) if files is not None and len(files) == 1 else ""
    form = word if word in _LOOKS_AT else "one image" if files else "a folder"
    _refuse_unused(ctx, form)
    ctx.meta[GOING_ON] = form in ("mix", "a folder")
    if files == [Path("mix")]:
        from annofree.prepare import Recipe
        from annofree.registry import named
        from annofree.synthesis.synthesise import mix
        from annofree.thresholds.base import TIERS

        if tier is not None:
            named(dict.fromkeys(TIERS), tier, "tier")
        drawn |= {"brain_mask": brain_mask, "csv": csv, "tier": tier, "workers": workers, "prepare": Recipe()}
        told = mix(images, labels, healthy, out, n=n, **drawn)
        say(
            f"{told['mixed']} mixed cases ({', '.join(told['sequences'])}) in {out}/imagesTrMix and labelsMix; with "
            f"{told['originals']} originals in {out}/Dataset101_SynthTumourSenior (nnU-Net 2) and "
            f"Task101_SynthTumourSenior (nnU-Net 1); {told['left out']} patients without a label left out; "
            f"tier of the labels: {', '.join(told['tiers'])}"
        )
        return
    if files == [Path("class-folders")]:
        from annofree.errors import SettingsError
        from annofree.phantom.disk import write_class_folders

        if out is None:
            raise SettingsError("There is no folder to write the pictures to", fix="Name it with -o FOLDER")
        say(f"slices written to {write_class_folders(out, n or 20, seed)}")
        return
    if files:
        made = synthesise_one(
            files, out=out, brain_mask=brain_mask, validation=validation, overwrite=overwrite, **drawn
        )
        say(
            f"tumour of {made['realised_ml']:.1f} ml ({made['requested_ml']:.1f} ml requested), "
            f"label {made['label_ml']:.1f} ml, written to {files[1]} and {files[2]}"
        )
        return
    drawn |= {"labelmaps": labelmaps, "healthy": healthy, "patients": patients}
    drawn |= {"brain_mask": brain_mask, "patients_mask": patients_mask}
    from annofree.prepare import Recipe

    folder = synthesise(out, n=n, workers=workers, layout=layout, prepare=Recipe(), **drawn)
    say(f"made cases written to {folder}, listed in cases.csv")
