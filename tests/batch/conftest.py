"""A small cohort on disk, and one in memory whose scans do as they are told."""

from __future__ import annotations

import csv
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from annofree.phantom import write_cohort
from annofree.scan import Cohort, Modality, Scan

# Worker processes cannot import this file; its classes travel to them by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phantoms as files; not to be changed."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_cohort(folder, n=3, seed=2, spacing_mm=4.0, healthy_fraction=0.0)
    return folder


@pytest.fixture(scope="session")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small made scans of two sequences as files, in no time; not to be changed."""
    from annofree.formats.nifti import write_volume

    folder = tmp_path_factory.mktemp("balls")
    for number in range(3):
        name = f"ball-{number:03d}"
        (folder / name).mkdir()
        scan = Loader("x" * number)()
        for word in ("flair", "t2"):
            image = scan.images[Modality.FLAIR].astype(np.int16) + (word == "t2")
            write_volume(folder / name / f"{name}_{word}.nii.gz", image, scan.grid)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table."""
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def written(out: Path) -> dict[str, bytes]:
    """Every file of a result that has to be the same whatever happened on the way."""
    files = [p for p in out.rglob("*") if p.is_file() and p.name != "run.json" and ".records" not in p.parts]
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in files}


@dataclass(frozen=True)
class Loader:
    """Makes a small scan with a bright ball; before that it may end its own process, each time or once."""

    scan_id: str
    dies: str = "never"
    mark: Path = Path()

    def __call__(self) -> Scan:
        if self.dies == "always" or (self.dies == "once" and not self.mark.exists()):
            self.mark.touch()
            os._exit(9)
        grid = np.indices((24, 26, 22)).astype(np.float32) - 11
        distance = np.sqrt((grid**2).sum(0))
        image = np.where(distance < 10, 100 + grid[0] + 10 * np.cos(grid[1] + len(self.scan_id)), 0)
        image[np.sqrt(((grid - 3) ** 2).sum(0)) < 4] += 80
        return Scan(self.scan_id, {Modality.FLAIR: image.astype(np.float32)}, np.diag([6.0, 6.0, 6.0, 1.0]))


def made_cohort(folder: Path, **deaths: str) -> Cohort:
    """Scans by name; the value says whether loading one ends the process: never, once, always."""
    return Cohort({name: Loader(name, dies, folder / f"{name}.mark") for name, dies in deaths.items()})
