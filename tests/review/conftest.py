"""A small phantom cohort on disk with results whose every number is known."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from annofree.phantom import phantom_subject
from annofree.scan import Scan
from annofree.segmentation import REGIONS, Lesion, ScoreMap, Segmentation
from annofree.thresholds.fixed import Fixed

from .browser import PROGRAM, Browser

NASTY = "Ann \"<b>&'</script><script>alert(1)</script> Überfall"


@dataclass(frozen=True)
class Case:
    """A scan and its answer."""

    scan: Scan
    result: Segmentation


def make_case(seed: int, scan_id: str, *, regions: tuple[str, ...] = ("WT",), notes: tuple[str, ...] = ()) -> Case:
    """A phantom and a made segmentation: its smoothed truth as probability, cut at 0.4."""
    subject = phantom_subject(seed=seed, kind="glioblastoma", spacing_mm=3.0)
    scan = subject.scan.replace(id=scan_id)
    scores = {
        name: ScoreMap(
            gaussian_filter(np.isin(subject.labels, REGIONS[name]).astype(np.float32), 1.0),
            name,
            "probability",
            scan.grid,
        )
        for name in regions
    }
    whole = (scores["WT"].values > 0.4) & scan.foreground()
    labels = np.where(whole, np.where(subject.labels > 0, subject.labels, 2) if len(regions) > 1 else 2, 0)
    volume = float(whole.sum() * scan.voxel_ml)
    centre = scan.affine[:3, :3] @ np.argwhere(whole).mean(axis=0) + scan.affine[:3, 3]
    x, y, z = (float(c) for c in centre)
    fixed = Fixed(value=0.4, source="a test")
    result = Segmentation(
        scan_id=scan_id,
        labels=labels.astype(np.uint8),
        affine=scan.affine,
        native=scan.native,
        regions=regions,
        scores=scores,
        thresholds=dict.fromkeys(regions, fixed),
        brain=scan.foreground(),
        lesions=(Lesion(1, volume, (x, y, z), "left", "Frontal", 0.1 * seed),),
        provenance={
            "annofree": "0.1.0",
            "method": "made",
            "tier": "T0",
            "notes": list(notes),
            "sequences": [str(s) for s in scan.sequences],
            "files": {"FLAIR": "/home/somebody/secret/flair.nii.gz"},
            "refiners": {"WT": [{"kind": "components", "connectivity": 26}]},
            "model": {"citation": "Somebody <2024>"},
        },
    )
    return Case(scan, result)


@pytest.fixture(scope="session")
def cases() -> tuple[Case, ...]:
    """Three patients of falling certainty, one of them with a name that would break careless HTML."""
    plain = make_case(1, "p-10", regions=("WT", "TC", "ET"), notes=("The T2 was resampled.",))
    nasty = make_case(2, NASTY)
    empty = make_case(3, "p-9")
    nothing = empty.result.replace(labels=np.zeros_like(empty.result.labels), lesions=())
    return plain, nasty, replace(empty, result=nothing)


@pytest.fixture(scope="session")
def out(cases: tuple[Case, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their output folder, with one failure, pages and cohort page."""
    from annofree.review import write_cohort_review, write_review

    folder = tmp_path_factory.mktemp("review") / "out"
    for case in cases:
        case.result.save(folder)
        write_review(case.result, case.scan, folder)
    with (folder / "failures.tsv").open("w", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerows(
            [("id", "what", "why", "next"), ("p-bad", "A file is damaged", "it ends early", "Copy it again")]
        )
    write_cohort_review(folder)
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium for all tests of the room."""
    if PROGRAM is None:
        pytest.skip("no Chromium here; 'apt-get install chromium' lets these tests run")
    with Browser(tmp_path_factory.mktemp("profile")) as running:
        yield running
