"""The steps of `annofree weak`, each from a folder to a folder, with a few lines for the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from annofree.errors import InputError, SettingsError
from annofree.formats.standing import listed, listed_folder, ordered, unfinished_fit
from annofree.progress import heard

STEPS = ("foreground", "tumour", "tune")


def run_step(step: str, source: str | Path, out: str | Path, settings: dict[str, Any]) -> list[str]:
    """Run one step from what is read to a folder, with its settings by name; gives lines for the screen.

    "foreground": class folders of pictures to foreground masks and a 2-D U-Net that learns them. "tumour": scans to
    tumour pseudo-masks, and with `steps` above 0 to those of a 2-D student. "tune": labelled or pseudo-labelled scans
    to the best learning rate and loss weight; the word "made" as source stands for made brains.

    Raises:
        AnnofreeError: The step does not exist, a setting is unknown, or the input cannot be used.
    """
    if step not in STEPS:
        raise SettingsError(f"There is no step '{step}'", fix=f"Use one of {', '.join(STEPS)}")
    with heard():
        return {"foreground": _foreground, "tumour": _tumour, "tune": _tune}[step](Path(source), Path(out), settings)


def _foreground(source: Path, out: Path, settings: dict[str, Any]) -> list[str]:
    from annofree.methods.weak_to_strong.foreground import ForegroundSettings, learn_foreground

    asked = ForegroundSettings(**settings)
    order = {"settings": ordered(asked), "pictures": listed_folder(source)}
    with unfinished_fit(out, "weak foreground", order):
        made = learn_foreground(source, out, asked)
    lines = [f"left out: {sentence}" for sentence in made.skipped]
    for score in made.scores:
        kind = "trained on" if score.part == "train" else "held out"
        lines.append(f"{score.part} ({score.pictures} pictures, {kind}): Dice {score.dice:.4f}, IoU {score.iou:.4f}")
    return [*lines, f"head or brain foreground, no tumour masks, written to {made.folder}"]


def _tumour(source: Path, out: Path, settings: dict[str, Any]) -> list[str]:
    from annofree.formats import open_cohort
    from annofree.methods.weak_to_strong.student import StudentSettings, tumour_masks
    from annofree.prepare.recipe import Remembered

    asked, patients = StudentSettings(**settings), open_cohort(source, prepare=Remembered())
    order = {"settings": ordered(asked), "patients": listed(patients)}
    with unfinished_fit(out, "weak tumour", order):
        last = tumour_masks(patients, out, asked)
    return [f"tumour pseudo-masks written below {out}; learn from them with --set labels={last}"]


def _tune(source: Path, out: Path, settings: dict[str, Any]) -> list[str]:
    from annofree.formats import open_cohort
    from annofree.methods.weak_to_strong.lessons import made_lessons, patient_lessons
    from annofree.methods.weak_to_strong.settings import MADE
    from annofree.methods.weak_to_strong.tune import TuneSettings, tune
    from annofree.methods.weak_to_strong.unetr import size_of
    from annofree.prepare.brain import filled_brain
    from annofree.prepare.recipe import Remembered
    from annofree.scan import learning, scoring

    asked = TuneSettings(**settings)
    size = size_of(asked)
    truth = asked.supervision == "truth"
    if asked.labels == MADE and str(source) != MADE:
        raise InputError(
            "Nothing would be learned from the scans",
            file=source,
            why=f"labels={MADE} are those of made brains",
            fix=f"Choose --set labels=otsu or a folder of masks, or write '{MADE}' in place of the scans",
        )
    patients = None if asked.labels == MADE else open_cohort(source, prepare=Remembered())
    order = {"settings": ordered(asked), "patients": listed(patients)}
    with scoring("a sweep of tier S") if truth else learning(), unfinished_fit(out, "weak tune", order):
        tuned = tune(
            lambda: (
                made_lessons(asked, size) if patients is None else patient_lessons(asked, size, patients, filled_brain)
            ),
            out,
            asked,
        )
    lines = [
        *tuned.lessons.card.get("cut tumours", ()),
        f"labels: {tuned.lessons.card['labels']} (tier {tuned.lessons.tier})",
    ]
    lines += ["rate\tw\tvalidation Dice\tsd\tIoU\tseeds", *("\t".join(row) for row in tuned.rows())]
    lines.append(f"chosen by validation alone: learning_rate={tuned.learning_rate:g}, bce_weight={tuned.bce_weight:g}")
    lines += [f"test, once: {scores}" for scores in tuned.test]
    return [*lines, f"table, plot and networks in {tuned.folder}"]
