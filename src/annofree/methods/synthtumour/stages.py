"""Both stages of SynthTumour in one fit: junior, pseudo-labels, mixing, senior, and whether the senior is taken.

Every step leaves its artefacts in the fit's folder and is skipped when they are there, so a stopped fit goes on with
the same command. Half of the healthy scans teach, the other half, which neither network sees, checks and calibrates.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, OutputError
from annofree.formats.outfolder import read_json, write_json, write_table
from annofree.masks import dice
from annofree.methods.network_method import NetworkMethod
from annofree.methods.synthtumour.cases import read_case, read_scan, write_carriers
from annofree.methods.synthtumour.coarse import coarse_of, flair_alone
from annofree.methods.synthtumour.junior import MAPS, M, fit_or_load_junior
from annofree.methods.synthtumour.labelling import draw_sheet, pseudo_label, write_mixed_cases
from annofree.methods.synthtumour.pseudo_labels import PseudoLabelSettings, near_tumour
from annofree.methods.synthtumour.settings import SynthTumourSettings
from annofree.methods.synthtumour.validation import passes
from annofree.progress import say
from annofree.refine.appearance import Appearance
from annofree.refine.base import Refiner
from annofree.refine.components import KeepComponents
from annofree.scan import Cohort, Scan
from annofree.synthesis.mix import MixSettings, most_pairs
from annofree.training.healthy import bank_of

if TYPE_CHECKING:
    from annofree.training.loop import Validate
    from annofree.training.sources import MadeCases
    from annofree.training.stream import CaseMaker

#: What lies further than this from a sure tumour stays behind when the tumour is mixed, mm.
REACH_MM = 12.0
#: Made cases that choose the senior's weights.
VALIDATION_CASES = 8


@dataclass(frozen=True)
class Material:
    """What a senior learns from and is checked with.

    Attributes:
        teach: Healthy scans that teach.
        check: Healthy scans that neither network sees.
        patients: Patients without masks.
        hosts: The teaching scans on the networks' grid, by id.
        real: Folders of pseudo-labelled patients that are kept.
        mixed: Folders of mixed cases.
    """

    teach: Cohort
    check: Cohort
    patients: Cohort
    hosts: Mapping[str, Scan]
    real: list[Path]
    mixed: list[Path]


def fit_stages(method: M, healthy: Cohort | None, patients: Cohort, work: Path) -> M:
    """A method with both stages fitted: its networks, its smallest kept lesion, its card.

    There are at least two healthy scans, or none: then nothing is mixed, and made brains alone check the senior.

    Raises:
        InputError: There is one healthy scan, no patient's pseudo-label is good enough, or the senior is not taken and
            the settings say that then there shall be no model.
        OutputError: The folder holds the steps of another fit.
        Interrupted: Ctrl-C stopped a training.
    """
    own, healthy = method.settings, healthy or Cohort({})
    if own.published:
        healthy, patients = _flair_alone(healthy), _flair_alone(patients)
    teach, check = halves(healthy)
    if not healthy.ids:
        say("no healthy scan was given: what the networks call in healthy people is counted on made brains alone")
    told = own.model_dump(mode="json", exclude={"quality"})
    _claim(work / "stages.json", {"settings": told, "teach": teach.ids, "check": check.ids, "patients": patients.ids})
    method = fit_or_load_junior(method, teach, check, work, patients=patients)
    assert method.networks is not None
    _claim(work / "junior.json", {"weights": "+".join(_checksum(network.module()) for network, _ in method.networks)})
    spacing_mm = float(method.networks[0][1]["spacing_mm"])

    say(f"pseudo-labels of {len(patients)} patients")
    form = PseudoLabelSettings.published() if own.published else PseudoLabelSettings()
    kept, counts = pseudo_label(
        method.networks, method.refiners["WT"], patients, work / "pseudo_labels", form, seed=own.seed
    )
    if not kept:
        raise InputError(
            f"None of {len(patients)} patients has a pseudo-label that is good enough",
            file=work / "pseudo_labels" / "cases.csv",
            why=", ".join(f"{reason} {n}" for reason, n in counts["left out"].items()),
            fix="That file says why of each, and sheet.png beside it shows those that were read; give other patients",
        )
    say(f"kept {len(kept)} of {len(patients)}; mixing")
    hosts = {scan.id: coarse_of(scan, spacing_mm).scan for scan in teach}
    mixed = _mixed(kept, hosts, own, work / "mixed") if hosts else []
    material = Material(teach, check, patients, hosts, kept, mixed)
    challenger, verdict = _senior(method, material, work)
    if verdict["taken"]:
        method = challenger
    elif not own.keep_junior:
        raise InputError(
            "The network that learned from these patients is not taken",
            file=work / "gate.json",
            why=verdict["why"],
            fix="Keep the model that it started from; more patients or healthy scans may help",
        )
    if healthy.ids:
        method = method.calibrate(check if verdict["taken"] else healthy)
    stage = {
        "preset": own.preset,
        "patients": counts,
        "mixed cases": len(mixed),
        "steps": own.second_steps,
        "healthy scans that taught": list(teach.ids),
        "healthy scans that checked": list(check.ids),
        "senior": verdict,
        "note": "patients' images without any mask entered; results on the same patients are transductive",
    }
    return method.replace(card={**method.card, "second stage": stage})


def halves(healthy: Cohort) -> tuple[Cohort, Cohort]:
    """Every other healthy scan to learn from, the others to check with; none of either where none is given.

    Raises:
        InputError: There is only one.
    """
    ids = sorted(healthy.ids)
    if len(ids) == 1:
        raise InputError(
            "The second stage needs at least two healthy scans, or none",
            why="1 was given; one half teaches, the other checks the senior",
            fix="Give more with --healthy, or leave it out",
        )
    return healthy.subset(ids[0::2]), healthy.subset(ids[1::2])


def _mixed(kept: list[Path], hosts: Mapping[str, Scan], own: SynthTumourSettings, folder: Path) -> list[Path]:
    form = MixSettings.published() if own.published else MixSettings(tumour_uses=8, healthy_uses=8)
    tumours: dict[str, tuple[Scan, NDArray[np.uint8]]] = {}
    for case in kept:
        scan, packed = read_scan(case)
        reach = float("inf") if own.published else REACH_MM
        tumours[case.name] = scan, near_tumour(packed, scan.spacing_mm, reach)
    count = min(own.mixed, most_pairs(len(tumours), len(hosts), form))
    made = write_mixed_cases(tumours, hosts, folder, n=count, seed=own.seed, settings=form)
    draw_sheet(made, folder / "sheet.png")
    return made


def _senior(method: M, material: Material, work: Path) -> tuple[M, dict[str, Any]]:
    """Train, and compare on what no network saw: the method with the senior, and the verdict, written to `gate.json`.

    The senior goes on from the first network and takes its place; where there are several, what is compared is the mean
    of their answers, as the method gives it.
    """
    import torch

    from annofree.inference.torch_network import TorchNetwork
    from annofree.methods.synthtumour.published_junior import shifted_validation
    from annofree.methods.synthtumour.senior import GOING_ON, HeldCases, fit_senior
    from annofree.methods.synthtumour.validation import MadeValidation, Together
    from annofree.networks import build, load_network
    from annofree.training.settings import TrainSettings

    assert method.networks is not None
    own, config = method.settings, method.networks[0][1]
    junior = method.networks[0][0].module()
    spacing_mm = float(config["spacing_mm"])
    checking = [coarse_of(scan, spacing_mm).tumour_free() for scan in material.check]
    sources: dict[str, CaseMaker]
    validate: Validate
    if own.published:
        sources = {"mixed and pseudo-labelled": HeldCases([read_case(f) for f in (*material.mixed, *material.real)])}
        validate = shifted_validation(checking, spacing_mm)
        torch.manual_seed(own.seed + 1)
        network = build(config["network"])
        train = TrainSettings(steps=own.second_steps, seed=own.seed)
    else:
        made, sources = _sources(method, material, spacing_mm, work)
        validate = MadeValidation(made, range(VALIDATION_CASES), voxel_ml=spacing_mm**3 / 1000.0, healthy=checking)
        network = copy.deepcopy(junior)
        train = GOING_ON.model_copy(update={"steps": own.second_steps, "seed": own.seed})
    say(f"senior: {own.second_steps} steps on {', '.join(sources)}")
    fit_senior(network, sources, work / "senior", train, spacing_mm=spacing_mm, validate=validate)
    say("checking the senior on healthy scans")
    module, learned = load_network(work / "senior" / "best")
    challenger = method.replace(networks=[(TorchNetwork(module), learned), *method.networks[1:]])
    others = [network.module() for network, _ in method.networks[1:]]
    with torch.inference_mode():
        scores = validate(Together([junior, *others])), validate(Together([module, *others]))
    before = [float(mask.sum()) * ml for mask, ml in _called(method, material.check)]
    after = [float(mask.sum()) * ml for mask, ml in _called(challenger, material.check)]
    _write_changes(work / "changes.tsv", material.patients, method, challenger)
    verdict = passes(before, after, *scores)
    if own.published and not verdict["taken"]:
        verdict |= {"taken": True, "why": f"the published form has no gate; with one: {verdict['why']}"}
    write_json(work / "gate.json", verdict)
    return challenger, verdict


def first_refiners(method: NetworkMethod) -> list[Refiner]:
    """A method's rules of the whole tumour before small findings are dropped and borders moved."""
    return [rule for rule in method.refiners["WT"] if not isinstance(rule, KeepComponents | Appearance)]


