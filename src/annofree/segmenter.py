"""A method loaded once and called for many scans: what `af.Segmenter` and `af.segment` are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annofree.pipeline import Choice, segment_scan
from annofree.trust.rate import DEFAULT_RATE

if TYPE_CHECKING:
    from annofree.batch.run import BatchReport
    from annofree.methods.base import Method
    from annofree.prepare import Recipe
    from annofree.refine.base import Refiner
    from annofree.scan import Cohort
    from annofree.segmentation import Segmentation
    from annofree.thresholds.base import Threshold


class Segmenter:
    """A method, loaded and ready.

    Args:
        method: A method's name, the folder of a fitted model, or a method; None takes the best one that ships.
        quality: "fast", "default" or "best", for methods with a network.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps"; where that is not at hand the processor computes, and the
            results say so.
        threshold: For the whole tumour, a threshold, its short form such as "fixed:2.0", or a number; None keeps the
            method's own.
        refine: Refiners of the whole tumour, or their short forms; "own" stands for the method's, "none" for no
            refiner; None keeps the method's own.
        sam: Folder of a SAM, for the refiner "sam".
        strict: Whether a scan that does not seem to belong is refused; otherwise `result.provenance["notes"]` says why.
        false_alarms: Share of tumour-free scans that may be called; `result.provenance["finding"]` has the answer.
        **options: Further settings that a run may change.

    Attributes:
        choice: All of that, as data.
        method: The method.

    Raises:
        AnnofreeError: The method does not exist, or a setting is unknown or belongs to the fit.

    Example:
        >>> import annofree as af
        >>> from annofree.phantom import phantom_subject
        >>> seg = af.Segmenter("intensity-published")
        >>> seg(phantom_subject(seed=1).scan, locate=False).volumes_ml["WT"] > 0
        True
    """

    def __init__(
        self,
        method: str | Path | Method | None = None,
        *,
        quality: str | None = None,
        device: str = "auto",
        threshold: str | float | Threshold | None = None,
        refine: str | Refiner | Iterable[str | Refiner] | None = None,
        sam: str | Path | None = None,
        strict: bool = False,
        false_alarms: float = DEFAULT_RATE,
        **options: Any,
    ) -> None:
        from annofree.methods import METHODS
        from annofree.refine.base import Refiner

        named, model = method, None
        if isinstance(method, Path) or (isinstance(method, str) and method not in METHODS and Path(method).is_dir()):
            named, model = None, str(method)
        if isinstance(refine, str | Refiner):
            refine = (refine,)
        if quality is not None:
            options["quality"] = quality
        self.choice = Choice(
            method=named,  # type: ignore[arg-type]
            model=model,
            threshold=threshold,
            refine=None if refine is None else tuple(refine),
            options=options,
            sam=None if sam is None else str(sam),
            device=device,
            strict=strict,
            false_alarms=false_alarms,
        )
        self.method = self.choice.build()

    def __call__(
        self,
        source: Any,
        *,
        sequence: str | None = None,
        brain_mask: Any = None,
        locate: bool = True,
        prepare: Recipe | None = None,
    ) -> Segmentation:
        """Segment one scan.

        Args:
            source: A patient's folder, one image file, a nibabel image, `{sequence: file}`, or a `Scan`.
            sequence: What a single file holds, where its name does not say.
            brain_mask: A brain mask file for scans with a skull.
            locate: Whether lesions get side and lobe.
            prepare: What is done to a raw study, with a skull or sequences on grids of their own; None is `Recipe()`.

        Returns:
            The segmentation on the scan's grid; `.save(out)` writes it, its page included.

        Raises:
            AnnofreeError: The input cannot be used; the message says what to do.
        """
        from annofree.formats import open_scan
        from annofree.prepare import Recipe

        scan = open_scan(source, sequence=sequence, brain_mask=brain_mask, prepare=prepare or Recipe())
        return segment_scan(scan, self.method, locate=locate, **self.choice.trust).replace(scan=scan)

    def run(self, cohort: Cohort | str | Path, out: str | Path, **options: Any) -> BatchReport:
        """Segment every scan of a cohort into a folder; a run that was stopped goes on from there.

        Args:
            cohort: The scans, or their folder.
            out: Output folder.
            **options: As for `annofree.batch.run.run`: workers, scheduler, locate, review, progress.
        """
        from annofree.batch.run import run
        from annofree.formats import open_cohort
        from annofree.prepare import Recipe
        from annofree.scan import Cohort

        scans = cohort if isinstance(cohort, Cohort) else open_cohort(cohort, prepare=Recipe())
        return run(scans, self.choice, out, method=self.method, **options)

    def __repr__(self) -> str:
        return f"<Segmenter: {self.method.name}, tier {self.method.tier}, on {self.method.device}>"


def segment(
    source: Any,
    *,
    method: str | Path | Method | None = None,
    model: str | Path | None = None,
    sequence: str | None = None,
    brain_mask: Any = None,
    locate: bool = True,
    prepare: Recipe | None = None,
    **options: Any,
) -> Segmentation:
    """Segment one scan: `Segmenter(method, **options)(source)` in one line.

    `model` is the folder of a model of your own instead of a method; `sequence`, `brain_mask`, `locate` and `prepare`
    go to the call, all else to `Segmenter`.

    Raises:
        AnnofreeError: The input cannot be used, or the method does not exist; the message says what to do.

    Example:
        >>> import annofree as af
        >>> from annofree.phantom import phantom_subject
        >>> result = af.segment(phantom_subject(seed=1).scan, method="intensity-published", locate=False)
        >>> result.volumes_ml["WT"] > 0
        True
    """
    if method is not None and model is not None:
        from annofree.errors import InputError

        raise InputError("Both a method and a model were given", fix="Give one of the two")
    segmenter = Segmenter(Path(model) if model is not None else method, **options)
    return segmenter(source, sequence=sequence, brain_mask=brain_mask, locate=locate, prepare=prepare)


def open(source: Any, **options: Any) -> Any:
    """Open what lies there: a `Scan` where it is one visit of one person, else a `Cohort`.

    Args:
        source: A folder, a file, a nibabel image, or `{sequence: file}`.
        **options: As for `annofree.formats.open_scan` and `open_cohort`.
    """
    from annofree.formats import open_cohort, open_scan

    if not isinstance(source, str | Path):
        return open_scan(source, **options)
    cohort = open_cohort(source, **options)
    return cohort[cohort.ids[0]] if len(cohort) == 1 else cohort
