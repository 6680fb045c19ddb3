"""Cards on the patient's page: whether the scan belongs, and what was done to a raw study."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from annofree.prepare.pictures import RIM_MM

RIM_SENTENCE = f" and a rim of {RIM_MM:g} mm around it"


def checks_card(provenance: Mapping[str, Any]) -> str:
    """The checks with their numbers, those that warn first and open; nothing where none was made."""
    told = provenance.get("checks")
    if not told:
        return ""
    rows = "".join(
        f"<dt>{escape(one['name'])}</dt><dd>{_words(one)}</dd>"
        for one in sorted(told, key=lambda one: not one["warning"])
    )
    doubts = sum(bool(one["warning"]) for one in told)
    said = f"{doubts} of {len(told)} checks warn" if doubts else f"all {len(told)} checks passed"
    return (
        f'<section class="card"><details{" open" if doubts else ""}><summary>Does this scan belong? {said}</summary>'
        f"<dl>{rows}</dl></details></section>"
    )


def _words(one: Mapping[str, Any]) -> str:
    low, high = one["usual"]
    usual = (
        f"{low:g} to {high:g}" if None not in (low, high) else f"up to {high:g}" if low is None else f"{low:g} and more"
    )
    warning = f"<b>Look at this:</b> {escape(one['warning'])}. " if one["warning"] else ""
    return f'{warning}<span class="soft small">{escape(one["meaning"])}: {one["number"]:.3g} (usual {usual})</span>'


def preparation_card(provenance: Mapping[str, Any]) -> str:
    """The steps with their numbers, warnings and pictures; nothing for a scan that came prepared."""
    told = provenance.get("preparation")
    if not told:
        return ""
    rows = []
    for step in told["steps"]:
        numbers = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in step["quality"].items())
        warnings = "".join(f'<p class="small"><b>Look at this:</b> {escape(w)}</p>' for w in step["warnings"])
        shown = escape(step["picture"], quote=True)
        alt = f"Axial slices with the outline of the step {escape(step['name'])}"
        picture = f'<p><img src="{shown}" alt="{alt}" style="max-width:100%"></p>' if shown else ""
        rows.append(
            f"<dt>{escape(step['name'])}</dt><dd>{escape(step['did'])} "
            f'<span class="soft small">{escape(numbers)}</span>{warnings}{picture}</dd>'
        )
    return f'<section class="card"><h2>Preparation</h2><dl>{"".join(rows)}</dl></section>'
