"""The tuner: learning rate and loss weight, every pair with fresh weights, the same steps and the same seeds.

The published sweep compared losses of different w with each other, went on training the sweep's last model as a final
one, and had run-to-run noise of 0.04 without a seed. Here a pair is chosen by its mean Dice on the validation volumes,
and the test volumes are looked at once, for the chosen pair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from annofree.errors import InputError
from annofree.formats.outfolder import read_json, write_json, write_table
from annofree.methods.weak_to_strong.lessons import Lessons
from annofree.methods.weak_to_strong.settings import WeakToStrongSettings
from annofree.methods.weak_to_strong.strong import VolumeScores, score_volumes, train_strong
from annofree.methods.weak_to_strong.unetr import size_of
from annofree.networks.store import load_network
from annofree.progress import say


class TuneSettings(WeakToStrongSettings):
    """What is tried; everything else is as in a fit.

    Attributes:
        learning_rates: Rates to try.
        bce_weights: Weights w of the loss to try.
        seeds: Each pair is trained once with each of these.
        steps: Of every single training.
    """

    learning_rates: tuple[PositiveFloat, ...] = Field((1e-4, 3e-4, 1e-3), min_length=1)
    bce_weights: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field((0.2, 0.5, 0.8), min_length=1)
    seeds: tuple[int, ...] = Field((0, 1), min_length=1)
    steps: int = Field(200, ge=1)


@dataclass(frozen=True)
class Run:
    """One training of the sweep, and mean Dice and IoU of its last weights on the validation volumes."""

    learning_rate: float
    bce_weight: float
    seed: int
    dice: float
    iou: float


@dataclass(frozen=True)
class Tuned:
    """What the sweep found.

    Attributes:
        runs: Every training.
        learning_rate: Of the chosen pair.
        bce_weight: Of the chosen pair.
        test: Scores of the chosen pair on the test volumes, one set a seed; empty where there are none.
        folder: Holds `tune.tsv`, `tune.png`, `chosen.json`.
        lessons: What was learned from.
    """

    runs: tuple[Run, ...]
    learning_rate: float
    bce_weight: float
    test: tuple[VolumeScores, ...]
    folder: Path
    lessons: Lessons

    def rows(self) -> list[tuple[str, ...]]:
        """One row a pair: rate, w, mean and standard deviation of the validation Dice, mean IoU, seeds."""
        found: list[tuple[str, ...]] = []
        for rate, weight in dict.fromkeys((run.learning_rate, run.bce_weight) for run in self.runs):
            own = [run for run in self.runs if (run.learning_rate, run.bce_weight) == (rate, weight)]
            spread = f"{stdev(run.dice for run in own):.3f}" if len(own) > 1 else "n/a"
            mean = fmean(run.dice for run in own), fmean(run.iou for run in own)
            found.append((f"{rate:g}", f"{weight:g}", f"{mean[0]:.3f}", spread, f"{mean[1]:.3f}", str(len(own))))
        return found


def tune(lessons_of: Callable[[], Lessons], folder: str | Path, settings: TuneSettings) -> Tuned:
    """Try every pair with every seed and choose by the validation volumes alone.

    Runs that are done are kept in the folder, so that a stopped sweep goes on where it was.

    Raises:
        InputError: There is nothing to validate on.
    """
    root = Path(folder)
    lessons = lessons_of()
    if not lessons.val:
        raise InputError("There is nothing to choose by", why="the set has no validation part")
    root.mkdir(parents=True, exist_ok=True)
    write_json(root / "settings.json", settings.model_dump(mode="json"))
    runs = []
    planned = list(product(settings.learning_rates, settings.bce_weights, settings.seeds))
    for number, (rate, weight, seed) in enumerate(planned, 1):
        say(f"training {number} of {len(planned)}: rate {rate:g}, w {weight:g}, seed {seed}, {settings.steps} steps")
        run = _one(lessons, settings, rate, weight, seed, _place(root, rate, weight, seed))
        runs.append(run)
        say(f"validation Dice {run.dice:.3f}, IoU {run.iou:.3f}")
    pairs = dict.fromkeys((run.learning_rate, run.bce_weight) for run in runs)
    rate, weight = max(pairs, key=lambda pair: fmean(r.dice for r in runs if (r.learning_rate, r.bce_weight) == pair))
    tested = []
    if lessons.test:
        for seed in settings.seeds:
            network, _ = load_network(_place(root, rate, weight, seed) / "strong" / "last")
            tested.append(score_volumes(network, lessons.test))
    tuned = Tuned(tuple(runs), rate, weight, tuple(tested), root, lessons)
    _write(tuned)
    return tuned


def _place(root: Path, rate: float, weight: float, seed: int) -> Path:
    return root / "runs" / f"rate{rate:g}_w{weight:g}_seed{seed}"


def _one(lessons: Lessons, settings: TuneSettings, rate: float, weight: float, seed: int, place: Path) -> Run:
    done = place / "run.json"
    if known := read_json(done):
        return Run(**known)
    size = size_of(settings).model_copy(update={"learning_rate": rate, "bce_weight": weight})
    # The last weights of equal budgets are compared; choosing the best moment as well would favour noisy runs.
    network, _ = train_strong(lessons, size, place, steps=settings.steps, seed=seed, validations=0)
    scores = score_volumes(network, lessons.val)
    run = Run(rate, weight, seed, scores.dice, scores.iou)
    write_json(done, run.__dict__)
    return run


def _write(tuned: Tuned) -> None:
    columns = ("learning_rate", "bce_weight", "seed", "validation_dice", "validation_iou")
    rows = [(r.learning_rate, r.bce_weight, r.seed, f"{r.dice:.4f}", f"{r.iou:.4f}") for r in tuned.runs]
    write_table(tuned.folder / "tune.tsv", rows, columns)
    chosen: dict[str, Any] = {
        "learning_rate": tuned.learning_rate,
        "bce_weight": tuned.bce_weight,
        "chosen by": f"mean Dice on {len(tuned.lessons.val)} validation volumes",
        "tier of the labels": tuned.lessons.tier,
        "test": [str(scores) for scores in tuned.test],
    }
    write_json(tuned.folder / "chosen.json", chosen)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for weight in dict.fromkeys(run.bce_weight for run in tuned.runs):
        own = [run for run in tuned.runs if run.bce_weight == weight]
        rates = sorted({run.learning_rate for run in own})
        (line,) = axes.plot(
            rates, [fmean(r.dice for r in own if r.learning_rate == rate) for rate in rates], label=f"w {weight:g}"
        )
        axes.plot([r.learning_rate for r in own], [r.dice for r in own], "o", color=line.get_color(), markersize=4)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("validation Dice")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(tuned.folder / "tune.png", dpi=110)
