"""What the cells of the example notebook print and show now, beside what is stored with them.

A change that is meant to move them writes them anew with one command, from the repository's root:

    python tests/example_notebook.py
"""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[1] / "docs" / "example.ipynb"


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells that run."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def executed(cells: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The outputs of each cell, run one after the other as a notebook runs them."""
    names: dict[str, Any] = {}
    for count, cell in enumerate(cells, 1):
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(tree, str(FILE), "exec"), names)
            shown = None if last is None else eval(compile(ast.Expression(last.value), str(FILE), "eval"), names)
        outputs: list[dict[str, Any]] = []
        if text := printed.getvalue():
            outputs.append({"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)})
        if shown is not None:
            html = [] if not hasattr(shown, "_repr_html_") else [("text/html", shown._repr_html_())]
            data = {kind: text.splitlines(keepends=True) for kind, text in [*html, ("text/plain", repr(shown))]}
            about = {"execution_count": count, "metadata": {}, "output_type": "execute_result"}
            outputs.append({"data": data, **about})
        yield outputs


def main() -> None:
    """Write the outputs anew."""
    notebook = json.loads(FILE.read_text(encoding="utf-8"))
    cells = code_cells(notebook)
    for count, (cell, outputs) in enumerate(zip(cells, executed(cells), strict=True), 1):
        cell |= {"execution_count": count, "outputs": outputs}
    FILE.write_text(json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
