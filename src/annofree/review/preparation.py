"""What was done to a raw study, as a card on the patient's page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from annofree.prepare.pictures import RIM_MM

RIM_SENTENCE = f" and a rim of {RIM_MM:g} mm around it"


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
