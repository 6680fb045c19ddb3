"""The parts of a patient's page as HTML; every text that came from outside is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.prepare.pictures import RIM_MM
from annofree.review.pictures import EDGES, PLANE_NAMES, Tile
from annofree.review.summary import CERTAINTIES, Summary, certainty_of, headline_of, in_figures
from annofree.review.volumes import Brain, Levels, Packed
from annofree.review.words import (
    REGION_MEANINGS,
    REGION_NAMES,
    centre_words,
    clean_up_sentence,
    finding_sentence,
    is_note,
    place,
    refiner_sentence,
    rule_sentence,
    threshold_sentence,
)
from annofree.segmentation import Segmentation


def chips(summary: Summary) -> str:
    """Method, tier and how many notes there are."""
    texts = [f"method {summary.method}"] if summary.method else []
    if summary.tier:
        texts.append(f"tier {summary.tier}")
    if summary.notes:
        texts.append(f"{len(summary.notes)} note{'s' if len(summary.notes) > 1 else ''}")
    return "".join(f'<span class="chip">{escape(chip)}</span>' for chip in texts)


def numbers(result: Segmentation, summary: Summary) -> str:
    """The whole tumour's volume as the headline, its parts smaller, and how sure."""
    cells = [
        f'<div class="{region}{"" if number else " headline"}"><dt>{REGION_NAMES[region]}</dt>'
        f"<dd>{volume:.1f} <small>ml</small></dd></div>"
        for number, (region, volume) in enumerate(result.volumes_ml.items())
    ]
    cells += [
        f'<div class="{region}" title="No image shows it"><dt>{REGION_NAMES[region]}</dt><dd>n/a</dd></div>'
        for region in result.provenance.get("guessed_ml", {})
    ]
    kind = certainty_of([summary])
    sure = summary.certainty(kind)
    value = "n/a" if sure is None else in_figures(sure, kind)
    cells.append(f'<div title="{escape(CERTAINTIES[kind])}"><dt>{headline_of(kind)}</dt><dd>{value}</dd></div>')
    return "".join(cells)


def meanings(result: Segmentation) -> str:
    """The regions spelt out, once on a page."""
    told = "; ".join(REGION_MEANINGS[region] for region in result.regions)
    return escape(f"{told[:1].upper()}{told[1:]}.")


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
    about = f"Show this place of the {about} in the viewer"
    return f'<button type="button" class="tile" data-index="{tile.index}" title="{about}">{inner}</button>'


def legend(result: Segmentation, brain: Brain) -> str:
    """What the colours mean."""
    names = {"WT": "oedema", "TC": "core", "ET": "enhancing"} if len(result.regions) > 1 else {"WT": "tumour"}
    parts = [f'<span><i class="swatch {region}"></i>{names[region]}</span>' for region in result.regions]
    if brain.levels:
        parts.append('<span><i class="swatch score"></i>scores</span>')
    return "".join(parts)


def threshold_cards(result: Segmentation, brain: Brain) -> str:
    """A slider over each score map that decides; the first open, the others folded."""
    return "".join(
        f'<details class="card"{" open" if not number else ""}><summary>Try another threshold: {REGION_NAMES[name]}'
        f"</summary>{_slider(name, levels, brain.voxel_ml)}{_threshold_words(name, levels, result)}</details>"
        for number, (name, levels) in enumerate(brain.levels.items())
    )


def _slider(name: str, levels: Levels, voxel_ml: float) -> str:
    voxels, own, last = levels.voxels_above(levels.own), levels.own, levels.stops.size - 1
    return (
        f'<div class="readout"><output id="volume-{name}" for="slider-{name}" data-voxels="{voxels}">'
        f"{voxels * voxel_ml:.2f} ml</output>"
        '<span class="soft small">before clean-up</span>'
        f'<span class="soft small" id="value-{name}">score &gt; {levels.stops[own]:.4g}, as used</span>'
        f'<button type="button" class="plain" id="own-{name}">Reset</button></div>'
        f"{_curve(name, levels.counts, own)}"
        f'<label class="hidden" for="slider-{name}">Threshold, {REGION_NAMES[name]}</label>'
        f'<input type="range" id="slider-{name}" min="0" max="{last}" step="1" value="{own}">'
    )


