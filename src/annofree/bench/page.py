"""A comparison as one offline page: strips of cases, the table, the sensitivity curve, the worst cases as pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.bench.results import Bench, Entry, Group
from annofree.bench.scores import Scored
from annofree.bench.tables import number, rows_of
from annofree.errors import AnnofreeError
from annofree.formats import open_truth, read_segmentation
from annofree.formats.outfolder import atomic_write
from annofree.page import document
from annofree.prepare.slices import pick_sequence
from annofree.review.pictures import outlined_slice
from annofree.scan import scoring
from annofree.version import VERSION

#: Width of the strips, of the names in front of them and their letters, height of a row.
_WIDTH, _NAME, _LETTERS, _ROW = 1100.0, 330.0, 46, 26.0
_SHOWN = (
    "method", "threshold", "refiners", "tier", "region", "n", "dice", "dice_low", "dice_high", "lesionwise_dice",
    "hd95_mm", "minus_plain", "minus_plain_low", "minus_plain_high", "seconds", "peak_gb",
)  # fmt: skip
_TITLES = {
    "method": "Methods",
    "transductive": "Learned from these very scans (transductive)",
    "oracle": "Chosen with the truth (T3)",
    "sanity": "Without any method",
}


def write_page(result: Bench) -> Path:
    """Write `index.html`, which needs no network."""
    sections = "".join(_section(group, result) for group in result.groups)
    failed = "".join(f"<li>{escape(sentence)}</li>" for sentence in result.failures)
    failed = f'<section class="card failures"><h2>Not run</h2><ul>{failed}</ul></section>' if failed else ""
    names = ", ".join(escape(group.name) for group in result.groups)
    head = (
        f'<div class="head"><div><h1>{len(result.plan.contenders)} methods on {names}</h1>'
        '<p class="sentence">Tiers: T0 nothing has seen a lesion; R reports; T2 masks chose something; T3 the truth '
        "itself did.</p></div></div>"
    )
    closing = f"Made with annofree {VERSION}; this page asks for nothing from any network."
    what = "<span>comparison of methods</span>"
    page = document("annofree bench", what, f"{head}{failed}{sections}", closing=closing)
    path = result.out / "index.html"
    atomic_write(path, page)
    return path


def _section(group: Group, result: Bench) -> str:
    parts = [f"<h1>{escape(group.name)}</h1>", _strips(group)]
    rows = rows_of(group, oracles=result.oracles)
    for kind, title in _TITLES.items():
        own = [row for row in rows if row["kind"] == kind]
        columns = [name for name in _SHOWN if any(row.get(name) not in (None, "") for row in own)]
        if own:
            parts.append(_card(title, _table(own, columns)))
    curves = "".join(_curve(entry.name, entry.scores) for entry in group.entries if entry.own)
    if result.plan.curve and curves:
        parts.append(_card("Dice against one common threshold, before any refiner (T3)", curves))
    if pictures := worst_cases(group):
        parts.append(_card("Worst cases of the best method", "".join(map(_figure, pictures))))
    return "".join(parts)


def _card(title: str, body: str) -> str:
    return f'<section class="card"><h2>{escape(title)}</h2>{body}</section>'


def _strips(group: Group) -> str:
    """A row an entry: a dot a case at its whole-tumour Dice, a bar at the mean."""
    entries = group.entries
    height = _ROW * len(entries) + 24
    parts = []
    for tenth in range(0, 11, 2):
        x = _place(tenth / 10)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 18:.0f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 4:.0f}" text-anchor="middle">{tenth / 10:g}</text>')
    for row, entry in enumerate(entries):
        y = _ROW * (row + 0.5)
        said = f"{entry.scores.tier}{', transductive' if entry.transductive else ''}: {entry.title}"
        said = said if len(said) <= _LETTERS else f"{said[: _LETTERS - 1]}…"
        parts.append(f'<text x="0" y="{y + 4:.1f}">{escape(said)}</text>')
        found = entry.dices
        for case, value in found.items():
            parts.append(
                f'<circle cx="{_place(value):.1f}" cy="{y:.1f}" r="4" fill-opacity=".55">'
                f"<title>{escape(case)}: {value:.3f}</title></circle>"
            )
        if found:
            x = _place(sum(found.values()) / len(found))
            parts.append(f'<rect x="{x - 1.5:.1f}" y="{y - 9:.1f}" width="3" height="18" fill="currentColor"/>')
    svg = (
        f'<svg class="spread" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-label="Whole-tumour Dice of each case by method">{"".join(parts)}</svg>'
    )
    return _card("Whole-tumour Dice, one dot a case, bars are means", svg)


def _place(value: float) -> float:
    return _NAME + value * (_WIDTH - _NAME - 20)


def _table(rows: Sequence[dict[str, object]], columns: Iterable[str]) -> str:
    names = list(columns)
    numbers = {name for name in names if any(isinstance(row.get(name), float) for row in rows)}
    head = "".join(f"<th{' class=n' if name in numbers else ''}>{name.replace('_', ' ')}</th>" for name in names)
    body = "".join(f"<tr>{''.join(_cell(row.get(name)) for name in names)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td class="n">{number(value)}</td>'
    return f"<td>{'' if value is None else escape(str(value))}</td>"


def _figure(picture: Picture) -> str:
    return (
        f'<figure style="display:inline-block;margin:0 14px 10px 0"><img src="{picture.address}" '
        f'alt="Slice of {escape(picture.case)}"><figcaption class="small">{escape(picture.words)}</figcaption></figure>'
    )


def _curve(name: str, scores: Scored) -> str:
    """Mean Dice against the threshold, a small picture a method: scores of different units share no axis."""
    oracles, own = scores.oracles, scores.threshold
    if oracles is None:
        return ""
    width, height = 250.0, 130.0
    places = [x for x, _ in oracles.curve]
    low, span = min(places), max(max(places) - min(places), 1e-9)
    points = " ".join(f"{width * (x - low) / span:.1f},{height * (1 - y):.1f}" for x, y in oracles.curve)
    mark = ""
    if own is not None and low <= own <= low + span:
        x = width * (own - low) / span
        mark = (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height:.0f}" stroke="currentColor" stroke-dasharray="3 3"/>'
        )
    title = f"{name}: best {oracles.best[0]:.3f} at {oracles.best[1]:.3g}"
    words = f"thresholds {low:.3g} to {low + span:.3g}, Dice 0 to 1" + ("; dashed: its own" if mark else "")
    return (
        '<figure style="display:inline-block;margin:0 24px 12px 0">'
        f'<svg width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}" style="border:1px solid var(--line)">'
        f'<polyline points="{points}" fill="none" stroke="var(--wt)" stroke-width="1.5"/>{mark}</svg>'
        f'<figcaption class="small">{escape(title)}<br>{words}</figcaption></figure>'
    )


#: Pictures a kind of data.
MOST = 4
#: Outlines: what was called, and the truth.
CALLED, TRUE = (240, 126, 72), (86, 180, 233)


@dataclass(frozen=True)
class Picture:
    """One slice of one case."""

    case: str
    words: str
    address: str


def worst_cases(group: Group) -> list[Picture]:
    """Pictures of the cases that the best method by its own rules did worst, transductive ones left out."""
    ranked = sorted((entry for entry in group.entries if entry.own and not entry.transductive), key=_mean)
    if not ranked:
        return []
    best = ranked[-1]
    values = best.dices
    pictures = []
    for case in sorted(values, key=lambda case: values[case])[:MOST]:
        try:
            pictures.append(_picture(group, best, case, values[case]))
        except AnnofreeError:
            continue  # a picture is no result
    return pictures


def _mean(entry: Entry) -> float:
    known = list(entry.dices.values())
    return float(np.mean(known)) if known else -1.0


def _picture(group: Group, entry: Entry, case: str, dice: float) -> Picture:
    scan = group.place.cohort()[case]
    answer = read_segmentation(entry.answers, case, scores=())
    truth = open_truth(group.place.truth, case, scan.grid, native=scan.native, files=scan.files.values())
    with scoring():
        true: NDArray[np.bool_] = truth.labels > 0
    called = answer.mask("WT")
    level = int((called | true).sum(axis=(0, 1)).argmax())
    name, brain = pick_sequence(scan), scan.foreground()
    image = scan.images[name]
    low, high = np.percentile(image[brain], (1, 99.5))
    shown = np.clip((image[:, :, level] - low) / max(high - low, 1e-6), 0, 1) * brain[:, :, level]
    grey = (255 * shown).astype(np.uint8)
    lines = ((called[:, :, level], CALLED), (true[:, :, level], TRUE))
    words = f"{case}: Dice {dice:.3f} by {entry.name}; {name}, orange called, blue truth"
    return Picture(case, words, outlined_slice(grey, lines, scan.spacing_mm[:2]))