def _called(method: NetworkMethod, scans: Cohort) -> list[tuple[NDArray[np.bool_], float]]:
    return method.called(scans, first_refiners(method))


def _write_changes(file: Path, patients: Cohort, junior: NetworkMethod, senior: NetworkMethod) -> None:
    """What each network calls in every patient, ml, and how far the two agree (Dice); n/a for unusable scans."""
    rows: list[tuple[object, ...]] = []
    for scan_id in patients.ids:
        one = patients.subset([scan_id])
        try:
            ((before, ml),), ((after, _),) = _called(junior, one), _called(senior, one)
        except InputError:
            rows.append((scan_id, None, None, None))
            continue
        called_ml = (round(float(mask.sum()) * ml, 2) for mask in (before, after))
        rows.append((scan_id, *called_ml, round(dice(before, after, empty=1.0), 3)))
    write_table(file, rows, ("scan_id", "junior_ml", "senior_ml", "agreement_dice"))


def _sources(
    method: NetworkMethod, material: Material, spacing_mm: float, work: Path
) -> tuple[MadeCases, dict[str, CaseMaker]]:
    """Made brains, and everything that takes turns with them."""
    from annofree.methods.synthtumour.partial import core_left_open
    from annofree.methods.synthtumour.senior import HeldCases
    from annofree.synthesis import SynthesisSettings
    from annofree.training.sources import MadeCases, PaintedCases

    made = MadeCases(bank_of(method.settings.labelmaps, work / MAPS), SynthesisSettings(), spacing_mm)
    files = write_carriers(material.teach, material.patients, work / "carriers")
    healthy = [coarse_of(scan, spacing_mm).tumour_free() for scan in material.hosts.values()]
    sources: dict[str, CaseMaker] = {
        "made": made,
        "pseudo-labelled": HeldCases([core_left_open(read_case(f)) for f in material.real]),
    }
    if healthy:
        sources["healthy"] = HeldCases(healthy)
    if files:
        sources["painted"] = PaintedCases(files, SynthesisSettings(), spacing_mm)
    if material.mixed:
        sources["mixed"] = HeldCases([core_left_open(read_case(f)) for f in material.mixed])
    return made, sources


def _flair_alone(cohort: Cohort) -> Cohort:
    """The same scans with FLAIR and nothing else, still loaded one at a time."""

    def load(scan_id: str) -> Scan:
        return flair_alone(cohort[scan_id])

    return Cohort({scan_id: partial(load, scan_id) for scan_id in cohort.ids}, cohort.name)


def _claim(file: Path, content: Mapping[str, Any]) -> None:
    """Refuse a folder whose artefacts belong to other scans, settings or another junior."""
    wanted = json.loads(json.dumps(content))
    if read_json(file) not in (None, wanted):
        raise OutputError(
            "The folder holds an unfinished fit of other scans, other settings or another junior",
            file=file,
            fix="Name another folder with -o, or give the same again to go on",
        )
    write_json(file, wanted)


def _checksum(network: Any) -> str:
    parts = (value.half().cpu().contiguous().numpy().tobytes() for value in network.state_dict().values())
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]