def _threshold_words(name: str, levels: Levels, result: Segmentation) -> str:
    around = {"TC": " inside the whole tumour", "ET": " inside the tumour core"}.get(name, "")
    used = result.thresholds[name].to_dict()
    chain = (result.provenance.get("refiners") or {}).get(name, [])
    plain = f"All voxels{around} that score higher. {rule_sentence(used)}"
    if name in result.regions:
        plain += f" {clean_up_sentence(chain)} That leaves the mask: {result.volumes_ml[name]:.2f} ml."
    details = [
        f"Threshold {levels.stops[levels.own]:.4g}: "
        f"{threshold_sentence(used, result.scores[name].unit, str(result.provenance.get('tier', '')))}.",
        f"Clean-up: {'; '.join(map(refiner_sentence, chain)) or 'none'}.",
    ]
    if (share := levels.steadiness()) is not None:
        details.append(f"Steadiness {share:.0%}: {CERTAINTIES['steadiness']}.")
    folded = "".join(f"<p>{escape(line)}</p>" for line in details)
    return (
        f'<p class="small soft">{escape(plain)}</p>'
        f'<details class="small soft"><summary>Rules and settings</summary>{folded}</details>'
    )


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
    shape = np.asarray(brain.labels.shape)
    middle_mm = brain.affine[:3, :3] @ ((shape - 1) / 2) + brain.affine[:3, 3]
    size_mm = np.abs(brain.affine[:3, :3]) @ shape
    sure = any(lesion.confidence is not None for lesion in result.lesions)
    rows = []
    for lesion in result.lesions:
        voxel = inverse[:3, :3] @ np.asarray(lesion.centre_mm) + inverse[:3, 3]
        at = [max(0, round(float(v) / s)) for v, s in zip(voxel, packed.step, strict=True)]
        centre = ", ".join(f"{c:.0f}" for c in lesion.centre_mm)
        where = place(lesion) or "side and lobe not known"
        words = centre_words(lesion, middle_mm.tolist(), size_mm.tolist())
        confidence = "n/a" if lesion.confidence is None else f"{lesion.confidence:.0%}"
        rows.append(
            f'<tr data-voxel="{at}" tabindex="0" title="Show it in the viewer"><td>{lesion.index}</td>'
            f'<td class="n">{lesion.volume_ml:.2f}</td>'
            f'<td><b>{escape(where)}</b><br><span class="soft small">centre {escape(words)} '
            f"(x, y, z {centre} mm)</span>"
            f'</td>{f"""<td class="n">{confidence}</td>""" if sure else ""}</tr>'
        )
    head = '<th>#</th><th class="n">ml</th><th>where</th>'
    head += '<th class="n">confidence</th>' if sure else ""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def notes(lines: Iterable[str]) -> str:
    """What happened on the way, or nothing."""
    shown = "".join(f'<p class="note">{escape(line)}</p>' for line in lines if is_note(line))
    return f'<section class="card"><h2>Notes</h2>{shown}</section>' if shown else ""


def facts(result: Segmentation) -> str:
    """What was done, in words."""
    told = result.provenance
    x, y, z = result.grid.shape
    chains = (told.get("refiners") or {}).items()
    whole = next((clean_up_sentence(chain) for region, chain in chains if region == "WT"), "")
    rule = rule_sentence(result.thresholds["WT"].to_dict()) if "WT" in result.thresholds else ""
    lines = {
        "Method": told.get("method", "unknown"),
        "Sequences": ", ".join(told.get("sequences", [])),
        "Files": ", ".join(Path(str(name)).name for name in (told.get("files") or {}).values()),
        "Left out": "; ".join(line for line in map(str, told.get("notes", ())) if not is_note(line)),
        "Scan": f"{x} × {y} × {z} voxels of {' × '.join(f'{edge:.3g}' for edge in result.grid.spacing_mm)} mm",
        "From scores to mask": f"{rule} {whole}".strip(),
        "Software": f"annofree {told.get('annofree', '')}",
    }
    return _definitions(lines)


def more_facts(result: Segmentation) -> str:
    """With which model, settings and rules, to the last value."""
    told = result.provenance
    card = told.get("model")
    lines = {
        **{key: _plain(value) for key, value in (card if isinstance(card, Mapping) else {}).items()},
        "settings": ", ".join(f"{k} {_plain(v)}" for k, v in (told.get("settings") or {}).items() if v is not None),
        **{
            f"clean-up, {region}": ", ".join(map(refiner_sentence, chain)) or "none"
            for region, chain in (told.get("refiners") or {}).items()
        },
    }
    return _definitions(lines) or "<dt>model</dt><dd>nothing was learned</dd>"


def _definitions(lines: Mapping[str, Any]) -> str:
    return "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>" for name, value in lines.items() if value
    )


def _plain(value: Any, most: int = 400) -> str:
    if isinstance(value, Mapping):
        value = "; ".join(f"{key}: {entry}" for key, entry in value.items())
    if isinstance(value, list):
        value = f"{', '.join(map(str, value[:5]))}{f' and {len(value) - 5} more' if len(value) > 5 else ''}"
    return text if len(text := str(value)) <= most else text[: most - 1] + "…"


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
