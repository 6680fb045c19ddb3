"""Write made cases to disk: nnU-Net's layout, or one folder a case."""

from __future__ import annotations

import csv
import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

from annofree.errors import OutputError
from annofree.synthesis.bank import FRAME_CENTRE_MM, LabelMapBank
from annofree.synthesis.contrast import ORDER
from annofree.synthesis.generator import MadeCase, make_case
from annofree.synthesis.settings import SynthesisSettings

Layout = Literal["nnunet", "folders"]
_LABELS = {"background": 0, "whole_tumour": [1, 2, 3], "tumour_core": [1, 3], "enhancing_tumour": [3]}

_worker: dict[str, Any] = {}


def export_cases(
    out: str | PathLike[str],
    n: int,
    bank: LabelMapBank,
    settings: SynthesisSettings | None = None,
    seed: int = 0,
    layout: Layout = "nnunet",
    workers: int = 1,
    *,
    spacing_mm: float = 2.0,
) -> Path:
    """Make ``n`` cases and write them; case ``i`` depends on ``seed`` and ``i`` alone, whatever the number of workers.

    ``nnunet`` writes ``imagesTr/made_00000_0000.nii.gz`` (T1, T1C, T2, FLAIR = 0000..0003), ``labelsTr`` and
    ``dataset.json``; ``folders`` writes ``made_00000/made_00000_T1.nii.gz`` and so on. Both write ``cases.csv`` with
    every drawn parameter, a row a case. Images are int16, labels uint8, in RAS with the frame's place in MNI space.

    Args:
        out: New or empty folder.
        n: Number of cases.
        bank: Anatomies.
        settings: What to make.
        seed: Seed of the whole set.
        layout: Layout of the files.
        workers: Processes.
        spacing_mm: 2.0 or 1.0.

    Returns:
        The folder.

    Raises:
        OutputError: The folder holds files already.
    """
    folder = Path(out)
    if folder.exists() and any(folder.iterdir()):
        raise OutputError("The output folder is not empty", file=folder, fix="Give a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "nnunet":
        (folder / "imagesTr").mkdir()
        (folder / "labelsTr").mkdir()
    settings = settings or SynthesisSettings()
    seeds = case_seeds(seed, n)
    if workers <= 1:
        _start(bank, settings)
        rows = [_write(i, s, folder, layout, spacing_mm) for i, s in enumerate(seeds)]
    else:
        # spawn: a forked torch may hang in its thread pool
        with ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(bank, settings)
        ) as pool:
            jobs = [pool.submit(_write, i, s, folder, layout, spacing_mm) for i, s in enumerate(seeds)]
            rows = [job.result() for job in jobs]
    _table(folder / "cases.csv", rows)
    if layout == "nnunet":
        description = {
            "channel_names": {str(i): name for i, name in enumerate(ORDER)},
            "labels": _LABELS,
            "regions_class_order": [2, 1, 3],
            "numTraining": n,
            "file_ending": ".nii.gz",
            "description": "made brains and made tumours; labels 1 core, 2 oedema, 3 enhancing",
            "seed": seed,
        }
        (folder / "dataset.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return folder


def case_seeds(seed: int, n: int) -> list[int]:
    """Seeds of the cases of a set."""
    return [int(s) for s in np.random.default_rng(seed).integers(0, 2**62, n)]


def _start(bank: LabelMapBank, settings: SynthesisSettings) -> None:
    _worker.update(bank=bank, settings=settings)


def _start_worker(bank: LabelMapBank, settings: SynthesisSettings) -> None:
    import torch

    torch.set_num_threads(1)
    _start(bank, settings)


def _write(index: int, seed: int, folder: Path, layout: Layout, spacing_mm: float) -> dict[str, Any]:
    case = make_case(_worker["bank"], _worker["settings"], seed, spacing_mm=spacing_mm)
    name = f"made_{index:05d}"
    if layout == "nnunet":
        images = [folder / "imagesTr" / f"{name}_{c:04d}.nii.gz" for c in range(4)]
        label = folder / "labelsTr" / f"{name}.nii.gz"
    else:
        (folder / name).mkdir()
        images = [folder / name / f"{name}_{sequence}.nii.gz" for sequence in ORDER]
        label = folder / name / f"{name}_labels.nii.gz"
    affine = affine_of(case)
    for image, file in zip(case.images.numpy(), images, strict=True):
        _nifti(np.rint(image * (4000.0 / max(float(image.max()), 1e-6))).astype(np.int16), affine, file)
    _nifti(case.labels.numpy(), affine, label)
    return {"case": name, **case.meta}


def affine_of(case: MadeCase) -> np.ndarray[Any, Any]:
    """Voxel to mm (RAS+, roughly MNI space) of a made case, 4 x 4."""
    affine = np.diag([case.spacing_mm] * 3 + [1.0])
    affine[:3, 3] = np.add(case.origin_mm, FRAME_CENTRE_MM)
    return affine


def _nifti(array: np.ndarray[Any, Any], affine: np.ndarray[Any, Any], file: Path) -> None:
    import nibabel

    part = file.with_name("." + file.name)
    nibabel.save(nibabel.Nifti1Image(array, affine), part)  # type: ignore[attr-defined, no-untyped-call]
    os.replace(part, file)


def _table(file: Path, rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()})
