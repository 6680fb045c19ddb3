"""Distributions over a cohort as strips of dots: one dot a scan, each leading to its page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from annofree.review.patient import page_path
from annofree.review.summary import Summary, headline_of, in_figures

_WIDTH, _EDGE = 1200.0, 24.0
#: Fewer dots than this show no distribution.
FEWEST = 3


def spreads(root: Path, rows: Sequence[Summary], certainty: str) -> str:
    """Volumes of the whole tumour on a logarithmic axis, and how sure the answers are."""
    found = [row for row in rows if row.volumes_ml.get("WT", 0.0) > 0]
    parts = []
    if len(found) >= FEWEST:
        volumes = [max(row.volumes_ml["WT"], 0.01) for row in found]
        low, high = float(np.floor(np.log10(min(volumes)))), float(np.ceil(np.log10(max(volumes)) + 1e-6))
        ticks = [10.0**power * times for power in range(int(low), int(high) + 1) for times in (1, 2, 5)]
        marks = [(float(np.log10(tick) - low) / (high - low), f"{tick:g}") for tick in ticks]
        dots = [
            (float(np.log10(volume) - low) / (high - low), row, f"{volume:.1f} ml")
            for row, volume in zip(found, volumes, strict=True)
        ]
        parts.append(_strip(root, "Volume of the whole tumour, ml", dots, marks))
    sure = [
        (value, row, in_figures(value, certainty)) for row in found if (value := row.certainty(certainty)) is not None
    ]
    if len(sure) >= FEWEST:
        marks = [(tenth / 10, in_figures(tenth / 10, certainty)) for tenth in range(0, 11, 2)]
        parts.append(_strip(root, headline_of(certainty), sure, marks))
    return "".join(parts)


def _strip(
    root: Path, title: str, dots: Sequence[tuple[float, Summary, str]], marks: Iterable[tuple[float, str]]
) -> str:
    """Dots at places from 0 to 1, stacked where they fall together, over an axis with marks."""
    radius = 6.0 if len(dots) <= 150 else 2.5
    step, span = 2.2 * radius, _WIDTH - 2 * _EDGE
    columns = [round((_EDGE + place * span) / step) for place, _, _ in dots]
    height = 30 + step * max(3, int(np.bincount(columns).max()))
    parts = []
    for place, text in marks:
        if 0 <= place <= 1.0001:
            x = _EDGE + place * span
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 16:.0f}"/>')
            parts.append(f'<text x="{x:.1f}" y="{height - 3:.0f}" text-anchor="middle">{text}</text>')
    stacked: dict[int, int] = {}
    for (_, row, value), column in sorted(zip(dots, columns, strict=True), key=lambda pair: pair[0][0]):
        level = stacked.get(column, 0)
        stacked[column] = level + 1
        dot = (
            f'<circle cx="{column * step:.1f}" cy="{height - 22 - radius - level * step:.1f}" r="{radius}">'
            f"<title>{escape(row.scan_id)}: {value}</title></circle>"
        )
        page = page_path(root, row.scan_id)
        parts.append(f'<a href="{page.relative_to(root).as_posix()}">{dot}</a>' if page.is_file() else dot)
    return (
        f'<section class="card"><h2>{title} <span class="soft small">one dot a scan</span></h2>'
        f'<svg class="spread" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" aria-label="Distribution: {title}">'
        f"{''.join(parts)}</svg></section>"
    )
