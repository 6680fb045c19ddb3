"""The page per cohort: what to look at first, every scan with a thumbnail, every failure with its remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from annofree.formats.bids_names import scan_folders
from annofree.formats.outfolder import atomic_write, claim_folder, read_table
from annofree.formats.stored import no_results
from annofree.page import DISCLAIMER, style
from annofree.review import assets
from annofree.review.patient import page_path
from annofree.review.summary import CERTAINTIES, Summary, certainty_of, headline_of, in_figures, read_summary, title_of
from annofree.review.words import REGION_NAMES, is_note
from annofree.segmentation import REGIONS
from annofree.version import VERSION

#: The folders before a file's name, in parentheses or quotes (where a folder's name may hold spaces) or in plain text.
#: Pages leave the house, and folders may be called by persons. Labels such as 0/1/2 and n/a are no folders.
_FOLDERS = re.compile(
    r"(?:(?<=\()|(?<=\W['\"]))[^()'\"]*[/\\](?=[^()'\"/\\])"
    r"|(?<![\w/\\])(?!n/a\b)(?=[^\s()'\"]*[A-Za-z]{2})[^\s()'\"]*[/\\](?=[^\s()'\"/\\])"
)


def write_cohort_review(out: str | Path, pages: Path | None = None) -> Path:
    """Write `index.html` of an output folder from its tables and its patients' pages, beside those (`pages`).

    Scans without a finding come first, then the least certain ones. Certainty is the expected Dice where the model
    was calibrated, else the method's own confidence in the largest finding, or, where the method has none, how little
    the volume hangs on the threshold.

    Raises:
        InputError: There is nothing to show.
        OutputError: The folder cannot be used.
    """
    root = Path(out)
    if not root.is_dir():
        raise no_results(root)
    pages = pages or root
    rows, failures = _summaries(root, pages), read_table(root / "failures.tsv")
    if not rows and not failures:
        raise no_results(root)
    claim_folder(pages)
    path = pages / "index.html"
    kind = certainty_of(rows)
    atomic_write(path, _page(pages, sorted(rows, key=lambda row: attention(row, kind)), failures, kind))
    return path


def attention(row: Summary, kind: str) -> tuple[float, ...]:
    """Sort key: what deserves a look first comes first."""
    nothing = row.volumes_ml.get("WT", 0.0) == 0
    certainty = row.certainty(kind)
    return (0.0 if nothing else 1.0, -1.0 if certainty is None else certainty, -row.volumes_ml.get("WT", 0.0))


def _summaries(root: Path, pages: Path) -> list[Summary]:
    """Rows of the results table in its order, completed from pages; without a table, whatever pages there are."""
    paths = [path for folder in scan_folders(pages) for path in sorted(folder.glob("sub-*.html"))]
    known = [summary for path in paths if (summary := read_summary(path)) is not None]
    of = {(page.scan_id, page.method): page for page in known}
    table = read_table(root / "results.tsv")
    return [of.get((row["id"], row.get("method", ""))) or _from_row(row) for row in table] if table else known


def _from_row(row: dict[str, str]) -> Summary:
    volumes = {region: value for region in REGIONS if (value := _number(row.get(f"{region}_ml"))) is not None}
    where = " ".join(text for text in (row.get("side", ""), row.get("lobe", "").lower()) if text not in ("", "n/a"))
    notes = [note for note in row.get("notes", "n/a").split(" | ") if note not in ("", "n/a") and is_note(note)]
    return Summary(
        scan_id=row["id"],
        method=row.get("method", ""),
        tier=row.get("tier", ""),
        volumes_ml=volumes,
        lesions=int(_number(row.get("lesions")) or 0),
        where=where,
        expected_dice=_number(row.get("expected_dice")),
        confidence=_number(row.get("confidence")),
        notes=tuple(notes),
    )


def _page(root: Path, rows: list[Summary], failures: list[dict[str, str]], certainty: str) -> str:
    regions = [region for region in REGIONS if any(region in row.volumes_ml for row in rows)]
    noted = sum(bool(row.notes) for row in rows)
    empty = sum(row.volumes_ml.get("WT", 0.0) == 0 for row in rows)
    facts = [f"{empty} without a finding"] if empty else []
    facts += [f"{noted} with notes"] if noted else []
    facts += [f"{len(failures)} failed"] if failures else []
    methods = sorted({f"{row.method} (tier {row.tier})" for row in rows if row.method})
    volumes = [row.volumes_ml["WT"] for row in rows if row.volumes_ml.get("WT", 0.0) > 0]
    numbers = {"Scans": f"{len(rows)}"} | ({"Failed": f"{len(failures)}"} if failures else {})
    if volumes:
        numbers["Median volume, where found"] = f"{float(np.median(volumes)):.1f} <small>ml</small>"
    names = ", ".join(f"{region} {REGION_NAMES[region].lower()}" for region in regions)
    told = f"{headline_of(certainty)}: {CERTAINTIES[certainty]}"
    return assets.fill(
        "index.html",
        css=style(),
        count=f"{len(rows)} scan{'' if len(rows) == 1 else 's'}" if rows else "No scan was segmented",
        disclaimer=DISCLAIMER,
        sentence=escape("; ".join(part for part in (", ".join(methods), *facts) if part)),
        numbers="".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in numbers.items()),
        failures=_failures(failures),
        spread=spreads(root, rows, certainty),
        order=f"Without a finding first, then least certain. {names}. {told}." if rows else "",
        scans="" if rows else " hidden",
        columns=_columns(regions, certainty, noted > 0),
        rows="".join(_row(root, row, regions, certainty, noted > 0) for row in rows),
        version=VERSION,
        script=assets.text("index.js"),
    )


def _columns(regions: Iterable[str], certainty: str, with_notes: bool) -> str:
    names = ["scan", *(f"{region} ml" for region in regions), "findings", "where", title_of(certainty)]
    names += ["notes"] if with_notes else []
    heads = "".join(
        f'<th scope="col"{" class=n" if name.endswith("ml") or name == "findings" else ""}>'
        f'<button type="button">{name}</button></th>'
        for name in names
    )
    return f'<th scope="col"><span class="hidden">picture</span></th>{heads}'


def _row(root: Path, row: Summary, regions: Iterable[str], certainty: str, with_notes: bool) -> str:
    page = page_path(root, row.scan_id)
    shown = read_summary(page)  # a scan has one page, of the method that ran last
    link = page.relative_to(root).as_posix() if shown is not None and shown.method == row.method else None
    name = escape(row.scan_id)
    picture = f'<img src="{row.thumbnail}" alt="Slice of {name}">' if row.thumbnail else ""
    if link:
        picture = f'<a href="{link}" tabindex="-1" aria-hidden="true">{picture}</a>'
        name = f'<a href="{link}">{name}</a>'
    cells = [f'<td class="pic">{picture}</td>', f'<td data-v="{escape(row.scan_id)}">{name}</td>']
    for region in regions:
        volume = row.volumes_ml.get(region)
        value, words = ("", "n/a") if volume is None else (volume, f"{volume:.1f}")
        cells.append(f'<td class="n" data-v="{value}">{words}</td>')
    cells += [f'<td class="n">{row.lesions}</td>', f"<td>{escape(row.where) or '<span class=soft>n/a</span>'}</td>"]
    if (sure := row.certainty(certainty)) is None:
        cells.append('<td data-v=""><span class="soft">n/a</span></td>')
    else:
        meter = f'<span class="meter"><b style="width:{sure:.0%}"></b></span>'
        cells.append(f'<td data-v="{sure:.4f}">{meter}{in_figures(sure, certainty)}</td>')
    if with_notes:
        cells.append(f'<td class="notes">{escape("; ".join(note.rstrip(".") for note in row.notes))}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _failures(failures: Iterable[dict[str, str]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(row.get('id', ''))}</td><td>{escape(_told(row.get('what')))}</td>"
        f"<td class=soft>{escape(_told(row.get('why')))}</td><td>{escape(_told(row.get('next')))}</td></tr>"
        for row in failures
    )
    if not rows:
        return ""
    head = "<tr><th>scan</th><th>what happened</th><th>why</th><th>what to do</th></tr>"
    return (
        '<section class="card failures"><h2>Not segmented</h2><div class="wide"><table><thead>'
        f"{head}</thead><tbody>{rows}</tbody></table></div></section>"
    )


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _told(text: str | None) -> str:
    """A cell of the table of failures as the page says it: without n/a and folders."""
    return "" if text in (None, "n/a") else _FOLDERS.sub("", str(text))


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
