"""Many reports: a page each, prior maps, and one table with the empty, contradictory and uncertain ones on top."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

import numpy as np

from annofree.errors import InputError, OutputError
from annofree.formats.bids_names import bids_label
from annofree.formats.nifti import write_volume
from annofree.formats.outfolder import atomic_write, claim_folder, read_table, refuse_beside, write_json
from annofree.formats.outfolder import table as table_text
from annofree.formats.report_texts import read_reports
from annofree.reports.audit import audit_page, flag_html, page
from annofree.reports.findings import Reading
from annofree.reports.language_model import LanguageModelReader, LanguageModelSettings
from annofree.reports.lexicon import Lexicon
from annofree.reports.prior import ReportPrior, report_prior
from annofree.reports.region_table import RegionTable, mask_of_ids
from annofree.reports.regions import AtlasRegions
from annofree.reports.rules import read_report
from annofree.scan import Grid

COLUMNS = (
    *("id", "tumour", "side", "regions", "lesions", "diameters_mm", "volume_ml", "volume_low_ml", "volume_high_ml"),
    *("nothing_here", "flags", "language", "reader"),
)


def write_readings(
    readings: Iterable[Reading],
    out: Path | str,
    *,
    regions: AtlasRegions | None = None,
    table: RegionTable | None = None,
) -> list[dict[str, str]]:
    """Write what was read.

    Args:
        readings: one a report.
        out: folder; gets `reports.tsv`, `index.html` and `sub-<id>/` with the page, the findings as JSON and, with
            an atlas, the prior map and the masks in MNI space.
        regions: the atlas; without it no maps are written.
        table: the published region table: the binary mask is then the table's, not the lexicon's.

    Returns:
        The table's rows.

    Raises:
        OutputError: the folder holds somebody else's files or cannot be written, or two reports would share one.
    """
    folder = claim_folder(out, "readings")
    refuse_beside(folder, "results.tsv", "segmentations")
    earlier = {row["id"]: row for row in read_table(folder / "reports.tsv")}
    rows = []
    of = {bids_label(scan_id): scan_id for scan_id in earlier}
    for reading in readings:
        prior = None
        name = f"sub-{bids_label(reading.id)}"
        if (other := of.setdefault(bids_label(reading.id), reading.id)) != reading.id:
            raise OutputError(
                f"the reports of '{other}' and '{reading.id}' would lie in one folder",
                file=folder / name,
                why="letters and digits are all that counts in its name",
                fix="rename one of them, or write into another folder",
            )
        if regions is not None:
            prior = report_prior(reading, regions)
            _write_maps(folder / name / "anat" / f"{name}_space-MNI152NLin2009aSym", reading, prior, regions, table)
        atomic_write(folder / name / "report.html", audit_page(reading, regions, prior, index="../index.html"))
        write_json(folder / name / "findings.json", reading.to_dict())
        rows.append(row_of(reading, prior))
    now = {row["id"] for row in rows}
    standing = [*rows, *(row for scan_id, row in earlier.items() if scan_id not in now)]
    atomic_write(folder / "reports.tsv", table_text(standing, COLUMNS))
    atomic_write(folder / "index.html", cohort_page(standing))
    return rows


def read_and_write(
    texts: Path | str,
    out: Path | str,
    *,
    maps: bool = True,
    atlas: Path | None = None,
    atlas_table: Path | None = None,
    region_table: Path | None = None,
    lexicon: Path | None = None,
    language_model: str | None = None,
) -> list[dict[str, str]]:
    """Read report files and write everything about them; what `annofree reports` does.

    An atlas is a NIfTI file in MNI space with its table; a published region table, for the binary masks, is checked
    against it. A language model is a folder or an http address.

    Raises:
        InputError: a file cannot be read, an atlas came without its table, or a region table without maps.
    """
    if (atlas is None) != (atlas_table is None):
        raise InputError(
            "an atlas is an image with a table", file=atlas or atlas_table, fix="give both --atlas and --regions"
        )
    if region_table is not None and not maps:
        raise InputError("a region table is for maps, and maps are off", file=region_table, fix="leave out --no-maps")
    words = Lexicon.load(lexicon)
    regions, table = None, None
    if maps:
        regions = AtlasRegions.from_files(atlas, atlas_table, words)
    if region_table is not None and regions is not None:
        table = RegionTable.load(region_table)
        table.check(regions)
    model = None if language_model is None else LanguageModelReader(LanguageModelSettings(model=language_model), words)
    # A JSON record may give one text under several names of the patient; it is one report, under its first name.
    once = {id(text): (name, text) for name, text in reversed(read_reports(texts).items())}
    readings = (
        model.read(text, name) if model else read_report(text, name, words) for name, text in reversed(once.values())
    )
    return write_readings(readings, out, regions=regions, table=table)


def row_of(reading: Reading, prior: ReportPrior | None = None) -> dict[str, str]:
    """One line of the cohort's table."""
    flags = list(reading.flags)
    if prior is not None and prior.missing:
        flags.append("region not in the atlas")
    volume = prior.volume if prior is not None else None
    sizes = [lesion.size.diameters_mm for lesion in reading.lesions if lesion.size]
    return {
        "id": reading.id,
        "tumour": reading.tumour.value if reading.understood else "n/a",
        "side": reading.side.value if reading.side else "n/a",
        "regions": ", ".join(reading.regions) or "n/a",
        "lesions": str(len(reading.lesions))
        + (" or more" if any(lesion.several for lesion in reading.lesions) else ""),
        "diameters_mm": "; ".join(" x ".join(f"{d:g}" for d in diameters) for diameters in sizes) or "n/a",
        "volume_ml": f"{volume.expected_ml:.3g}" if volume else "n/a",
        "volume_low_ml": f"{volume.low_ml:.3g}" if volume else "n/a",
        "volume_high_ml": f"{volume.high_ml:.3g}" if volume else "n/a",
        "nothing_here": ", ".join(f"{p.side.value + ' ' if p.side else ''}{p.region}" for p in reading.nothing_here)
        or "n/a",
        "flags": ", ".join(flags) or "n/a",
        "language": reading.language,
        "reader": reading.reader,
    }


