"""The page of two examinations: then and now side by side, and what was added, removed and stayed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from html import escape

import numpy as np
from numpy.typing import NDArray

from annofree.page import DISCLAIMER, style
from annofree.review import assets, panels
from annofree.review.pictures import COLOURS, Tile, axial_levels, filled_picture, make_tile
from annofree.review.volumes import Brain
from annofree.review.words import REGION_NAMES
from annofree.version import VERSION

#: What a voxel of the change map says.
STAYED, REMOVED, ADDED = 1, 2, 3
_COLOURS = {STAYED: (176, 190, 197), REMOVED: COLOURS["WT"], ADDED: COLOURS["TC"]}
_WORDS = {ADDED: "added", REMOVED: "removed", STAYED: "stayed"}
_ROWS, _HEIGHT_PX = 12, 300


def change_page(
    before: Brain,
    after: Brain,
    change: NDArray[np.uint8],
    *,
    title: str,
    names: tuple[str, str],
    sentence: str,
    rows: Iterable[Sequence[str]],
    facts: Mapping[str, str],
    notes: Iterable[str],
) -> str:
    """The page as HTML, which needs nothing else.

    The change is uint8 (X, Y, Z) on the box of both brains: 0, `STAYED`, `REMOVED` or `ADDED`. A row has region,
    statement, then the cells that the table's head names.
    """
    sequences = [str(name) for name in before.images]
    changed = replace(after, labels=change)
    union = replace(after, labels=np.maximum(np.maximum(before.labels, after.labels), change))
    seen = np.flatnonzero(union.labels.any(axis=(0, 1)))
    through = np.rint(np.linspace(seen[0], seen[-1], _ROWS)).astype(int) if seen.size else axial_levels(union, _ROWS)
    levels = sorted({int(level) for level in through})
    return assets.fill(
        "change.html",
        title=escape(title),
        css=style(),
        disclaimer=DISCLAIMER,
        version=VERSION,
        sentence=escape(sentence),
        table=_table(rows),
        notes=panels.notes(tuple(notes)),
        facts="".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items()),
        legend="".join(
            f'<span><i class="swatch" style="background:rgb{_COLOURS[code]}"></i>{word}</span>'
            for code, word in _WORDS.items()
        ),
        slices="".join(
            f"<details class=card{'' if number else ' open'}><summary>{escape(sequence)}</summary>"
            f"{_slices(before, after, changed, sequence, levels, names)}</details>"
            for number, sequence in enumerate(sequences)
        ),
    )


def _slices(
    before: Brain, after: Brain, changed: Brain, sequence: str, levels: Iterable[int], names: tuple[str, str]
) -> str:
    heads = "".join(f"<h2>{escape(name)}</h2>" for name in (f"then: {names[0]}", f"now: {names[1]}", "change"))
    filled = partial(filled_picture, colours=_COLOURS)
    tiles: list[Tile] = []
    for z in levels:
        tiles += [make_tile(brain, 2, z, height=_HEIGHT_PX, sequences=[sequence]) for brain in (before, after)]
        tiles.append(make_tile(changed, 2, z, height=_HEIGHT_PX, sequences=[sequence], overlay=filled))
    return f'<div class="visits">{heads}{"".join(panels.tile_html(tile, [sequence]) for tile in tiles)}</div>'


def _table(rows: Iterable[Sequence[str]]) -> str:
    lines = [
        f"<tr><td>{REGION_NAMES[region]}</td><td><b>{escape(statement)}</b></td>"
        f"{''.join(f'<td class=n>{cell}</td>' for cell in cells)}</tr>"
        for region, statement, *cells in rows
    ]
    heads = ("region", "statement", "then ml", "now ml", "change ml", "%", "interval ml", "added", "removed", "stayed")
    head = "".join(f'<th scope="col"{" class=n" if n > 1 else ""}>{name}</th>' for n, name in enumerate(heads))
    return f'<table class="cohort"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
