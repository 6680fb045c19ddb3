"""The page per patient: one HTML file that needs nothing else, no network included."""

from __future__ import annotations

import hashlib
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from annofree.formats.bids_names import bids_folder, bids_stem, mask_path, sidecar_path
from annofree.formats.outfolder import atomic_write, claim_folder
from annofree.page import DISCLAIMER, style
from annofree.processes import side_by_side
from annofree.review import assets, panels
from annofree.review.panels import RIM_SENTENCE, checks_card, preparation_card
from annofree.review.pictures import (
    LABEL_COLOURS,
    PLANE_NAMES,
    axial_levels,
    key_voxel,
    make_tile,
    thumbnail,
)
from annofree.review.summary import Summary, script_json
from annofree.review.volumes import Brain, Packed, cut_brain, pack
from annofree.review.words import TIERS, citation, finding_sentence, is_note, place
from annofree.scan import Scan
from annofree.segmentation import LABEL_NAMES, Segmentation

#: Characters for the volumes of a page; with viewer and pictures a page stays below 12 MB.
VOLUME_BUDGET = 9_500_000
MOSAIC_TILES = 16


def page_path(out: str | Path, scan_id: str) -> Path:
    """Where a scan's page lies below an output folder."""
    return bids_folder(out, scan_id) / f"{bids_stem(scan_id)}.html"


def source_digest(out: Path, scan_id: str, method: str) -> str:
    """A digest of a written result and of what pages look like: a page with the same one need not be made again."""
    record = sidecar_path(mask_path(out, scan_id, method))
    content = record.read_bytes() if record.is_file() else b""
    return hashlib.sha256(content + assets.stamp().encode()).hexdigest()[:16]


def write_review(result: Segmentation, scan: Scan, out: str | Path, *, results: Path | None = None) -> Path:
    """Write a patient's page below a folder: that of the results, or where those lie elsewhere (`results`) any.

    The page holds the images, the mask and the score maps inside the brain; voxels outside it are blanked, so no face
    can be seen. Volumes that would make the page larger than 12 MB are shown on a coarser grid, which the page says;
    numbers always come from the scan's own voxels.

    Raises:
        InputError: Scan and segmentation do not fit, or the scan shows a whole head and has no brain mask.
        OutputError: The folder cannot be used.
    """
    root = claim_folder(out)
    brain = cut_brain(result, scan)
    packed = pack(brain, VOLUME_BUDGET)
    digest = source_digest(results or root, result.scan_id, str(result.provenance.get("method", "")))
    summary = summarise(result, brain, digest)
    path = page_path(root, result.scan_id)
    atomic_write(path, _page(result, brain, packed, summary))
    return path


def summarise(result: Segmentation, brain: Brain, source: str = "") -> Summary:
    """What the cohort page shows of a result."""
    told = result.provenance
    first = result.lesions[0] if result.lesions else None
    whole = brain.levels.get("WT")
    return Summary(
        scan_id=result.scan_id,
        source=source,
        method=str(told.get("method", "")),
        tier=str(told.get("tier", "")),
        volumes_ml={region: round(volume, 4) for region, volume in result.volumes_ml.items()},
        lesions=len(result.lesions),
        where=place(first) if first else "",
        expected_dice=result.expected_dice,
        # as the table of lesions has it: a page made again, from that table, has the same bytes
        confidence=float(f"{first.confidence:.6g}") if first and first.confidence is not None else None,
        steadiness=whole.steadiness() if whole else None,
        notes=tuple(note for note in map(str, told.get("notes", ())) if is_note(note)),
        thumbnail=thumbnail(brain),
    )


def _page(result: Segmentation, brain: Brain, packed: Packed, summary: Summary) -> str:
    told = result.provenance
    tier = summary.tier
    sequences = [str(s) for s in brain.images]
    grid = " × ".join(f"{edge:.3g}" for edge in packed.spacing_mm)
    key = key_voxel(brain)
    draw, levels = partial(make_tile, brain, sequences=sequences), axial_levels(brain, MOSAIC_TILES)
    planes = side_by_side(lambda axis: draw(axis, key[axis], height=360), PLANE_NAMES)
    mosaic = side_by_side(lambda z: draw(2, z, height=190), levels)
    return assets.fill(
        "patient.html",
        scan_id=escape(result.scan_id),
        summary=summary.to_html(),
        css=style(),
        disclaimer=DISCLAIMER,
        sentence=escape(finding_sentence(result)),
        chips=panels.chips(summary),
        numbers=panels.numbers(result, summary),
        meanings=panels.meanings(result),
        sequences=panels.choice("sequence", [(s, s) for s in sequences]),
        overlays=panels.choice("overlay", [("mask", "Mask"), ("score", "Scores"), ("none", "None")]),
        views=panels.choice(
            "view", [("planes", "All"), *((n, n.capitalize()) for n in PLANE_NAMES.values()), ("render", "3D")]
        ),
        planes="".join(panels.tile_html(tile, sequences) for tile in planes),
        legend=panels.legend(result, brain),
        thresholds=panels.threshold_cards(result, brain),
        findings=panels.findings(result, brain, packed),
        mosaic="".join(panels.tile_html(tile, sequences, button=True) for tile in mosaic),
        notes=panels.notes(summary.notes),
        preparation=checks_card(told) + preparation_card(told),
        rim=RIM_SENTENCE if told.get("preparation") else "",
        facts=panels.facts(result),
        more=panels.more_facts(result),
        tier=escape(f"{tier}: {TIERS.get(tier, 'unknown')}"),
        cite="".join(f"<li>{escape(line)}</li>" for line in citation(told)),
        version=escape(str(told.get("annofree", ""))),
        size_note=f"Viewer and pictures: {grid} mm voxels"
        + (", coarser than the scan; all numbers come from the scan's own voxels." if packed.coarser else "."),
        licence=escape(assets.text("NIIVUE-LICENSE.txt")),
        data=script_json(_data(brain, packed, sequences)),
        volumes="\n".join(
            f'<script type="text/plain" id="{name}">{body}</script>' for name, body in packed.files.items()
        ),
        niivue=assets.viewer(),
        script=assets.text("patient.js"),
    )


def _data(brain: Brain, packed: Packed, sequences: list[str]) -> dict[str, Any]:
    labels = list(LABEL_NAMES)
    colours = [LABEL_COLOURS.get(label, (0, 0, 0)) for label in labels]
    return {
        "sequences": sequences,
        "regions": list(brain.levels),
        "voxelMl": brain.voxel_ml,
        "step": packed.step,
        "shape": [-(-n // s) for n, s in zip(brain.labels.shape, packed.step, strict=True)],
        "key": [k // s for k, s in zip(key_voxel(brain), packed.step, strict=True)],
        "labelColours": {
            **{name: [colour[i] for colour in colours] for i, name in enumerate("RGB")},
            "A": [0, 255, 255, 255],
            "I": labels,
            "labels": [LABEL_NAMES[label] for label in labels],
        },
        "levels": {
            name: {
                "stops": [float(stop) for stop in levels.stops],
                "own": levels.own,
                "counts": levels.counts.tolist() if packed.coarser else None,
            }
            for name, levels in brain.levels.items()
        },
    }
