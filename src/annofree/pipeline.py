"""Which method, built and ready; one scan through it; and from folders to a fitted model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annofree.errors import InputError, OutputError, SettingsError
from annofree.extras import explained
from annofree.progress import heard, stage
from annofree.trust.rate import DEFAULT_RATE

if TYPE_CHECKING:
    from annofree.anatomy import Alignment
    from annofree.methods.base import Method
    from annofree.methods.registry import MethodInfo
    from annofree.refine.base import Refiner
    from annofree.scan import Cohort, Scan
    from annofree.segmentation import Segmentation
    from annofree.thresholds.base import Threshold
    from annofree.trust.check import Check

DEFAULT_METHOD = "synthtumour"


@dataclass(frozen=True)
class Choice:
    """Which method, and how it decides.

    Its fields are what `annofree.segmenter.Segmenter` takes, but that `model` is the folder of a fitted one and
    `options` are the settings that a run may change. A threshold and refiners are for the whole tumour; None keeps the
    method's own, and "own" among refiners stands for those, "none" for no refiner.
    """

    method: str | Method | None = None
    model: str | None = None
    threshold: str | float | Threshold | None = None
    refine: tuple[str | Refiner, ...] | None = None
    options: Mapping[str, Any] | None = None
    sam: str | None = None
    device: str = "auto"
    strict: bool = False
    false_alarms: float = DEFAULT_RATE

    @property
    def trust(self) -> dict[str, Any]:
        """How `segment_scan` is to doubt."""
        return {"strict": self.strict, "false_alarms": self.false_alarms}

    def to_dict(self) -> dict[str, Any]:
        """The choice as JSON can hold it; a method that was given as such is only named."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("method", "threshold"):
            if hasattr(plain[name], "name") or hasattr(plain[name], "to_dict"):
                held = plain[name]
                plain[name] = held.to_dict() if hasattr(held, "to_dict") else {"in memory": held.name}
        if self.refine is not None:
            plain["refine"] = [one if isinstance(one, str) else one.to_dict() for one in self.refine]
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Choice:
        """The inverse of `to_dict`.

        Raises:
            InputError: The method lived in memory.
        """
        from annofree.refine import REFINERS
        from annofree.thresholds import THRESHOLDS

        known = {f.name for f in fields(cls)}
        plain = {name: value for name, value in values.items() if name in known}
        if isinstance(plain.get("method"), Mapping):
            raise InputError(
                f"The method '{plain['method']['in memory']}' of that run lived in memory",
                fix="Save it with method.save(FOLDER), run it with --model FOLDER, then a run can be repeated",
            )
        if isinstance(plain.get("threshold"), Mapping):
            plain["threshold"] = THRESHOLDS.from_dict(plain["threshold"])
        if plain.get("refine") is not None:
            plain["refine"] = tuple(r if isinstance(r, str) else REFINERS.from_dict(r) for r in plain["refine"])
        return cls(**plain)

    def build(self) -> Method:
        """The method, loaded and ready.

        Raises:
            InputError: Both a method and a model are named.
            SettingsError: A threshold or refiner is not understood, or a SAM is named that nothing uses.
        """
        from annofree import methods

        if not 0 < self.false_alarms < 1:
            raise SettingsError(
                f"A false-alarm rate of {self.false_alarms:g} makes no sense", fix="Give a share such as 0.05"
            )
        if self.method and self.model:
            raise InputError(
                "Both a method and a model were given", fix="Give --method NAME for a shipped one, or --model FOLDER"
            )
        if self.model:
            built = methods.load(self.model)
        else:
            chosen = self.method or DEFAULT_METHOD
            built = methods.shipped(chosen) if isinstance(chosen, str) else chosen
        changes: dict[str, Any] = dict(self.options or {})
        if changes.keys() - built.run_settings == {"quality"}:
            raise SettingsError(f"A quality means nothing to '{built.name}'", fix="Leave --quality out")
        if self.threshold is not None:
            from annofree.thresholds import parse as parse_threshold

            own = f"fixed:{self.threshold}" if isinstance(self.threshold, int | float) else self.threshold
            changes["thresholds"] = {"WT": parse_threshold(own) if isinstance(own, str) else own}
        if self.refine is not None or self.sam is not None:
            changes["refiners"] = {"WT": self._chain(built.refiners.get("WT", ()))}
        return built.replace(**changes).on(self.device)

    def _chain(self, own: tuple[Refiner, ...]) -> tuple[Refiner, ...]:
        """The chosen refiners of the whole tumour, able to run."""
        from annofree.refine import Sam, chosen_chain

        chain = chosen_chain(("own",) if self.refine is None else self.refine, own)
        if self.sam is not None:
            if not any(isinstance(refiner, Sam) for refiner in chain):
                raise SettingsError("A SAM was given, but no refiner uses it", fix="Add --refine sam")
            chain = tuple(r.model_copy(update={"folder": self.sam}) if isinstance(r, Sam) else r for r in chain)
        for refiner in chain:
            refiner.check()
        return chain


