"""The published table: a swapped orientation column would put every label of a cohort on the wrong side."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError
from annofree.reports import read_report
from annofree.reports.region_table import LEVELS, RegionTable, mask_of_ids
from annofree.reports.regions import AtlasRegions

# label, orientation (1 right), coarse, then fine words
ROWS = [
    (9, 0, "Temporal", "Hippocampus"),
    (10, 1, "Temporal", "Hippocampus"),
    (7, 0, "Temporal", ""),
    (8, 1, "Temporal", ""),
    (1, 0, "Frontal", ""),
    (2, 1, "Frontal", ""),
]


def write(path: Path, rows: list[tuple[int, int, str, str]]) -> Path:
    header = ["id", "Orientation", *LEVELS]
    body = [[index, side, coarse, fine, *[""] * 8] for index, side, coarse, fine in rows]
    if path.suffix == ".xlsx":
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.Workbook()
        for line in (header, *body):
            book.active.append(line)
        book.save(path)
    else:
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *body])
    return path


@pytest.mark.parametrize("name", ["table.csv", "table.xlsx"])
def test_table_loads_and_fits_its_atlas(tmp_path: Path, regions: AtlasRegions, name: str) -> None:
    table = RegionTable.load(write(tmp_path / name, ROWS))
    table.check(regions)
    assert len(table.rows) == 6
    assert table.rows[0].words[1] == "Hippocampus"


def test_fine_beats_coarse_on_the_side_of_the_report(tmp_path: Path, regions: AtlasRegions) -> None:
    table = RegionTable.load(write(tmp_path / "t.csv", ROWS))
    assert table.ids_for(read_report("Mass in the left hippocampus, temporal lobe.")) == {9}
    assert table.ids_for(read_report("Mass in the right temporal lobe.")) == {8, 10}
    assert table.ids_for(read_report("No mass in the right temporal lobe.")) == frozenset()
    assert np.array_equal(mask_of_ids(regions, frozenset({9})), regions.labels == 9)


def test_swapped_orientation_is_refused(tmp_path: Path, regions: AtlasRegions) -> None:
    swapped = [(index, 1 - side, coarse, fine) for index, side, coarse, fine in ROWS]
    with pytest.raises(InputError, match="Orientation"):
        RegionTable.load(write(tmp_path / "t.csv", swapped)).check(regions)


def test_label_that_the_atlas_lacks_is_refused(tmp_path: Path, regions: AtlasRegions) -> None:
    with pytest.raises(InputError, match="do not occur"):
        RegionTable.load(write(tmp_path / "t.csv", [(77, 0, "Frontal", "")])).check(regions)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,Coarse Level\n1,Frontal\n", "orientation"),
        ("id,Orientation,Coarse Level\n1,2,Frontal\n", "usable"),
        ("id,Orientation,Coarse Level\none,1,Frontal\n", "numbers"),
        ("id,Orientation,Coarse Level\n1,1,Frontal\n1,0,Frontal\n", "twice"),
        ("id,Orientation,Coarse Level\n", "empty"),
    ],
)
def test_bad_tables_are_refused_with_a_sentence(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        RegionTable.load(path)


def test_a_table_with_semicolons_in_the_encoding_of_a_chinese_system_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        "id;Orientation;Coarse Level;Fine Level 1\n9;0;颞叶;左侧海马\n1;0;额叶;左侧中央前回\n".encode("gbk")
    )
    first, _ = RegionTable.load(path).rows
    assert (first.index, first.words[:2]) == (9, ("颞叶", "左侧海马"))


def test_damaged_workbook_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    path = tmp_path / "t.xlsx"
    path.write_bytes(b"no workbook")
    with pytest.raises(InputError, match="cannot be read"):
        RegionTable.load(path)


def test_the_template_has_95_rows_that_reports_can_name(tmp_path: Path) -> None:
    from annofree.anatomy.atlas import _read_table
    from annofree.cli.main import main

    with pytest.raises(SystemExit) as done:
        main(["reports", "--region-template", str(tmp_path / "regions.tsv")])
    assert done.value.code in (0, None)
    rows = {row.index: row for row in _read_table(tmp_path / "regions.tsv")}
    assert sorted(rows) == list(range(1, 96))
    assert (rows[1].side, rows[20].side, rows[45].side, rows[95].side) == ("right", "left", "right", "right")
    assert [rows[n].side for n in (19, 44, 49)] == ["midline"] * 3
    assert sum(row.lobe == "Insula" for row in rows.values()) == 12
