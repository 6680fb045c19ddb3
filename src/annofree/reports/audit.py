"""The page per report: sentence -> words -> finding -> coloured region, so that a person can check every step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

import numpy as np

from annofree.reports.findings import Certainty, Finding, Place, Reading, Side, Span
from annofree.reports.pictures import COLOURS, plane_names, planes
from annofree.reports.prior import ReportPrior
from annofree.reports.regions import AtlasRegions
from annofree.reports.sizes import VolumeRange, volume_of

Colours = Mapping[tuple[str, Side | None], str]
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2em auto;padding:0 1em;color:#222;background:#fff}
h1{font-size:1.3em}h2{font-size:1.05em;margin-top:2em}
table{border-collapse:collapse;width:100%;font-size:13px}
td,th{border-bottom:1px solid #ddd;padding:4px 8px;text-align:left;vertical-align:top}
.text{white-space:pre-wrap;background:#f7f7f7;padding:1em;border-radius:6px}
mark{padding:0 2px;border-radius:3px;background:#ddd}
mark.tumour,mark.lesion,mark.signal{background:#ffb3a7}mark.part{background:#ffe0a3}mark.effect{background:#d9d2f0}
mark.other{background:#cfe3f5}mark.normal{background:#cfeccf}mark.absent{text-decoration:line-through;background:#e4e4e4}
mark.place{background:none;border-bottom:3px solid #888}mark.cue{background:none;border-bottom:1px dotted #555}
mark.size{background:none;border-bottom:3px double #555}
.swatch{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.3em}
.flag{background:#b3261e;color:#fff;border-radius:3px;padding:0 .4em;margin-right:.4em;font-size:12px}
.planes{background:#141414;display:flex;gap:8px;padding:8px;border-radius:6px;margin:.5em 0}
.planes figure{margin:0;flex:1}
.planes img{width:100%;image-rendering:pixelated}.planes figcaption{color:#bbb;font-size:12px;text-align:center}
.quiet{color:#666;font-size:13px}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}.text{background:#222}td,th{border-color:#333}
mark{color:#111}mark.place,mark.cue,mark.size{color:#ddd}}
"""


def audit_page(reading: Reading, regions: AtlasRegions | None = None, prior: ReportPrior | None = None) -> str:
    """A self-contained HTML page about one report.

    Args:
        reading: what was read.
        regions: the atlas; without it the page has no pictures.
        prior: the prior map; without it the pictures show named regions only.
    """
    lesion_findings = {index for lesion in reading.lesions for index in lesion.findings}
    places = [place for lesion in reading.lesions for place in lesion.places]
    colours = {(p.region, p.side): COLOURS[i % len(COLOURS)] for i, p in enumerate(places)}
    parts = [
        f"<h1>Report {escape(reading.id)}</h1>",
        f"<p>{_verdict(reading)}</p>",
        "".join(f'<span class="flag">{escape(flag)}</span>' for flag in reading.flags),
        f'<h2>Text</h2><div class="text">{_marked(reading)}</div>',
        f"<h2>Findings</h2>{_findings_table(reading, lesion_findings, colours)}",
        f"<h2>Lesions</h2>{_lesions_table(reading, colours, prior)}",
    ]
    if regions is not None and places:
        parts.append(f"<h2>Regions</h2>{_pictures(places, colours, regions, prior)}")
    parts.append('<p class="quiet">Research software, not a medical device. Sides are the patient\'s.</p>')
    return page(f"Report {reading.id}", "".join(parts))