def segment_scan(
    scan: Scan, method: Method, *, locate: bool = True, strict: bool = False, false_alarms: float = DEFAULT_RATE
) -> Segmentation:
    """Look whether a scan belongs, segment it with a method and describe each lesion.

    Naming side and lobe takes an affine alignment with the MNI template, a few seconds; `strict` refuses a scan that
    does not seem to belong.

    Raises:
        InputError: It is, or a scan from memory holds what is no grey level.
    """
    from annofree.anatomy import locate as locate_lesions
    from annofree.formats.contents import refuse_no_picture
    from annofree.trust.belongs import refuse_misfit

    for name, image in () if scan.files else scan.images.items():  # files were looked at when they were read
        refuse_no_picture(image, f"scan '{scan.id}'", name)
    stage("finding the tumour")
    with ThreadPoolExecutor(1) as beside:
        looking = beside.submit(_look, scan)
        if strict:
            refuse_misfit(scan, looking.result()[1])
        result: Segmentation = method.segment(scan)
        alignment, checks = looking.result()
    result = _with_checks(result, checks, len(scan.notes))
    if locate:
        stage("naming sides and lobes")
    lesions = locate_lesions(
        result.labels,
        scan,
        scores=result.scores.get("WT"),
        with_lobes=locate,
        alignment=(lambda: alignment) if locate else None,
        regions=result.regions,
    )
    return _with_trust(result.replace(lesions=lesions), scan, method, false_alarms, checks)


def _with_checks(result: Segmentation, checks: Sequence[Check], read: int) -> Segmentation:
    """The result whose record holds the checks, their warnings behind the notes of reading, which are so many."""
    from annofree.trust.belongs import note_of

    told, warned = dict(result.provenance), [note_of(check) for check in checks if check.warning]
    told |= {name: [*told[name][:read], *warned, *told[name][read:]] for name in ("notes", "scan notes")}
    told["checks"] = [check.to_dict() for check in checks]
    return result.replace(provenance=told)


def _with_trust(
    result: Segmentation, scan: Scan, method: Method, false_alarms: float, checks: Sequence[Check]
) -> Segmentation:
    """The result whose record says whether a tumour was found, and what the answer is probably worth."""
    from annofree.trust.expectation import CHANGED

    finding, expected = method.classify(result.lesions, false_alarms), method.expect(result, scan)
    failed = ", ".join(check.name for check in checks if check.warning)
    # rate and expectation were learned on scans that belong
    if why := f"the scan may not belong ({failed})" if failed else expected.unseen:
        finding, expected = finding.without_rate(why), expected.withdrawn(why)
    told = {**result.provenance, "finding": asdict(finding), "expectation": asdict(expected)}
    if expected == CHANGED or (expected.unseen and not failed):  # nobody looks for what is missing
        told["notes"] = [*told["notes"], expected.sentence]
    if expected.outside:
        told["notes"] = [*told["notes"], expected.outside]
    return result.replace(provenance=told)


def _look(scan: Scan) -> tuple[Alignment, tuple[Check, ...]]:
    """Where the brain lies and whether the scan belongs: half a second of work that a network need not wait for."""
    from annofree.anatomy import register_to_mni
    from annofree.anatomy.locate import plane_of
    from annofree.trust.belongs import examine

    alignment = register_to_mni(scan)
    checks = examine(scan, alignment)
    plane_of(scan)  # the scan keeps it for the lesions' sides
    return alignment, checks


