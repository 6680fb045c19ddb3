"""Whether the scan belongs, as a card on the patient's page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any


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
