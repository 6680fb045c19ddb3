"""The example notebook does what its stored outputs say."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "example.ipynb"


def test_the_notebook_runs_and_prints_what_it_shows() -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 3
    names: dict[str, object] = {}
    for cell in cells:
        source = "".join(cell["source"])
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(source, str(NOTEBOOK), "exec"), names)
        shown = "".join("".join(o.get("text", "")) for o in cell["outputs"] if o["output_type"] == "stream")
        assert bool(printed.getvalue()) == bool(shown), source
        assert not any(o["output_type"] == "error" for o in cell["outputs"])
    html = ["".join(o["data"]["text/html"]) for c in cells for o in c["outputs"] if "text/html" in o.get("data", {})]
    assert names["result"]._repr_html_()[:40] == html[0][:40]  # type: ignore[attr-defined]
    assert "/home/" not in NOTEBOOK.read_text()
    assert NOTEBOOK.stat().st_size < 300_000