def fit(
    method: str,
    *,
    out: str | Path,
    healthy: str | Path | Cohort | None = None,
    patients: str | Path | Cohort | None = None,
    reports: str | Path | None = None,
    brain_mask: str | Path | None = None,
    patients_mask: str | Path | None = None,
    sequence: str | None = None,
    settings: Mapping[str, Any] | None = None,
    keep: bool = False,
) -> Method:
    """Fit a method and save it as a model folder.

    A fit that is stopped leaves no model; the same call goes on. A finished one leaves the model and its log.

    Args:
        method: A method's name.
        out: Model folder to write; it must be absent, empty, or hold an unfinished fit of the same method.
        healthy: Healthy scans, a folder or a cohort.
        patients: Patients' scans without masks, a folder or a cohort.
        reports: Folder of the patients' reports.
        brain_mask: A brain mask file, or a name pattern of mask files beside the healthy scans ("*_brainmask*").
        patients_mask: The same for the patients.
        sequence: What the images are, where their names do not say it and each scan has one.
        settings: Settings of the method, by name.
        keep: Leave what the fit worked with (checkpoints, pseudo-labels) in `training/`.

    Raises:
        AnnofreeError: There is nothing to learn from, or a folder cannot be used.
        KeyboardInterrupt: Ctrl-C stopped it.
    """
    from annofree.formats.standing import listed, ordered, unfinished_fit
    from annofree.training.remains import WORK, clear_up, require_space

    out = Path(out)
    if (out / "config.yaml").exists():
        raise OutputError("The model folder holds a fitted model already", file=out, fix="Name another folder with -o")
    sources: dict[str, Any] = {"healthy": healthy, "patients": patients, "reports": reports, "sequence": sequence}
    sources |= {"brain_mask": brain_mask, "patients_mask": patients_mask}
    with explained(f"Fitting '{method}'"):
        learner, healthy, patients = ready_to_fit(method, settings or {}, **sources)
        asked = {
            "settings": ordered(learner.settings, learner.run_settings),
            "healthy scans": listed(healthy),
            "patients": listed(patients),
        }
        with unfinished_fit(out, method, asked), heard():
            require_space(out, learner.fit_mb)
            fitted = learner.fit(healthy=healthy, patients=patients, workspace=out / WORK)
            fitted.save(out)
            if not keep:
                clear_up(out)
    return fitted


def ready_to_fit(
    method: str,
    settings: Mapping[str, Any],
    *,
    healthy: str | Path | Cohort | None = None,
    patients: str | Path | Cohort | None = None,
    reports: str | Path | None = None,
    brain_mask: str | Path | None = None,
    patients_mask: str | Path | None = None,
    sequence: str | None = None,
) -> tuple[Method, Cohort | None, Cohort | None]:
    """What `fit` would begin with: the method that learns, healthy scans and patients, checked; no image is read.

    Raises:
        AnnofreeError: A setting, a folder or a file that a setting names cannot be used, or the scans cannot suffice.
    """
    from annofree import methods
    from annofree.formats import open_cohort
    from annofree.formats.standing import refuse_shared
    from annofree.prepare.recipe import Remembered

    learner = methods.create(method, **settings)
    check_sources(methods.info(method), healthy, patients, reports, brought=learner.brings_material)
    if (brain_mask is not None and healthy is None) or (patients_mask is not None and patients is None):
        fix = "--brain-mask goes with --healthy, --patients-mask with --patients"
        raise InputError("A brain mask was given without the scans that it belongs to", fix=fix)
    if isinstance(healthy, str | Path):
        healthy = open_cohort(healthy, brain_mask=brain_mask, sequence=sequence, prepare=Remembered())
    if isinstance(patients, str | Path):
        patients = open_cohort(
            patients, reports=reports, brain_mask=patients_mask, sequence=sequence, prepare=Remembered()
        )
    refuse_shared(healthy, patients)
    learner.check_fit(healthy, patients)
    return learner, healthy, patients


def check_sources(row: MethodInfo, healthy: Any, patients: Any, reports: Any, *, brought: bool = False) -> None:
    """Refuse to fit on nothing, and to be given what the method would not look at."""
    if healthy is None and patients is None and not brought:
        raise InputError(
            f"There is nothing to fit '{row.name}' on",
            why=f"it learns from {' and '.join(row.learns_from) or 'nothing'}",
            fix="Give --healthy DIR" if "healthy" in row.learns_from else "Use it without a fit",
        )
    for kind, given in (("patients", patients), ("reports", reports)):
        if given is not None and row.learns_from and kind not in row.learns_from:
            raise InputError(
                f"'{row.name}' learns nothing from {kind}",
                why=f"it learns from {' and '.join(row.learns_from)}",
                fix=f"Leave --{kind} out, or choose another method (annofree methods)",
            )
    if reports is not None and patients is None:
        raise InputError("Reports were given without the patients' scans", fix="Name their folder with --patients")
