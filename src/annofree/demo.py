"""`annofree demo`: everything once on a small phantom cohort."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from annofree.batch.run import BatchReport, run
from annofree.errors import OutputError
from annofree.evaluation.evaluate import Evaluation, evaluate
from annofree.formats import open_cohort
from annofree.phantom import write_cohort
from annofree.pipeline import Choice, fit

MARK = ".annofree-demo"


@dataclass(frozen=True)
class Demo:
    """What the demo made: the run's report and the scores."""

    report: BatchReport
    evaluation: Evaluation


def demo(out: str | Path, *, n: int = 7, seed: int = 0, overwrite: bool = False) -> Demo:
    """Make phantoms, fit a threshold on the healthy ones, segment the others, score them.

    Args:
        out: Folder to write: `phantoms/`, `truth/`, `model/`, `results/`.
        n: Phantoms, three of which are healthy.
        seed: Decides them.
        overwrite: Whether an earlier demo there may be replaced; nothing else ever is.

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
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).write_text("This folder was made by 'annofree demo' and may be replaced by it.\n")
    write_cohort(out / "healthy", n=3, seed=seed + 1, spacing_mm=2.0, healthy_fraction=1.0)
    write_cohort(out / "patients", n=n - 3, seed=seed, spacing_mm=2.0, healthy_fraction=0.0)
    fit("intensity", out=out / "model", healthy=open_cohort(out / "healthy" / "scans"))
    report = run(
        open_cohort(out / "patients" / "scans"), Choice(model=str(out / "model")), out / "results", review=True
    )
    evaluation = evaluate(report.out, out / "patients" / "truth")
    return Demo(report, evaluation)
