"""Which of the generators serves an order for made cases; the whole of `annofree synth`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from annofree.errors import InputError, SettingsError
from annofree.formats.scans import open_cohort
from annofree.formats.standing import refuse_shared
from annofree.formats.study import Prepare
from annofree.synthesis.dataset import write_one, write_published
from annofree.synthesis.published_settings import PRESETS, PublishedSettings

_USUAL_NUMBER = 20


def synthesise(
    out: str | Path | None,
    *,
    n: int | None = None,
    seed: int = 0,
    preset: str = "default",
    labelmaps: str | Path | None = None,
    healthy: str | Path | None = None,
    patients: str | Path | None = None,
    brain_mask: str | None = None,
    sequence: str | None = None,
    patients_mask: str | None = None,
    changes: Mapping[str, Any] | None = None,
    workers: int = 1,
    layout: str = "nnunet",
    prepare: Prepare | None = None,
) -> Path:
    """Make a folder of cases.

    Args:
        out: An absent or empty folder.
        n: Number of cases; by default 20, and one a healthy scan in the published forms.
        seed: Decides everything.
        preset: "default": made tumours in made brains, or in real ones where scans are given. Or a published form, see
            `annofree.synthesis.published_settings.PRESETS`.
        labelmaps: Folder of anatomical label maps for made brains; the MNI brain by default.
        healthy: Healthy scans.
        patients: Patients' scans, made pseudo-healthy.
        brain_mask: Name pattern of brain masks beside the healthy scans, and the patients' without `patients_mask`.
        sequence: What the images are, where their names do not say it.
        patients_mask: The same beside the patients' scans.
        changes: Settings by dotted name, of `SynthesisSettings`, or of `PublishedSettings` for a published form.
        workers: Processes.
        layout: "nnunet" or "folders".
        prepare: As for `open_cohort`; without, whole heads are refused, and sequences lie where their headers say.

    Raises:
        InputError: Something needed is missing or cannot be used.
        SettingsError: There is no such preset.
        OutputError: The folder is not empty or not writable.
    """
    if out is None:
        raise InputError("No place for made cases was given", fix="Give a folder with -o, or three files: IN IMG LAB")
    if preset != "default":
        settings = _published(preset).changed(changes or {})
        if healthy is None or labelmaps is not None or patients is not None:
            raise InputError(
                f"The preset '{preset}' puts tumours into healthy scans, and nothing else",
                fix="Give --healthy DIR alone",
            )
        cohort = open_cohort(healthy, brain_mask=brain_mask, sequence=sequence, prepare=prepare)
        return write_published(cohort, out, n=n, seed=seed, settings=settings, workers=workers, layout=layout)
    from annofree.synthesis.settings import SynthesisSettings

    number = _USUAL_NUMBER if n is None else n
    own = SynthesisSettings().changed(changes or {})
    if healthy is not None or patients is not None:
        from annofree.synthesis.export import carriers_from, write_in_real_brains

        if labelmaps is not None:
            raise InputError("Label maps and scans were given at once", fix="Make one folder of each")
        sources = ((healthy, brain_mask), (patients, patients_mask or brain_mask))
        cohorts = [
            None if path is None else open_cohort(path, brain_mask=mask, sequence=sequence, prepare=prepare)
            for path, mask in sources
        ]
        refuse_shared(*cohorts)
        carriers = carriers_from(*cohorts)
        return write_in_real_brains(carriers, out, n=number, seed=seed, settings=own, workers=workers, layout=layout)
    from annofree.synthesis import LabelMapBank, export_cases

    bank = LabelMapBank.from_mni() if labelmaps is None else LabelMapBank.from_folder(labelmaps)
    return export_cases(out, number, bank, own, seed=seed, layout=layout, workers=workers)  # type: ignore[arg-type]


def synthesise_one(
    files: Sequence[Path],
    *,
    preset: str = "default",
    changes: Mapping[str, Any] | None = None,
    out: Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Put a tumour into one healthy image: IN, the image to write, the labels to write; options as of `write_one`.

    Raises:
        InputError: There are not exactly three files, or a folder was asked for as well.
        SettingsError: There is no such preset.
    """
    if len(files) != 3 or out is not None:
        raise InputError(
            f"{len(files)} files {'and a folder were' if out else 'were'} given",
            fix="Give three files (healthy image, image to write, labels to write), or -o FOLDER and no file",
        )
    settings = _published("published" if preset == "default" else preset).changed(changes or {})
    return write_one(*files, settings=settings, **options)


def mix(
    images: Path | None,
    labels: Path | None,
    healthy: Path | None,
    out: Path | None,
    *,
    preset: str = "default",
    changes: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """The second stage on nnU-Net folders, see `annofree.synthesis.mix_folders.mix_folders`.

    Raises:
        InputError: A folder was not named.
        SettingsError: There is no such preset or setting.
    """
    from annofree.synthesis.mix import MixSettings
    from annofree.synthesis.mix_folders import mix_folders

    if images is None or labels is None or healthy is None or out is None:
        raise InputError("Mixing needs four folders", fix="Give --images, --labels, --healthy and -o")
    if preset not in ("default", "published"):
        raise SettingsError(f"Mixing has no preset '{preset}'", fix="Use default or published")
    settings = MixSettings.published() if preset == "published" else MixSettings()
    return mix_folders(images, labels, healthy, out, settings=settings.changed(changes or {}), **options)


def _published(preset: str) -> PublishedSettings:
    if preset not in PRESETS:
        raise SettingsError(f"There is no preset '{preset}'", fix=f"Use one of default, {', '.join(PRESETS)}")
    return PRESETS[preset]()
