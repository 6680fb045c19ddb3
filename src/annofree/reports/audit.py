"""The page per report: sentence -> words -> finding -> coloured region, so that a person can check every step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.masks import Mask
from annofree.page import data_address, document
from annofree.reports.findings import Certainty, Finding, Place, Reading, Side, Span
from annofree.reports.prior import ReportPrior
from annofree.reports.regions import AtlasRegions
from annofree.reports.sizes import VolumeRange, volume_of

Colours = Mapping[tuple[str, Side | None], str]
#: Flags that say what was found and call for nothing; the others ask for a look.
_QUIET_FLAGS = ("no lesion", "history only")


def audit_page(
    reading: Reading, regions: AtlasRegions | None = None, prior: ReportPrior | None = None, index: str | None = None
) -> str:
    """A self-contained HTML page about one report.

    Without the atlas the page has no pictures, without the prior they show named regions only; `index` is the page of
    all reports, to lead back to.
    """
    lesion_findings = {index for lesion in reading.lesions for index in lesion.findings}
    places = [place for lesion in reading.lesions for place in lesion.places]
    colours = {(p.region, p.side): COLOURS[i % len(COLOURS)] for i, p in enumerate(places)}
    parts = [
        f"<h1>Report {escape(reading.id)}</h1>",
        f'<p class="sentence">{_verdict(reading)}</p>',
        f'<div class="chips">{"".join(map(flag_html, reading.flags))}</div>',
        f'<h2>Text</h2><div class="text">{_marked(reading)}</div>',
        f"<h2>Findings</h2>{_findings_table(reading, lesion_findings, colours)}",
        f"<h2>Lesions</h2>{_lesions_table(reading, colours, prior)}",
    ]
    if regions is not None and places:
        parts.append(f"<h2>Regions</h2>{_pictures(places, colours, regions, prior)}")
    return page(f"Report {reading.id}", "".join(parts), index=index)


def page(title: str, body: str, index: str | None = None) -> str:
    """A whole HTML document around a body; nothing is loaded from anywhere."""
    return document(
        f"{escape(title)} · annofree",
        "<span>radiology reports</span>" + (f'<a href="{index}">All reports</a>' if index else ""),
        body,
        closing="Sides are the patient's. This page asks for nothing from any network.",
        css=_style(),
        main=' class="report"',
    )


@cache
def _style() -> str:
    return Path(__file__).with_name("report.css").read_text(encoding="utf-8")


def flag_html(flag: str) -> str:
    """A flag: quiet where it only says what was found, in the colour of a caution where a person should look."""
    return f'<span class="{"chip" if flag in _QUIET_FLAGS else "flag"}">{escape(flag)}</span>'


def _verdict(reading: Reading) -> str:
    if not reading.understood:
        return (
            f"Nothing of this text was understood: it says nothing about a tumour. Read by: {escape(reading.reader)}."
        )
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
        kind = escape(finding.kind.replace("_", " "))
        cells = (
            escape(sentence if len(sentence) < 160 else sentence[:157] + "..."),
            escape(finding.span.of(reading.text)[:60]),
            f"<b>{kind}</b>" if index in lesions else kind,
            finding.certainty.value,
            "<br>".join(_swatched(place, colours) for place in finding.places),
            _diameters(finding.size.diameters_mm) if finding.size else "",
            escape(", ".join(_remarks(finding))),
        )
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    heads = ("sentence", "words", "finding", "certainty", "where", "size", "remarks")
    head = "".join(f"<th>{name}</th>" for name in heads)
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
    at = (x, y, z)
    blocks = [("Named regions", planes(regions.labels, layers, None, at))]
    if prior is not None:
        title = "Prior map: where a lesion of this volume can lie"
        blocks.append((title, planes(regions.labels, [], prior.probability, at)))
    figures = []
    for title, pictures in blocks:
        inner = "".join(
            f'<figure><img src="{picture}" alt="{title}, {plane}"><i class="l">{left}</i><i class="r">{right}</i>'
            f"<figcaption>{plane}</figcaption></figure>"
            for picture, plane, (left, right) in zip(pictures, PLANES, EDGES, strict=True)
        )
        figures.append(f'<p class="small">{title}</p><div class="slices">{inner}</div>')
    legend = " ".join(_swatched(place, colours) for place in places)
    edges = "R and L are the patient's right and left, A and P front and back."
    return f'<p>{legend}</p>{"".join(figures)}<p class="small soft">{edges}</p>'


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


#: Colours of a report's regions, in order; told apart in the common forms of colour blindness (Okabe and Ito 2008).
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2", "#999999")
#: What the left and right edge of each plane are, as drawn: the patient's right and left, front and back.
EDGES = (("A", "P"), ("R", "L"), ("R", "L"))
PLANES = ("sagittal", "coronal", "axial")


def planes(
    labels: NDArray[np.int32],
    layers: Sequence[tuple[str, Mask]],
    heat: NDArray[np.float32] | None,
    at: tuple[int, int, int],
) -> list[str]:
    """Three PNG data addresses: sagittal, coronal and axial through one voxel.

    The patient's right is on the left of the picture, as radiologists look at it. Grey lines are the borders of the
    atlas.

    Args:
        labels: (X, Y, Z) atlas labels, RAS+.
        layers: colour "#rrggbb" and (X, Y, Z) mask, painted in order.
        heat: (X, Y, Z) map in 0..1 painted over all in red, or None.
        at: the voxel.
    """
    from PIL import Image

    top = float(heat.max()) if heat is not None and heat.max() > 0 else 1.0
    pictures = []
    for axis in range(3):
        plane = np.take(labels, at[axis], axis=axis)
        colours = np.where(plane[..., None] > 0, np.where(_borders(plane)[..., None], 130.0, 70.0), 20.0)
        colours = np.repeat(colours, 3, axis=2)
        for colour, mask in layers:
            where = np.take(mask, at[axis], axis=axis)
            colours[where] = 0.45 * colours[where] + 0.55 * np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        if heat is not None:
            weight = (np.take(heat, at[axis], axis=axis) / top)[..., None]
            colours = (1 - weight) * colours + weight * np.array([255.0, 40.0, 40.0])
        # second axis up; the first to the left, so that the patient's right and the front are on the picture's left
        pixels = colours.astype(np.uint8).transpose(1, 0, 2)[::-1, ::-1]
        picture = Image.fromarray(np.ascontiguousarray(pixels)).quantize(64)
        pictures.append(data_address(picture, optimize=True))
    return pictures


def _borders(plane: NDArray[np.int32]) -> Mask:
    edge = np.zeros(plane.shape, dtype=bool)
    edge[:-1] |= plane[:-1] != plane[1:]
    edge[:, :-1] |= plane[:, :-1] != plane[:, 1:]
    return edge
