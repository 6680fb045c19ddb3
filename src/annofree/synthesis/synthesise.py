"""Which of the generators serves an order for made cases; the whole of `annofree synth`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annofree.errors import InputError, SettingsError
from annofree.formats.scans import open_cohort
from annofree.synthesis.dataset import write_one, write_published
from annofree.synthesis.published import PRESETS, PublishedSettings

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
    workers: int = 1,
    layout: str = "nnunet",
) -> Path:
    """Make a folder of cases.

    Args:
        out: An absent or empty folder.
        n: Number of cases; by default 20, and one a healthy scan in the published forms.
        seed: Decides everything.
        preset: "default": made tumours in made brains, or in real ones where scans are given. Or a published form, see
            `annofree.synthesis.published.PRESETS`.
        labelmaps: Folder of anatomical label maps for made brains; the MNI brain by default.
        healthy: Healthy scans.
        patients: Patients' scans, made pseudo-healthy.
        brain_mask: Name pattern of brain masks beside the scans.
        workers: Processes.
        layout: "nnunet" or "folders".

    Raises:
        InputError: Something needed is missing or cannot be used.
        SettingsError: There is no such preset.
        OutputError: The folder is not empty or not writable.
    """
    if out is None:
        raise InputError("No place for made cases was given", fix="Give a folder with -o, or three files: IN IMG LAB")
    if preset != "default":
        settings = _published(preset)
        if healthy is None or labelmaps is not None or patients is not None:
            raise InputError(
                f"The preset '{preset}' puts tumours into healthy scans, and nothing else",
                fix="Give --healthy DIR alone",
            )
        cohort = open_cohort(healthy, brain_mask=brain_mask)
        return write_published(cohort, out, n=n, seed=seed, settings=settings, workers=workers, layout=layout)
    number = _USUAL_NUMBER if n is None else n
    if healthy is not None or patients is not None:
        from annofree.synthesis.real_dataset import carriers_from, write_in_real_brains

        if labelmaps is not None:
            raise InputError("Label maps and scans were given at once", fix="Make one folder of each")
        cohorts = [None if path is None else open_cohort(path, brain_mask=brain_mask) for path in (healthy, patients)]
        carriers = carriers_from(*cohorts)
        return write_in_real_brains(carriers, out, n=number, seed=seed, workers=workers, layout=layout)
    from annofree.synthesis import LabelMapBank, export_cases

    if layout not in ("nnunet", "folders"):
        raise InputError(f"There is no layout '{layout}'", fix="Use nnunet or folders")
    bank = LabelMapBank.from_mni() if labelmaps is None else LabelMapBank.from_folder(labelmaps)
    return export_cases(out, number, bank, seed=seed, layout=layout, workers=workers)  # type: ignore[arg-type]


def synthesise_one(
    files: Sequence[Path],
    *,
    preset: str = "default",
    seed: int = 0,
    brain_mask: str | None = None,
    validation: bool = False,
    overwrite: bool = False,
    out: Path | None = None,
) -> dict[str, Any]:
    """Put a tumour into one healthy image: IN, the image to write, the labels to write.

    Raises:
        InputError: There are not exactly three files, or a folder was asked for as well.
        SettingsError: There is no such preset.
    """
    if len(files) != 3 or out is not None:
        raise InputError(
            f"{len(files)} files {'and a folder were' if out else 'were'} given",
            fix="Give three files (healthy image, image to write, labels to write), or -o FOLDER and no file",
        )
    settings = _published("published" if preset == "default" else preset)
    return write_one(
        *files, seed=seed, settings=settings, brain_mask=brain_mask, validation=validation, overwrite=overwrite
    )


def _published(preset: str) -> PublishedSettings:
    if preset not in PRESETS:
        raise SettingsError(f"There is no preset '{preset}'", fix=f"Use one of default, {', '.join(PRESETS)}")
    return PRESETS[preset]()
