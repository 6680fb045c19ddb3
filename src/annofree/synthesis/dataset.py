"""Made cases on disk: an nnU-Net raw data set with an explicit split, or a folder a case; and a table of all of them.

Every case has a seed of its own, derived from the run's seed and the case's number, so that the files are the same
whatever the number of workers.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, OutputError
from annofree.formats.names import is_volume
from annofree.formats.nifti import write_volume
from annofree.formats.nnunet import write_description
from annofree.formats.outfolder import read_json, write_json, write_table
from annofree.formats.standing import listed, refuse_standing, unfinished_fit
from annofree.processes import in_order
from annofree.scan import Cohort, Modality, Scan
from annofree.synthesis.placement import tissue_of
from annofree.synthesis.published import PublishedCase, make_published
from annofree.synthesis.published_settings import PublishedSettings

Layout = Literal["nnunet", "folders"]
Row = dict[str, Any]

TABLE = "cases.csv"
#: Where the rows of finished cases wait for the table: a case that has one is not made again.
_ROWS = ".annofree-rows"
_TOGETHER = 4


@dataclass(frozen=True)
class MadeFolder:
    """Where made cases go, and how they are named.

    Attributes:
        root: The folder.
        layout: "nnunet" writes `imagesTr/<case>_0000.nii.gz` and `labelsTr/<case>.nii.gz`, "folders" writes
            `<case>/<case>_flair.nii.gz` and `<case>/<case>_seg.nii.gz`.
        sequences: The channels in order.
    """

    root: Path
    layout: Layout
    sequences: tuple[Modality, ...]

    @classmethod
    @contextmanager
    def new(
        cls, root: str | Path, layout: str, sequences: Iterable[Modality], asked: Mapping[str, Any]
    ) -> Iterator[MadeFolder]:
        """An absent or empty folder, or one that the same order left unfinished: `asked` is the order as plain values.

        Raises:
            OutputError: It holds anything else.
            InputError: There is no such layout.
        """
        if layout not in ("nnunet", "folders"):
            raise InputError(f"There is no layout '{layout}'", fix="Use nnunet or folders")
        folder = cls(Path(root), layout, tuple(sequences))  # type: ignore[arg-type]
        with unfinished_fit(folder.root, "synth", {**asked, "layout": layout, "sequences": folder.sequences}):
            yield folder

    def once(self, case: str, make: Callable[[], Row]) -> Row:
        """Make and write a case unless a run that was stopped did; its row either way."""
        file = self.root / _ROWS / f"{case}.json"
        if read_json(file) is None:
            write_json(file, make())
        row: Row = read_json(file)
        return row

    def write(
        self, case: str, images: Mapping[Modality, NDArray[np.float32]], labels: NDArray[np.uint8], scan: Scan
    ) -> None:
        """Write one case in the axis order and geometry of the scan that it was made from."""
        assert scan.native is not None
        for number, sequence in enumerate(self.sequences):
            path = self.root / "imagesTr" / f"{case}_{number:04d}.nii.gz"
            if self.layout == "folders":
                path = self.root / case / f"{case}_{sequence.lower()}.nii.gz"
            write_volume(path, scan.to_native(images[sequence]), scan.native)
        path = self.root / "labelsTr" / f"{case}.nii.gz"
        if self.layout == "folders":
            path = self.root / case / f"{case}_seg.nii.gz"
        write_volume(path, scan.to_native(labels), scan.native)

    def finish(
        self,
        rows: list[Row],
        label_names: Mapping[str, int | list[int]],
        split: Mapping[str, list[str]] | None = None,
        *,
        regions: Iterable[int] = (),
    ) -> Path:
        """Write the table and, for nnU-Net, `dataset.json` and `splits_final.json`."""
        write_table(self.root / TABLE, rows, delimiter=",")
        if self.layout == "nnunet":
            write_description(self.root, self.sequences, label_names, len(rows), split, regions=regions)
        shutil.rmtree(self.root / _ROWS, ignore_errors=True)
        return self.root


def case_rng(seed: int, number: int) -> np.random.Generator:
    """The generator of one case of a run."""
    return np.random.default_rng([seed & 0xFFFFFFFF, number])


def case_seeds(seed: int, n: int) -> list[int]:
    """Seeds of the cases of a set."""
    return [int(s) for s in np.random.default_rng(seed).integers(0, 2**62, n)]


def write_published(
    cohort: Cohort,
    out: str | Path,
    *,
    n: int | None = None,
    seed: int = 0,
    settings: PublishedSettings | None = None,
    workers: int = 1,
    layout: str = "nnunet",
) -> Path:
    """Write made cases from healthy FLAIR: half for training, half as the distribution-shifted validation task.

    A validation case carries "val" at the end of its name, and `splits_final.json` states the split: copy it to
    `nnUNet_preprocessed/<data set>/` before training. All cases of one scan are on the same side of the split, unless
    there is only one scan; without `n` each scan makes one, and more than that many use scans again. The folder is
    absent or empty, and is given back; its `cases.csv` tells requested and realised volumes and all draws.

    Raises:
        InputError: A scan cannot be used.
        MissingSequence: A scan has no FLAIR.
        OutputError: The folder is not empty or not writable.
    """
    settings = settings or PublishedSettings()
    if not len(cohort):
        raise InputError("There is no healthy scan to make cases from")
    rng = np.random.default_rng(seed & 0xFFFFFFFF)
    order = [cohort.ids[i] for i in rng.permutation(len(cohort))]
    total = len(order) if n is None else n
    held_out = set(order[len(order) // 2 :]) if len(order) > 1 else None
    by_scan: dict[str, list[tuple[int, str, bool]]] = {}
    split: dict[str, list[str]] = {"train": [], "val": []}
    for number in range(total):
        scan_id, again = order[number % len(order)], number // len(order)
        validation = scan_id in held_out if held_out is not None else bool(number % 2)
        name = scan_id + (f"-{again + 1:03d}" if total > len(order) else "") + ("val" if validation else "")
        by_scan.setdefault(scan_id, []).append((number, name, validation))
        split["val" if validation else "train"].append(name)
    jobs = [
        (scan_id, cases[at : at + _TOGETHER])
        for scan_id, cases in by_scan.items()
        for at in range(0, len(cases), _TOGETHER)
    ]
    asked = {"n": total, "seed": seed, "settings": settings.model_dump(mode="json"), "scans": listed(cohort)}
    with MadeFolder.new(out, layout, [Modality.FLAIR], asked) as folder:
        made = in_order(partial(_make, cohort, seed, settings, folder), jobs, workers)
        rows = sorted((row for rows in made for row in rows), key=lambda row: row["case"])
        return folder.finish(rows, {"background": 0, "tumour": 1}, split)


def write_one(
    source: str | Path,
    image_out: str | Path,
    labels_out: str | Path,
    *,
    seed: int = 0,
    settings: PublishedSettings | None = None,
    brain_mask: str | Path | None = None,
    sequence: str | None = None,
    validation: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Put a tumour into one healthy image file, write image and label file, and tell what was drawn.

    The image is skull-stripped unless a mask is given, and FLAIR where neither its name nor `sequence` says another.
    Image and label files that stand are replaced with `overwrite` alone; the healthy image never is.

    Raises:
        InputError: The image cannot be used.
        OutputError: A file cannot be written, stands already, or is named twice.
    """
    from annofree.formats.scans import open_scan

    for path in (image_out, labels_out):
        if not is_volume(Path(path)):
            raise OutputError("The name of a file to write is no volume's", file=path, fix="Let it end in .nii.gz")
    refuse_standing(image_out, labels_out, inputs=(source,), overwrite=overwrite)
    stated = None if sequence is None else Modality.parse(sequence)
    guessed = stated or Modality.guess(Path(source).name) or Modality.FLAIR
    scan = open_scan(source, sequence=str(guessed), brain_mask=brain_mask)
    assert scan.native is not None
    made = _published(scan, guessed, case_rng(seed, 0), settings or PublishedSettings(), validation=validation)
    write_volume(image_out, scan.to_native(made.image), scan.native)
    write_volume(labels_out, scan.to_native(made.labels), scan.native)
    return made.meta


def _make(
    cohort: Cohort,
    seed: int,
    settings: PublishedSettings,
    folder: MadeFolder,
    job: tuple[str, list[tuple[int, str, bool]]],
) -> list[Row]:
    """Some cases in one scan: number, name, and whether it is for validation, of each."""
    scan_id, cases = job
    scan = cohort[scan_id]
    (sequence,) = folder.sequences
    scan.require(sequence, why="the published form")

    def write(number: int, name: str, validation: bool) -> Row:
        made = _published(scan, sequence, case_rng(seed, number), settings, validation=validation)
        folder.write(name, {sequence: made.image}, made.labels, scan)
        return {"case": name, "scan": scan_id, "seed": seed, "number": number, **made.meta}

    return [folder.once(case[1], partial(write, *case)) for case in cases]


def _published(
    scan: Scan, sequence: Modality, rng: np.random.Generator, settings: PublishedSettings, *, validation: bool
) -> PublishedCase:
    return make_published(
        np.ascontiguousarray(scan.images[sequence]),
        np.ascontiguousarray(scan.foreground()),
        scan.spacing_mm,
        rng,
        settings,
        tissue=scan.once("tissue", lambda: tissue_of(scan)) if settings.needs_tissue else None,
        validation=validation,
    )
