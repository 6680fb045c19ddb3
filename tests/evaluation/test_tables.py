"""A value that is not known would turn into an empty cell, which the next program reads as something else."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from annofree.cli.main import main
from annofree.phantom import write_cohort


def call(*arguments: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert not ended.value.code


def test_no_table_loses_its_n_a(tmp_path: Path) -> None:
    write_cohort(tmp_path / "made", n=2, seed=4, spacing_mm=4.0, healthy_fraction=0.5)
    out = tmp_path / "out"
    call("segment", tmp_path / "made" / "scans", "-o", out, "--method", "intensity-published", "--no-locate")
    call("evaluate", out, "--truth", tmp_path / "made" / "truth")
    seen = unknown_cells(out)
    call("rethreshold", out, "--threshold", "mad:2", "--no-locate", "--overwrite")
    call("evaluate", out, "--truth", tmp_path / "made" / "truth")
    again = unknown_cells(out)
    assert set(again) == set(seen)
    assert sum(again.values()) > 0


def unknown_cells(out: Path) -> dict[str, int]:
    """Number of `n/a` by table; an empty cell is a fault."""
    found = {}
    for table in sorted(out.rglob("*.tsv")):
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t"))
        assert all(cell for row in rows for cell in row), table
        found[str(table.relative_to(out))] = sum(cell == "n/a" for row in rows for cell in row)
    return found
