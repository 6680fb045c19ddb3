"""How a segmentation shows itself in a notebook: a picture, the numbers, the findings."""

from __future__ import annotations

from html import escape

import numpy as np

from annofree.formats.grids import on_grid
from annofree.masks import bounding_box
from annofree.page import DISCLAIMER
from annofree.review.pictures import EDGES, PLANE_NAMES, key_voxel, make_tile
from annofree.review.volumes import Brain
from annofree.review.words import REGION_NAMES, finding_sentence, place
from annofree.scan import Modality
from annofree.segmentation import Segmentation

_BOX = "font:13px/1.5 system-ui,sans-serif;background:#11161b;color:#e3e9ee;padding:14px 16px;border-radius:10px"
_SOFT = "color:#93a1ae"
#: Notebooks and documentation themes style tables for a light page.
_TABLE = "color:inherit;font:inherit;background:none;border:0;border-collapse:collapse;margin:6px 0"
_ROW = "color:inherit;background:none;border:0"
_CELL = "color:inherit;background:none;border:0;text-align:left;padding:2px 16px 2px 0"
#: Grey of brain without any score, so that the picture shows where in the brain a finding lies.
_GROUND = 52


def notebook_html(result: Segmentation) -> str:
    """HTML of a segmentation: three planes through the largest finding, its outline over the scores, a table."""
    told = result.provenance
    method = f"{told.get('method', '')}, tier {told.get('tier', '')}" if told.get("method") else ""
    volumes = "".join(
        f'<span style="margin-right:18px">{REGION_NAMES[region]} <b>{volume:.1f} ml</b></span>'
        for region, volume in result.volumes_ml.items()
    )
    rows = "".join(
        _row(
            "td",
            str(lesion.index),
            f"{lesion.volume_ml:.2f} ml",
            escape(place(lesion) or "n/a"),
            f"{', '.join(f'{c:.0f}' for c in lesion.centre_mm)} mm",
            "n/a" if lesion.confidence is None else f"{lesion.confidence:.0%}",
        )
        for lesion in result.lesions[:10]
    )
    head = _row("th", "#", "volume", "where", "centre", "confidence")
    more = f'<div style="{_SOFT}">and {len(result.lesions) - 10} smaller ones</div>' if len(result.lesions) > 10 else ""
    table = f'<table style="{_TABLE}">{head}{rows}</table>{more}'
    return (
        f'<div style="{_BOX}"><b>{escape(result.scan_id)}</b> <span style="{_SOFT}">{escape(method)}</span>'
        f"<div>{escape(finding_sentence(result))}</div><div>{volumes}</div>{_planes(result)}"
        f"{table if rows else ''}"
        f'<div style="{_SOFT}">{DISCLAIMER}.</div></div>'
    )


def _row(kind: str, *cells: str) -> str:
    inner = "".join(f'<{kind} style="{_CELL}">{cell}</{kind}>' for cell in cells)
    return f'<tr style="{_ROW}">{inner}</tr>'


def _planes(result: Segmentation) -> str:
    score = result.scores.get("WT")
    inside = result.brain if result.brain is not None else np.ones(result.labels.shape, dtype=bool)
    box = bounding_box(inside)
    if box is None:
        return ""
    grey = inside[box] * np.uint8(_GROUND)
    if score is not None:
        values = on_grid(score, result.grid).values[box]
        low, high = np.quantile(values[inside[box]], (0.01, 0.998))
        bright = np.clip((values - low) / max(float(high - low), 1e-9), 0, 1) * (255 - _GROUND)
        grey = (inside[box] * (_GROUND + bright)).astype(np.uint8)
    shown = Modality.FLAIR  # a name for the picture only: what is drawn are the scores
    brain = Brain({shown: grey}, result.labels[box], {}, inside[box], result.affine, result.grid.voxel_ml)
    voxel = key_voxel(brain)
    parts = []
    for axis, plane in PLANE_NAMES.items():
        tile = make_tile(brain, axis, voxel[axis], height=180, sequences=[str(shown)])
        left, right = EDGES[axis]
        parts.append(
            '<div style="display:inline-block;margin:8px 8px 4px 0"><div style="position:relative">'
            f'<img alt="{plane} slice" style="display:block;margin:0" src="{tile.images[str(shown)]}">'
            f'<img alt="" style="position:absolute;top:0;left:0;margin:0" src="{tile.outlines}"></div>'
            f'<div style="{_SOFT};display:flex;justify-content:space-between"><span>{left}</span>'
            f"<span>{plane}</span><span>{right}</span></div></div>"
        )
    what = "scores" if score is not None else "brain"
    note = f"{what} with the outline of the mask; the patient's right is on the left"
    return f'<div>{"".join(parts)}</div><div style="{_SOFT}">{note}</div>'
