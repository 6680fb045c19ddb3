"""The example notebook does what its stored outputs say."""

from __future__ import annotations

import json
import re
from typing import Any

from example_notebook import FILE, code_cells, executed

REFRESH = "meant? then: python tests/example_notebook.py"
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def told(output: dict[str, Any]) -> str:
    """What one reads of an output: its text, without pictures and colours."""
    texts = [output["text"]] if "text" in output else list(output["data"].values())
    return re.sub(r"<[^>]*>", " ", "\n".join("".join(text) for text in texts))


def alike(one: str, other: str) -> bool:
    """Whether a number is another, as far as another machine or another zlib may move it."""
    last_digit = 10.0 ** -len(one.partition(".")[2])
    return abs(float(one) - float(other)) <= 1.01 * last_digit + 0.05 * float(other)


def test_the_notebook_runs_and_prints_what_it_shows() -> None:
    cells = code_cells(json.loads(FILE.read_text(encoding="utf-8")))
    assert len(cells) > 3
    for cell, outputs in zip(cells, executed(cells), strict=True):
        assert [o["output_type"] for o in outputs] == [o["output_type"] for o in cell["outputs"]]
        for stored, now in zip(map(told, cell["outputs"]), map(told, outputs), strict=True):
            assert NUMBER.sub("#", stored) == NUMBER.sub("#", now), REFRESH
            assert all(map(alike, NUMBER.findall(stored), NUMBER.findall(now))), f"{stored}\n{now}\n{REFRESH}"


def test_the_notebook_is_small_and_names_no_folder_of_a_machine() -> None:
    assert "/home/" not in FILE.read_text()
    assert FILE.stat().st_size < 300_000
