"""`annofree demo`: the default method on a small phantom cohort, scored, with pages to look at."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from annofree.batch.run import BatchReport, run
from annofree.errors import OutputError
from annofree.evaluation.evaluate import Evaluation, evaluate
from annofree.formats import open_cohort
from annofree.formats.outfolder import atomic_write
from annofree.phantom import write_cohort
from annofree.pipeline import Choice

MARK = ".annofree-demo"
#: What the default method reaches on every phantom with a tumour: whole-tumour Dice.
GOOD_DICE = 0.85
#: What it may call in a phantom without a tumour, ml.
GOOD_FALSE_ML = 1.0


@dataclass(frozen=True)
class Demo:
    """What the demo made: the run's report and the scores."""

    report: BatchReport
    evaluation: Evaluation

    @property
    def shortfalls(self) -> tuple[str, ...]:
        """What is less than the default method reaches where it is well, one sentence a scan."""
        found = [f"{failure.id} failed: {failure.what}" for failure in self.report.failures]
        for case in self.evaluation.cases:
            dice, true_ml, called_ml = (case.value(metric) for metric in ("dice", "truth_ml", "predicted_ml"))
            if true_ml > 0 and dice < GOOD_DICE:
                found.append(f"{case.case}: Dice {dice:.2f}, less than {GOOD_DICE}")
            if true_ml == 0 and called_ml > GOOD_FALSE_ML:
                found.append(f"{case.case} has no tumour, and {called_ml:.1f} ml were called")
        return tuple(found)


def demo(
    out: str | Path,
    *,
    n: int = 4,
    seed: int = 0,
    spacing_mm: float = 2.0,
    overwrite: bool = False,
    progress: bool = False,
) -> Demo:
    """Make phantoms, segment them with the default method, score them, make the pages.

    One of the `n` phantoms is healthy. Scans and truth go to `phantoms/`, results to `results/`; only an earlier demo
    is ever replaced.

    Raises:
        OutputError: The folder holds something that is no demo.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        if not (out / MARK).is_file():
            raise OutputError("The folder holds files that no demo wrote", file=out, fix="Name another folder with -o")
        if not overwrite:
            raise OutputError("The folder holds an earlier demo", file=out, fix="Add --overwrite to replace it")
        shutil.rmtree(out)
    atomic_write(out / MARK, "This folder was made by 'annofree demo' and may be replaced by it.\n")
    made = write_cohort(out / "phantoms", n=n, seed=seed, spacing_mm=spacing_mm, healthy_fraction=1 / n)
    report = run(open_cohort(made.scans), Choice(), out / "results", review=True, progress=progress)
    return Demo(report, evaluate(report.out, made.truth))
