"""The parts of a patient's page as HTML; every text that came from outside is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.review.levels import Levels
from annofree.review.pictures import EDGES, PLANE_NAMES, Tile
from annofree.review.summary import Summary
from annofree.review.volumes import Brain, Packed
from annofree.review.words import (
    REGION_NAMES,
    STEADINESS,
    confidence_words,
    finding_sentence,
    refiner_sentence,
    threshold_sentence,
)
from annofree.segmentation import Segmentation


def chips(summary: Summary) -> str:
    """Method, tier and how many notes there are."""
    texts = [f"method {summary.method}"] if summary.method else []
    if summary.tier:
        texts.append(f"tier {summary.tier}")
    if summary.notes:
        texts.append(f"{len(summary.notes)} note{'s' if len(summary.notes) > 1 else ''}, below")
    return "".join(f'<span class="chip">{escape(chip)}</span>' for chip in texts)


def numbers(result: Segmentation, summary: Summary) -> str:
    """Volume of each region, and how sure."""
    cells = [
        f'<div class="{region}"><dt>{REGION_NAMES[region]}</dt><dd>{volume:.1f} <small>ml</small></dd></div>'
        for region, volume in result.volumes_ml.items()
    ]
    value, meaning = confidence_words(result.lesions, summary.steadiness)
    name = "Confidence" if summary.confidence is not None else "Steadiness"
    cells.append(f'<div title="{escape(meaning)}"><dt>{name}</dt><dd>{value}</dd></div>')
    return "".join(cells)


def choice(name: str, options: Iterable[tuple[str, str]]) -> str:
    """Radio buttons that look like one control; options are values and labels, the first is chosen."""
    return "".join(
        f'<input type="radio" name="{name}" id="{name}-{value}" value="{value}"{" checked" if not number else ""}>'
        f'<label for="{name}-{value}">{text}</label>'
        for number, (value, text) in enumerate(options)
    )


def tile_html(tile: Tile, sequences: list[str], *, button: bool = False) -> str:
    """A slice with its outlines and edges; the first sequence shows, the others wait."""
    plane = PLANE_NAMES[tile.axis]
    left, right = EDGES[tile.axis]
    width, height = tile.size
    about = f"{plane} slice at {tile.position_mm:.0f} mm"
    images = "".join(
        f'<img data-sequence="{name}" alt="{name}, {about}" width="{width}" height="{height}" src="{tile.images[name]}"'
        f"{' hidden' if number else ''}>"
        for number, name in enumerate(sequences)
    )
    inner = (
        f'{images}<img class="outline" alt="" src="{tile.outlines}"><i class="l">{left}</i><i class="r">{right}</i>'
        f'<i class="mm">{tile.position_mm:.0f} mm</i>'
    )
    if not button:
        return f'<div class="tile">{inner}</div>'
    about = f"Show the {about} in the viewer"
    return f'<button type="button" class="tile" data-index="{tile.index}" title="{about}">{inner}</button>'


def legend(result: Segmentation, brain: Brain) -> str:
    """What the colours mean."""
    names = {"WT": "oedema", "TC": "core", "ET": "enhancing"} if len(result.regions) > 1 else {"WT": "tumour"}
    parts = [f'<span><i class="swatch {region}"></i>{name}</span>' for region, name in names.items()]
    if brain.levels:
        parts.append('<span><i class="swatch score"></i>scores</span>')
    return "".join(parts)


def threshold_cards(result: Segmentation, brain: Brain) -> str:
    """A slider over each score map that decides; the first open, the others folded."""
    return "".join(
        f'<details class="card"{" open" if not number else ""}><summary>{REGION_NAMES[name]}: moving the threshold'
        f"</summary>{_slider(name, levels, brain.voxel_ml)}{_threshold_words(name, levels, result)}</details>"
        for number, (name, levels) in enumerate(brain.levels.items())
    )


def _slider(name: str, levels: Levels, voxel_ml: float) -> str:
    voxels, own, last = levels.voxels_above(levels.own), levels.own, levels.stops.size - 1
    return (
        f'<div class="readout"><output id="volume-{name}" for="slider-{name}" data-voxels="{voxels}">'
        f"{voxels * voxel_ml:.2f} ml</output>"
        f'<span class="soft small" id="value-{name}">score &gt; {levels.stops[own]:.4g}, as used</span>'
        f'<button type="button" class="plain" id="own-{name}">Reset</button></div>'
        f"{_curve(name, levels.counts, own)}"
        f'<label class="hidden" for="slider-{name}">Threshold, {REGION_NAMES[name]}</label>'
        f'<input type="range" id="slider-{name}" min="0" max="{last}" step="1" value="{own}">'
    )


def _threshold_words(name: str, levels: Levels, result: Segmentation) -> str:
    around = {"TC": " inside the whole tumour", "ET": " inside the tumour core"}.get(name, "")
    lines = [f"All voxels above the threshold{around}, before clean-up."]
    if name in result.regions:
        chain = [refiner_sentence(refiner) for refiner in (result.provenance.get("refiners") or {}).get(name, [])]
        after = f", after {'; '.join(chain)}" if chain else ""
        lines[0] += f" The mask has {result.volumes_ml[name]:.2f} ml{after}."
    used = threshold_sentence(result.thresholds[name].to_dict(), result.scores[name].unit)
    lines.append(f"Threshold {levels.stops[levels.own]:.4g}: {used}.")
    if (share := levels.steadiness()) is not None:
        lines.append(f"Steadiness {share:.0%}: {STEADINESS}.")
    return "".join(f'<p class="small soft">{escape(line)}</p>' for line in lines)


def _curve(name: str, counts: NDArray[np.int64], own: int) -> str:
    """Volume against threshold, on a square-root scale so that small lesions are seen beside a whole brain."""
    voxels = np.sqrt(counts.sum() - np.cumsum(counts)[:-1].astype(np.float64))
    heights = 56 * (1 - voxels / max(float(voxels.max()), 1.0))
    points = " ".join(f"L{k} {height:.1f}" for k, height in enumerate(heights))
    last = len(heights) - 1
    return (
        f'<svg class="curve" viewBox="0 0 {last} 56" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="M0 56 {points} L{last} 56"/><line class="own" x1="{own}" x2="{own}" y1="0" y2="56"/>'
        f'<line class="now" id="now-{name}" x1="{own}" x2="{own}" y1="0" y2="56"/></svg>'
    )


def findings(result: Segmentation, brain: Brain, packed: Packed) -> str:
    """The table of findings; a row leads to its place in the viewer."""
    if not result.lesions:
        return f'<p class="small soft">{escape(finding_sentence(result))}</p>'
    inverse = np.linalg.inv(brain.affine)
    sure = any(lesion.confidence is not None for lesion in result.lesions)
    rows = []
    for lesion in result.lesions:
        voxel = inverse[:3, :3] @ np.asarray(lesion.centre_mm) + inverse[:3, 3]
        at = [max(0, round(float(v) / s)) for v, s in zip(voxel, packed.step, strict=True)]
        centre = ", ".join(f"{c:.0f}" for c in lesion.centre_mm)
        confidence = "n/a" if lesion.confidence is None else f"{lesion.confidence:.0%}"
        rows.append(
            f'<tr data-voxel="{at}" tabindex="0"><td>{lesion.index}</td><td class="n">{lesion.volume_ml:.2f}</td>'
            f"<td>{escape(lesion.side or 'n/a')}</td><td>{escape(lesion.lobe or 'n/a')}</td>"
            f'<td class="n">{centre}</td>{f"""<td class="n">{confidence}</td>""" if sure else ""}</tr>'
        )
    head = '<th>#</th><th class="n">ml</th><th>side</th><th>lobe</th><th class="n">centre, mm</th>'
    head += '<th class="n">confidence</th>' if sure else ""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def notes(lines: Iterable[str]) -> str:
    """What happened on the way, or nothing."""
    shown = "".join(f'<p class="note">{escape(line)}</p>' for line in lines)
    return f'<section class="card"><h2>Notes</h2>{shown}</section>' if shown else ""


def facts(result: Segmentation) -> str:
    """What was done, with which model and settings."""
    told = result.provenance
    x, y, z = result.grid.shape
    card = told.get("model") if isinstance(told.get("model"), Mapping) else {}
    lines = {
        "Method": told.get("method", "unknown"),
        "Model": "; ".join(f"{key}: {_plain(value)}" for key, value in (card or {}).items()) or "nothing was learned",
        "Settings": ", ".join(f"{k} {_plain(v)}" for k, v in (told.get("settings") or {}).items() if v is not None),
        "Sequences": ", ".join(told.get("sequences", [])),
        "Files": ", ".join(Path(str(name)).name for name in (told.get("files") or {}).values()),
        "Scan": f"{x} × {y} × {z} voxels of {' × '.join(f'{edge:.3g}' for edge in result.grid.spacing_mm)} mm",
        "Clean-up": "; ".join(
            f"{region}: {', '.join(map(refiner_sentence, chain)) or 'none'}"
            for region, chain in (told.get("refiners") or {}).items()
        ),
        "Software": f"annofree {told.get('annofree', '')}",
    }
    return "".join(f"<dt>{name}</dt><dd>{escape(str(value))}</dd>" for name, value in lines.items() if value)


def _plain(value: Any, most: int = 160) -> str:
    if isinstance(value, list):
        value = f"{', '.join(map(str, value[:5]))}{f' and {len(value) - 5} more' if len(value) > 5 else ''}"
    return text if len(text := str(value)) <= most else text[: most - 1] + "…"