def cohort_page(rows: Iterable[Mapping[str, str]]) -> str:
    """The cohort as HTML: flagged reports first, counts on top, a link to each page."""
    ordered = sorted(rows, key=lambda row: (not _asks_for_a_look(row), row["flags"], row["id"]))
    counts = Counter(flag for row in ordered if row["flags"] != "n/a" for flag in row["flags"].split(", "))
    shown = ("id", "tumour", "side", "regions", "lesions", "diameters_mm", "volume_ml", "flags")
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in shown)
    lines = []
    for row in ordered:
        link = f'<a href="sub-{bids_label(row["id"])}/report.html">{escape(row["id"])}</a>'
        cells = [link] + [escape(row[name]) if row[name] != "n/a" else "" for name in shown[1:-1]]
        flags = "" if row["flags"] == "n/a" else " ".join(map(flag_html, row["flags"].split(", ")))
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in [*cells, flags]) + "</tr>")
    summary = "".join(f"<span>{flag_html(flag)} {count}</span>" for flag, count in counts.most_common())
    looks = sum(map(_asks_for_a_look, ordered))
    sentence = f"{looks} ask for a look, first in the table." if looks else "None asks for a look."
    return page(
        "Reports",
        f'<h1>{len(ordered)} report{"" if len(ordered) == 1 else "s"}</h1><p class="sentence">{sentence}</p>'
        f'<div class="chips" style="gap:14px;margin-bottom:16px">{summary}</div>'
        f'<table class="cohort"><tr>{head}</tr>{"".join(lines)}</table>',
    )


def _asks_for_a_look(row: Mapping[str, str]) -> bool:
    return row["flags"] != "n/a" and any('"flag"' in flag_html(flag) for flag in row["flags"].split(", "))


def _write_maps(
    stem: Path, reading: Reading, prior: ReportPrior, regions: AtlasRegions, table: RegionTable | None
) -> None:
    grid = Grid(prior.probability.shape, prior.affine)
    named = prior.region if table is None else mask_of_ids(regions, table.ids_for(reading))
    scaled = np.rint(prior.probability * 10000).astype(np.int16)
    write_volume(stem.with_name(stem.name + "_label-WT_desc-report_probseg.nii.gz"), scaled, grid, slope=1e-4)
    for what, mask in (("lesion", named), ("healthy", prior.nothing_here)):
        path = stem.with_name(f"{stem.name}_label-{what}_desc-report_mask.nii.gz")
        write_volume(path, mask.astype(np.uint8), grid)
