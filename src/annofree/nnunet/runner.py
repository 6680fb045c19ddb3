"""nnU-Net v2 itself on the same data, in an environment of its own: stage, plan, train, predict, read back.

nnU-Net is not imported: its commands are found beside the Python of its environment and run with their three folders
below one work folder. What is there already is not done again.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from annofree.anatomy import locate
from annofree.errors import InputError
from annofree.formats.named_labels import predicted_numbers
from annofree.formats.nnunet import export_nnunet, read_case_labels
from annofree.formats.outfolder import atomic_write, refuse_no_folder
from annofree.formats.standing import listed_folder
from annofree.methods.decide import without_guesses
from annofree.methods.synthtumour.case_folder import tiers_of_labels
from annofree.nnunet.environment import Environment, run_command
from annofree.review.cohort import write_cohort_review
from annofree.scan import Cohort, Scan
from annofree.segmentation import REGIONS, Segmentation, told_of
from annofree.settings import Settings
from annofree.thresholds.base import worst_tier

METHOD = "nnunet"
DONE = "annofree-preprocessed"
COMMANDS = ("nnUNetv2_plan_and_preprocess", "nnUNetv2_train", "nnUNetv2_predict")


class NnUNetSettings(Settings):
    """What is run.

    Attributes:
        dataset_id: Number of the data set, 1 to 999.
        configuration: "2d", "3d_fullres" or "3d_lowres".
        fold: A fold's number, or "all".
        trainer: Class of the trainer; "nnUNetTrainer_20epochs" and the like are short ones.
        device: "cuda", "cpu" or "mps"; "auto" is what there is: a GPU if nnU-Net's torch can use one.
        processes: Processes that nnU-Net preprocesses with.
    """

    dataset_id: int = 501
    configuration: Literal["2d", "3d_fullres", "3d_lowres"] = "3d_fullres"
    fold: Literal["0", "1", "2", "3", "4", "all"] = "0"
    trainer: str = "nnUNetTrainer"
    device: Literal["auto", "cuda", "cpu", "mps"] = "auto"
    processes: int = 2


class NnUNetRun:
    """One data set, one configuration, one work folder.

    Raises:
        InputError: The data set has no training cases, or no number can be had.
    """

    def __init__(self, data: Path, work: Path, environment: Environment, settings: NnUNetSettings) -> None:
        self.data, self.work, self.environment, self.settings = data.resolve(), work.resolve(), environment, settings
        file = data / "dataset.json"
        if not file.is_file() or not (data / "labelsTr").is_dir():
            raise InputError(
                "This is no nnU-Net data set to train on",
                file=data,
                why="dataset.json or labelsTr is missing",
                fix="Write one with 'annofree synth -o FOLDER'",
            )
        if not 1 <= settings.dataset_id <= 999:
            raise InputError(f"A data set cannot have the number {settings.dataset_id}", fix="Use 1 to 999")
        try:
            self.description: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if not (predicted_numbers(self.description) and self.description["channel_names"]):
                raise ValueError("nothing is named")
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            raise InputError(
                "This is no data set of nnU-Net v2",
                file=file,
                why="it has no channel_names, or no labels by name; nnU-Net 1 wrote them otherwise",
                fix="Write it again, or give the data set in the form of nnU-Net 2 (Dataset...)",
            ) from None

    @property
    def name(self) -> str:
        """The data set's name as nnU-Net wants it."""
        clean = "".join(letter for letter in self.data.name if letter.isalnum()) or "Made"
        return f"Dataset{self.settings.dataset_id:03d}_{clean}"

    @property
    def folders(self) -> dict[str, str]:
        """nnU-Net's three environment variables."""
        return {name: str(self.work / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}

    @property
    def fold_folder(self) -> Path:
        """Where the trained fold lies."""
        own = self.settings
        trained = f"{own.trainer}__nnUNetPlans__{own.configuration}"
        return self.work / "nnUNet_results" / self.name / trained / f"fold_{own.fold}"

    @property
    def _planning(self) -> list[str]:
        own = self.settings
        options = ["-d", str(own.dataset_id), "-c", own.configuration, "-np", str(own.processes)]
        return [*options, "--verify_dataset_integrity"]

    @property
    def _training(self) -> list[str]:
        own = self.settings
        return [str(own.dataset_id), own.configuration, own.fold, "-tr", own.trainer]

    @property
    def device(self) -> str:
        """The device that is asked for, or what there is."""
        return self.environment.device if self.settings.device == "auto" else self.settings.device

    def script(self, predict: Path | None = None) -> str:
        """Everything as shell lines, for a cluster; nnU-Net need not be installed where the script is made.

        Each command runs only after the one before went well. A training that was stopped goes on. Commands are those
        of the environment, or bare names where it has none: then they have to be on the path where the script runs.
        Scans to `predict` are segmented after the training.
        """
        own = self.settings
        named = {name: self.environment.found(name) or name for name in COMMANDS}
        device = "$(nvidia-smi > /dev/null 2>&1 && echo cuda || echo cpu)" if own.device == "auto" else own.device
        checkpoint = shlex.quote(str(self.fold_folder / "checkpoint_latest.pth"))
        steps = [shlex.join([named[COMMANDS[0]], *self._planning])]
        split = self.data / "splits_final.json"
        if split.is_file():
            steps.append(shlex.join(["cp", str(split), f"{self.folders['nnUNet_preprocessed']}/{self.name}/"]))
        training = shlex.join([named[COMMANDS[1]], *self._training])
        steps.append(f"{training} -device {device} $(test -f {checkpoint} && echo --c)")
        if predict is not None:  # what is trained is not trained again; annofree writes and reads the scans
            python = self.environment.python
            again = ["annofree", "nnunet", str(self.data), "-o", str(self.work), "--id", str(own.dataset_id)]
            again += ["--configuration", own.configuration, "--fold", own.fold, "--trainer", own.trainer]
            installed = self.environment.found(COMMANDS[2]) is not None
            again += ["--device", own.device, "--predict", str(predict.resolve())]
            steps.append(
                f"{shlex.join(again)} --python {shlex.quote(str(python)) if installed else '$(command -v python)'}"
            )
        exports = [f"export {name}={shlex.quote(folder)}" for name, folder in self.folders.items()]
        return "\n".join([*exports, " && \\\n".join(steps)]) + "\n"

    def stage(self) -> Path:
        """The data set below `nnUNet_raw` under nnU-Net's name: a link, or a copy where links are not allowed."""
        target = self.work / "nnUNet_raw" / self.name
        refuse_no_folder(self.work)
        target.parent.mkdir(parents=True, exist_ok=True)
        others = [p for p in target.parent.glob(f"Dataset{self.settings.dataset_id:03d}_*") if p.name != target.name]
        if others or (target.is_symlink() and target.resolve() != self.data):
            raise InputError(
                f"The work folder holds another data set of the number {self.settings.dataset_id}",
                file=(others or [target])[0],
                fix="Give another number with --id, or another work folder with -o",
            )
        if not target.exists():
            try:
                target.symlink_to(self.data, target_is_directory=True)
            except OSError:
                shutil.copytree(self.data, target)
        return target

    def fit(self, say: Callable[[str], None] = lambda text: None) -> Path:
        """Stage, plan, preprocess and train what is not there yet.

        Returns:
            The folder of the trained fold.

        Raises:
            AnnofreeError: A command failed; its last line is quoted and `log.txt` holds all.
        """
        self.stage()
        preprocessed = self.work / "nnUNet_preprocessed" / self.name
        mark = preprocessed / f"{DONE}-{self.settings.configuration}"
        volumes = listed_folder(self.data / "imagesTr") + listed_folder(self.data / "labelsTr")
        described = [self.data / "dataset.json", self.data / "splits_final.json"]
        told = "\n".join(volumes + [listed_folder(path)[0] for path in described if path.is_file()])
        if mark.is_file() and mark.read_text(encoding="utf-8") not in ("", "\n".join(volumes), told):  # of before, too
            raise InputError(
                "The data set has changed since it was preprocessed",
                file=self.data,
                fix="Name another work folder with -o: what was trained here belongs to the files as they were",
            )
        if not mark.is_file():
            say("planning and preprocessing")
            self._do(COMMANDS[0], *self._planning)
            preprocessed.mkdir(parents=True, exist_ok=True)
            atomic_write(mark, told)
        split = self.data / "splits_final.json"
        if split.is_file():
            shutil.copy(split, preprocessed / split.name)
        if not (self.fold_folder / "checkpoint_final.pth").is_file():
            say(f"training {self.settings.trainer}, fold {self.settings.fold}, on {self.device}")
            going_on = any((self.fold_folder / f"checkpoint_{kind}.pth").is_file() for kind in ("latest", "best"))
            self._do(COMMANDS[1], *self._training, "-device", self.device, *(["--c"] if going_on else []))
        return self.fold_folder

    def predict(self, cohort: Cohort, out: Path) -> list[Path]:
        """Segment scans with the trained fold and write them as annofree writes its own segmentations.

        `annofree evaluate` and `annofree review` can read the folder then, and its pages are made.
        """
        channels = [name for _, name in sorted(self.description["channel_names"].items(), key=lambda c: int(c[0]))]
        asked, answered = self.work / "predict" / "in", self.work / "predict" / "out"
        for folder in (asked, answered):
            if folder.exists():
                shutil.rmtree(folder)
        export_nnunet(cohort, asked, sequences=channels)
        answered.mkdir(parents=True)
        own, folders = self.settings, ("-i", str(asked / "imagesTs"), "-o", str(answered))
        trained = ("-d", str(own.dataset_id), "-c", own.configuration, "-f", own.fold, "-tr", own.trainer)
        self._do(COMMANDS[2], *folders, *trained, "-device", self.device)
        written = [self.read(scan, answered).save(out) for scan in cohort]
        write_cohort_review(out)
        return written

    def read(self, scan: Scan, folder: Path) -> Segmentation:
        """One of nnU-Net's predictions as a segmentation on the scan's grid.

        Raises:
            InputError: It is missing, or on another grid.
        """
        labels = read_case_labels(folder, scan.id, scan.grid)
        if labels is None:
            raise InputError(f"nnU-Net gave no answer for scan '{scan.id}'", file=folder / f"{scan.id}.nii.gz")
        numbers = predicted_numbers(self.description)
        told_apart = {1, 3} <= set(numbers.values())
        ours = np.zeros(labels.shape, np.uint8)
        for theirs, own in numbers.items():
            ours[labels == theirs] = own if told_apart or own == 0 else 2
        ours, regions, guessed_ml = without_guesses(ours, tuple(REGIONS) if told_apart else ("WT",), scan)
        assert scan.native is not None
        return Segmentation(
            scan_id=scan.id,
            labels=ours,
            affine=scan.affine,
            native=scan.native,
            regions=regions,
            brain=scan.brain,
            lesions=locate(ours, scan, regions=regions),
            scan=scan,
            provenance={
                **told_of(scan),
                "method": METHOD,
                "tier": worst_tier(tiers_of_labels(self.data).values() or ["S"]),
                "settings": self.settings.model_dump(mode="json"),
                "dataset": self.name,
                "guessed_ml": guessed_ml,
            },
        )

    def _do(self, name: str, *options: str) -> None:
        run_command([self.environment.command(name), *options], self.folders, self.work / "log.txt")
