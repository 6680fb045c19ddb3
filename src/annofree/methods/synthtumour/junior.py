"""Fitting the first network: on made brains, or as published on healthy FLAIR with one bright blob."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annofree.errors import InputError
from annofree.methods.synthtumour.coarse import coarse_of
from annofree.scan import Cohort, Modality

if TYPE_CHECKING:
    from annofree.inference import Network
    from annofree.methods.synthtumour.case_folder import CaseFolder
    from annofree.synthesis import LabelMapBank
    from annofree.training.plan import TrainingPlan
    from annofree.training.settings import TrainSettings
    from annofree.training.stream import TrainingCase

Fitted = tuple["Network", dict[str, Any]]

#: Voxel size of the published preset's grid here, mm.
PUBLISHED_SPACING_MM = 2.0


def fit_made(
    bank: LabelMapBank,
    source: str | None,
    folder: Path,
    train: TrainSettings,
    plan: TrainingPlan | None = None,
    *,
    carriers: Sequence[Path] = (),
    check: Cohort | None = None,
) -> tuple[Fitted, dict[str, Any]]:
    """Train on made brains, and on real ones without tumour where there are any, with made tumours.

    Args:
        bank: Anatomies.
        source: The folder they came from; None for the MNI tissue maps.
        folder: Of the run.
        train: Steps and seed.
        plan: Voxel size, patch, batch and network, instead of the usual ones.
        carriers: Real brains, files of `write_carriers`; half of the samples come from them.
        check: Healthy scans that none of them is; what is called there counts against weights.

    Returns:
        The network with its config, and what it learned from.
    """
    from annofree.methods.synthtumour.made_junior import JuniorSettings, fit_junior

    recipe = JuniorSettings(train=train) if plan is None else JuniorSettings(train=train).planned(plan)
    free = [coarse_of(scan, recipe.spacing_mm).tumour_free() for scan in check or ()]
    trained = fit_junior(bank, folder, recipe, carriers=carriers, healthy=free)
    return _finished(trained), {
        "anatomies": "MNI152 tissue maps" if source is None else f"{len(bank)} label maps",
        "real brains that carried made tumours": len(carriers),
        "tumours": "made; no lesion of any patient, no mask",
        "steps": trained.step,
        "validation score on held-out made cases": trained.best_score,
    }


def fit_published(
    teach: Cohort, check: Cohort, folder: Path, train: TrainSettings, plan: TrainingPlan | None = None
) -> tuple[Fitted, dict[str, Any]]:
    """Train on the published form; weights are chosen by the distribution-shifted validation task.

    Healthy scans get tumours, some to teach and others to check; a plan has voxel size, patch, batch and network.

    Raises:
        InputError: There is no FLAIR on one of the sides.
        SettingsError: The plan is for voxels that are not cubes.
    """
    from annofree.methods.synthtumour.published_junior import PublishedCases, fit_flair_junior, shifted_validation

    spacing_mm, train, own = _planned(train, plan)
    make = PublishedCases(_flair_cases(teach, spacing_mm), spacing_mm)
    validate = shifted_validation(_flair_cases(check, spacing_mm), spacing_mm)
    trained = fit_flair_junior(make, validate, folder, train, spacing_mm=spacing_mm, **own)
    return _finished(trained), {
        "anatomies": f"{len(teach)} healthy scans",
        "tumours": "one bright blob in FLAIR as published; no lesion of any patient, no mask",
        "steps": trained.step,
        "Dice on the distribution-shifted validation task": trained.best_score,
    }


def fit_cases(
    cases: CaseFolder, folder: Path, train: TrainSettings, plan: TrainingPlan | None = None
) -> tuple[Fitted, dict[str, Any]]:
    """Train on cases that were written before; weights are chosen by those that the folder holds out.

    The cases on the network's grid are kept beside the run's folder, in `cases/`.

    Raises:
        InputError: A case cannot be used.
        SettingsError: The plan is for voxels that are not cubes.
    """
    from annofree.methods.synthtumour.published_junior import CaseValidation, fit_flair_junior
    from annofree.methods.synthtumour.senior import HeldCases

    spacing_mm, train, own = _planned(train, plan)
    teach, check = (cases.write(n, spacing_mm, folder.parent / "cases") for n in (cases.train, cases.held_out))
    validate = CaseValidation({"held_out": HeldCases(check)}, len(check), chooses="held_out")
    trained = fit_flair_junior(HeldCases(teach), validate, folder, train, spacing_mm=spacing_mm, **own)
    return _finished(trained), {
        "anatomies": f"{len(teach)} made cases of a folder, {len(check)} held out",
        "tumours": "made before, whole tumour in FLAIR; no mask of any patient",
        "steps": trained.step,
        "Dice on the cases that were held out": trained.best_score,
    }


def _planned(train: TrainSettings, plan: TrainingPlan | None) -> tuple[float, TrainSettings, dict[str, Any]]:
    """Voxel size, loop, and a plan's network and patch."""
    from annofree.training.samples import SampleSettings

    if plan is None:
        return PUBLISHED_SPACING_MM, train, {}
    own = {"network": plan.network, "sample": SampleSettings(patch=plan.patch)}
    return plan.cube_mm, train.model_copy(update={"batch": plan.batch}), own


def _finished(trained: Any) -> Fitted:
    from annofree.inference.torch_network import TorchNetwork
    from annofree.networks import load_network

    module, config = load_network(trained.folder / ("best" if trained.best_score is not None else "last"))
    return TorchNetwork(module), config


def _flair_cases(healthy: Cohort, spacing_mm: float) -> list[TrainingCase]:
    found = []
    for scan in healthy:
        if Modality.FLAIR in scan.images:
            found.append(coarse_of(scan, spacing_mm).tumour_free())
    if not found:
        raise InputError("No healthy scan has FLAIR, in which the published preset works", fix="Give scans with FLAIR")
    return found
