"""The first network: another model's, or a new one, taught by made brains or as published by blobs in healthy FLAIR."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from annofree.errors import InputError, SettingsError
from annofree.methods.network_method import NetworkMethod
from annofree.methods.synthtumour.coarse import coarse_of
from annofree.methods.synthtumour.settings import SynthTumourSettings
from annofree.scan import Cohort, Modality
from annofree.training.healthy import bank_of

if TYPE_CHECKING:
    from annofree.inference import Network
    from annofree.methods.synthtumour.case_folder import CaseFolder
    from annofree.synthesis import LabelMapBank
    from annofree.training.plan import TrainingPlan
    from annofree.training.settings import TrainSettings
    from annofree.training.stream import TrainingCase

Fitted = tuple["Network", dict[str, Any]]
M = TypeVar("M", bound=NetworkMethod)

#: Anatomies for made brains; read once, then kept under this name in the fit's folder.
MAPS = "maps.npz"

#: Voxel size of the published preset's grid here, mm.
PUBLISHED_SPACING_MM = 2.0


def named_cases(own: SynthTumourSettings) -> CaseFolder | None:
    """The data set that the setting `cases` names; None where it names none.

    Raises:
        SettingsError: Another setting says that no published junior is trained.
        InputError: It is no such data set.
    """
    if own.cases is None:
        return None
    if not own.published or own.junior not in (None, "fit"):
        raise SettingsError(
            "The setting 'cases' names what a junior of the published preset learns from, and none is trained",
            fix="Add --set preset=published and leave the setting 'junior' out, or leave 'cases' out",
        )
    from annofree.methods.synthtumour.case_folder import open_case_folder

    return open_case_folder(own.cases)


def junior_from(own: SynthTumourSettings, default: str) -> str:
    """Where the first network comes from: "fit", "shipped" or a model folder; `default` where no setting says."""
    return own.junior or ("fit" if own.published or own.plan is not None else default)


def given_junior(method: M, where: str) -> M:
    """The model, "shipped" or of a folder, whose network is a method's first one.

    Raises:
        InputError: It is no model of synthtumour with this preset.
    """
    from annofree import methods

    model = methods.shipped("synthtumour") if where == "shipped" else methods.load(where)
    if not isinstance(model, type(method)) or model.settings.preset != method.settings.preset:
        raise InputError(
            f"A junior of preset '{method.settings.preset}' is needed, and '{where}' is none",
            fix="Name a synthtumour model folder of that preset, or --set junior=fit",
        )
    return model


def fit_or_load_junior(
    method: M,
    teach: Cohort | None,
    check: Cohort | None,
    work: Path,
    *,
    patients: Cohort | None = None,
    default: str = "shipped",
) -> M:
    """A method with its first network: the shipped one, another's, or a new one (`default` where no setting says).

    Tumours are made in the scans that `teach`; those that `check` help to choose the weights; patients' healthier
    halves, mirrored, carry made tumours too. The training is kept in `junior/` below the work folder.
    """
    from annofree.methods.synthtumour.cases import write_carriers
    from annofree.training.plan import read_plan
    from annofree.training.settings import TrainSettings

    own: SynthTumourSettings = method.settings
    where = junior_from(own, default)
    if where != "fit":
        model = given_junior(method, where)
        origin = where if where == "shipped" else "another model"
        learned_from = {**model.card.get("learned from", {}), "junior": origin}
        card = {**method.card, "learned from": learned_from}
        return method.replace(networks=model.networks, refiners=dict(model.refiners), card=card)
    plan = None if own.plan is None else read_plan(own.plan)
    train, cases = TrainSettings(steps=own.steps, seed=own.seed), named_cases(own)
    if cases is not None:
        network, learned_from = fit_cases(cases, work / "junior", train, plan)
    elif own.published:
        assert teach is not None
        assert check is not None
        network, learned_from = fit_published(teach, check, work / "junior", train, plan)
    else:
        files = write_carriers(teach or Cohort({}), patients or Cohort({}), work / "carriers")
        bank, folder = bank_of(own.labelmaps, work / MAPS), work / "junior"
        network, learned_from = fit_made(bank, own.labelmaps, folder, train, plan, carriers=files, check=check)
    return method.replace(networks=[network], card={**method.card, "learned from": learned_from})


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

    module, config = load_network(trained.chosen)
    return TorchNetwork(module), config


def _flair_cases(healthy: Cohort, spacing_mm: float) -> list[TrainingCase]:
    found = [coarse_of(scan, spacing_mm).tumour_free() for scan in healthy if Modality.FLAIR in scan.images]
    if not found:
        raise InputError("No healthy scan has FLAIR, in which the published preset works", fix="Give scans with FLAIR")
    return found