def page(title: str, body: str) -> str:
    """A whole HTML document around a body; nothing is loaded from anywhere."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _verdict(reading: Reading) -> str:
    if not reading.lesions:
        return f"No brain lesion was read. Read by: {escape(reading.reader)}."
    side = reading.side.value if reading.side else "side not stated"
    count = "one lesion" if len(reading.lesions) == 1 else f"{len(reading.lesions)} lesions"
    return f"Brain lesion {reading.tumour.value}, {side}, {count}. Read by: {escape(reading.reader)}."


def _marked(reading: Reading) -> str:
    """The text with every used word marked; where two marks would overlap the more important one stays."""
    marks: list[tuple[Span, str, str]] = []
    for finding in reading.findings:
        style = "absent" if finding.certainty is Certainty.ABSENT else finding.role
        marks.append((finding.span, style, f"{finding.kind}: {finding.certainty.value}"))
    for finding in reading.findings:
        marks += [(place.span, "place", _place(place)) for place in finding.places]
        marks += [(finding.size.span, "size", _diameters(finding.size.diameters_mm))] if finding.size else []
    marks += [(cue.span, "cue", cue.means) for finding in reading.findings for cue in finding.cues]
    taken: list[tuple[Span, str, str]] = []
    used = np.zeros(len(reading.text) + 1, dtype=bool)
    whole = {sentence.span for sentence in reading.sentences}
    for span, style, title in marks:
        if span not in whole and not used[span.start : span.end].any():
            used[span.start : span.end] = True
            taken.append((span, style, title))
    pieces, position = [], 0
    for span, style, title in sorted(taken, key=lambda mark: mark[0].start):
        pieces.append(escape(reading.text[position : span.start]))
        pieces.append(f'<mark class="{style}" title="{escape(title)}">{escape(span.of(reading.text))}</mark>')
        position = span.end
    return "".join(pieces) + escape(reading.text[position:])


def _findings_table(reading: Reading, lesions: set[int], colours: Colours) -> str:
    rows = []
    for index, finding in enumerate(reading.findings):
        sentence = reading.sentences[finding.sentence].span.of(reading.text)
        cells = (
            escape(sentence if len(sentence) < 160 else sentence[:157] + "..."),
            escape(finding.span.of(reading.text)[:60]),
            f"{'<b>' if index in lesions else ''}{escape(finding.kind)}{'</b>' if index in lesions else ''}",
            finding.certainty.value,
            "<br>".join(_swatched(place, colours) for place in finding.places),
            _diameters(finding.size.diameters_mm) if finding.size else "",
            escape(", ".join(_remarks(finding))),
        )
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(
        f"<th>{name}</th>" for name in ("sentence", "words", "finding", "certainty", "where", "size", "remarks")
    )
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _remarks(finding: Finding) -> Iterator[str]:
    if finding.section.value != "findings":
        yield finding.section.value
    if finding.change:
        yield finding.change
    if finding.historical:
        yield "past"
    if finding.outside:
        yield "outside the brain"
    if finding.explained:
        yield f"explained by {finding.explained}"
    if finding.anaphora:
        yield "speaks of an earlier lesion"


def _lesions_table(reading: Reading, colours: Colours, prior: ReportPrior | None) -> str:
    rows = []
    for number, lesion in enumerate(reading.lesions, start=1):
        size = _diameters(lesion.size.diameters_mm) if lesion.size else "not stated"
        volume = _volume(volume_of(lesion.size)) if lesion.size else ""
        where = "<br>".join(_swatched(place, colours) for place in lesion.places) or "not stated"
        rows.append(
            f"<tr><td>{number}</td><td>{where}</td><td>{lesion.certainty.value}</td><td>{size}</td><td>{volume}</td></tr>"
        )
    table = (
        "<table><tr><th></th><th>where</th><th>certainty</th><th>size</th><th>volume of the ellipsoid</th></tr>"
        f"{''.join(rows)}</table>"
    )
    nothing = "; ".join(_place(place) for place in reading.nothing_here)
    extra = f"<p>Nothing here: {escape(nothing)}.</p>" if nothing else ""
    if prior is not None and prior.volume is not None:
        source = "from the stated sizes" if prior.measured else "no size is stated: an assumption"
        extra += f"<p>Expected volume of all lesions: {_volume(prior.volume)}, {source}.</p>"
    if prior is not None and prior.missing:
        extra += f"<p>Not in the atlas, so without effect on the map: {escape(', '.join(prior.missing))}.</p>"
    return table + extra


def _pictures(places: list[Place], colours: Colours, regions: AtlasRegions, prior: ReportPrior | None) -> str:
    layers = [(colours[place.region, place.side], regions.mask(place.region, place.side)) for place in places]
    union = regions.mask_of(places)
    if not union.any():
        return "<p>The atlas has none of the named regions.</p>"
    source = prior.probability if prior is not None else union.astype(np.float32)
    peak = np.argwhere(source >= 0.99 * source.max())
    x, y, z = (int(value) for value in peak[len(peak) // 2])
    blocks = [("Named regions", planes(regions.labels, layers, None, (x, y, z)))]
    if prior is not None:
        blocks.append(
            (
                "Prior map: where a lesion of this volume can lie",
                planes(regions.labels, [], prior.probability, (x, y, z)),
            )
        )
    figures = []
    for title, pictures in blocks:
        inner = "".join(
            f'<figure><img src="{picture}" alt="{title}, {plane}"><figcaption>{plane}</figcaption></figure>'
            for picture, plane in zip(pictures, plane_names(), strict=True)
        )
        figures.append(f'<p>{title}</p><div class="planes">{inner}</div>')
    legend = " ".join(_swatched(place, colours) for place in places)
    return f'<p>{legend}</p>{"".join(figures)}<p class="quiet">The patient\'s right is on the left of the picture.</p>'


def _swatched(place: Place, colours: Colours) -> str:
    colour = colours.get((place.region, place.side)) if place.role == "brain" else None
    swatch = f'<span class="swatch" style="background:{colour}"></span>' if colour else ""
    return swatch + escape(_place(place))


def _place(place: Place) -> str:
    side = f"{place.side.value} " if place.side else ""
    inferred = "" if place.stated or place.side is None else " (side inferred)"
    return f"{side}{place.region.replace('_', ' ')}{inferred}"


def _diameters(diameters: tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" for value in diameters) + " mm"


def _volume(volume: VolumeRange) -> str:
    return f"{volume.expected_ml:.3g} ml ({volume.low_ml:.2g} to {volume.high_ml:.3g})"
