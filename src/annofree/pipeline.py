"""From file to answer: what `af.segment` does for a scan, and from folders to a fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annofree.errors import InputError, OutputError, SettingsError
from annofree.extras import explained
from annofree.progress import stage

if TYPE_CHECKING:
    from annofree.methods.base import Method
    from annofree.prepare import Recipe
    from annofree.refine.base import Refiner
    from annofree.scan import Cohort, Scan
    from annofree.segmentation import Segmentation

DEFAULT_METHOD = "synthtumour"


@dataclass(frozen=True)
class Choice:
    """Which method, and how it decides.

    Attributes:
        method: A method's name; None takes the default.
        model: A folder that `annofree fit` wrote, instead of a shipped model.
        threshold: A threshold for the whole tumour such as "fixed:2.0"; None keeps the method's own.
        refine: Refiners for the whole tumour such as ("components:26,min_ml=0.5",); None keeps the method's own, and
            "own" among them stands for those.
        options: Further settings of the method, by name.
        sam: Folder of a SAM, for the refiner "sam".
    """

    method: str | None = None
    model: str | None = None
    threshold: str | None = None
    refine: tuple[str, ...] | None = None
    options: Mapping[str, Any] | None = None
    sam: str | None = None

    def build(self) -> Method:
        """The method, loaded and ready.

        Raises:
            InputError: Both a method and a model are named.
            SettingsError: A threshold or refiner is not understood, or a SAM is named that nothing uses.
        """
        from annofree import methods

        if self.method and self.model:
            raise InputError(
                "Both a method and a model were given", fix="Give --method NAME for a shipped one, or --model FOLDER"
            )
        built = methods.load(self.model) if self.model else methods.shipped(self.method or DEFAULT_METHOD)
        changes: dict[str, Any] = dict(self.options or {})
        if self.threshold is not None:
            from annofree.thresholds import parse as parse_threshold

            changes["thresholds"] = {"WT": parse_threshold(self.threshold)}
        if self.refine is not None or self.sam is not None:
            changes["refiners"] = {"WT": self._chain(built.refiners.get("WT", ()))}
        return built.replace(**changes)

    def _chain(self, own: tuple[Refiner, ...]) -> tuple[Refiner, ...]:
        """The chosen refiners of the whole tumour, able to run."""
        from annofree.refine import Sam, parse

        chain: list[Refiner] = []
        for text in ("own",) if self.refine is None else self.refine:
            chain += own if text.strip().lower() == "own" else (parse(text),)
        if self.sam is not None:
            if not any(isinstance(refiner, Sam) for refiner in chain):
                raise SettingsError("A SAM was given, but no refiner uses it", fix="Add --refine sam")
            chain = [r.model_copy(update={"folder": self.sam}) if isinstance(r, Sam) else r for r in chain]
        for refiner in chain:
            refiner.check()
        return tuple(chain)


def segment_scan(scan: Scan, method: Method, *, locate: bool = True) -> Segmentation:
    """Segment a scan with a method and describe each lesion.

    Args:
        scan: The scan.
        method: A fitted method.
        locate: Whether lesions get side and lobe (an affine alignment with the MNI template, a few seconds).
    """
    stage("finding the tumour")
    result: Segmentation = method.segment(scan)
    if scan.preparation is not None:
        result = result.replace(provenance={**result.provenance, "preparation": scan.preparation.to_dict()})
    from annofree.anatomy import locate as locate_lesions

    if locate:
        stage("naming sides and lobes")
    lesions = locate_lesions(result.labels, scan, scores=result.scores.get("WT"), with_lobes=locate)
    return result.replace(lesions=lesions)


def segment(
    source: Any,
    *,
    method: str | None = None,
    model: str | Path | None = None,
    threshold: str | None = None,
    refine: tuple[str, ...] | None = None,
    sequence: str | None = None,
    brain_mask: str | Path | None = None,
    locate: bool = True,
    sam: str | Path | None = None,
    prepare: Recipe | None = None,
    **options: Any,
) -> Segmentation:
    """Segment one scan.

    Args:
        source: A patient's folder, one image file, a nibabel image, `{sequence: file}`, or a `Scan`.
        method: A method's name; None takes the best one that ships.
        model: Folder of a model of your own.
        threshold: Threshold for the whole tumour, such as "fixed:2.0"; None keeps the method's own.
        refine: Refiners for the whole tumour; None keeps the method's own, and "own" among them stands for those.
        sequence: What a single file holds, where its name does not say.
        brain_mask: A brain mask file for scans with a skull.
        locate: Whether lesions get side and lobe.
        sam: Folder of a SAM, for the refiner "sam".
        prepare: What is done to a raw study, with a skull or sequences on grids of their own; None is `Recipe()`.
        **options: Settings of the method.

    Returns:
        The segmentation on the scan's grid; `.save(out)` writes it, its page included.

    Raises:
        AnnofreeError: The input cannot be used, or the method does not exist; the message says what to do.

    Example:
        >>> import annofree as af
        >>> from annofree.phantom import phantom_subject
        >>> result = af.segment(phantom_subject(seed=1).scan, method="intensity-published", locate=False)
        >>> result.volumes_ml["WT"] > 0
        True
    """
    from annofree.formats import open_scan
    from annofree.prepare import Recipe

    folders = [None if folder is None else str(folder) for folder in (model, sam)]
    choice = Choice(method, folders[0], threshold, refine, options, folders[1])
    scan = open_scan(source, sequence=sequence, brain_mask=brain_mask, prepare=prepare or Recipe())
    return segment_scan(scan, choice.build(), locate=locate).replace(scan=scan)


def fit(
    method: str,
    *,
    out: str | Path,
    healthy: str | Path | Cohort | None = None,
    patients: str | Path | Cohort | None = None,
    reports: str | Path | None = None,
    brain_mask: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Method:
    """Fit a method and save it as a model folder.

    Args:
        method: A method's name.
        out: Model folder to write; it must be absent, empty, or hold an unfinished fit of the same method.
        healthy: Healthy scans, a folder or a cohort.
        patients: Patients' scans without masks, a folder or a cohort.
        reports: Folder of the patients' reports.
        brain_mask: A brain mask file, or a name pattern of mask files beside the healthy scans ("*_brainmask*").
        settings: Settings of the method, by name.

    Raises:
        AnnofreeError: There is nothing to learn from, or a folder cannot be used.
    """
    from annofree import methods
    from annofree.formats import open_cohort
    from annofree.formats.standing import unfinished_fit
    from annofree.prepare import Recipe

    out = Path(out)
    if (out / "config.yaml").exists():
        raise OutputError("The model folder holds a fitted model already", file=out, fix="Name another folder with -o")
    learner = methods.create(method, **(settings or {}))
    if isinstance(healthy, str | Path):
        healthy = open_cohort(healthy, brain_mask=brain_mask, prepare=Recipe())
    if isinstance(patients, str | Path):
        patients = open_cohort(patients, reports=reports, prepare=Recipe())
    row = methods.info(method)
    if healthy is None and patients is None:
        raise InputError(
            f"There is nothing to fit '{method}' on",
            why=f"it learns from {' and '.join(row.learns_from) or 'nothing'}",
            fix="Give --healthy DIR" if "healthy" in row.learns_from else "Use it without a fit",
        )
    with explained(f"Fitting '{method}'"), unfinished_fit(out, method):
        fitted = learner.fit(healthy=healthy, patients=patients, workspace=out)
        fitted.save(out)
    return fitted
