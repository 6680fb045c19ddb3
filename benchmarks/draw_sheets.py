"""The contact sheets of the pages on phantoms and on made cases.

    python benchmarks/draw_sheets.py phantoms docs/_static/phantom.png --seed 20
    python benchmarks/draw_sheets.py made docs/_static/made.png [--labelmaps FOLDER]

Phantoms: a row a kind, four sequences, and FLAIR with the labels' outlines. Made cases: the slice with most tumour (or
the middle one), four sequences and FLAIR with labels, core red, oedema green, enhancing blue.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.phantom.recipes import KINDS
from annofree.phantom.subject import PhantomSubject, phantom_subject
from annofree.scan import Modality
from annofree.synthesis import MadeCase, SynthesisSettings, make_case
from annofree.training.healthy import bank_of

_OUTLINES = {1: "#ff4d4d", 2: "#ffd24d", 3: "#4dd2ff"}
_COLOURS = {1: (230, 60, 60), 2: (70, 200, 90), 3: (80, 130, 255)}


def draw_phantoms(subjects: Sequence[PhantomSubject], out: Path, dpi: int) -> None:
    """Write a PNG with one row a subject."""
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(10, 2.35 * len(subjects)), facecolor="black", layout="constrained")
    axes = figure.subplots(len(subjects), 5, squeeze=False)
    for row, subject in zip(axes, subjects, strict=True):
        lesion = (subject.labels > 0).sum(axis=(0, 1))
        height = int(lesion.argmax()) if lesion.any() else int(subject.labels.shape[2] * 0.53)
        for cell, sequence in zip(row, [*Modality, None], strict=True):
            image = subject.scan.images[sequence or Modality.FLAIR]
            brain = image[image > 0]
            cell.imshow(
                image[::-1, :, height].T,  # the patient's right on the viewer's left
                origin="lower", cmap="gray", vmin=0, vmax=np.percentile(brain, 99.7), interpolation="nearest",
            )  # fmt: skip
            cell.set_axis_off()
            cell.set_title(str(sequence or subject.kind), color="white", fontsize=10, pad=2)
        labels = subject.labels[::-1, :, height].T
        for value, colour in _OUTLINES.items():
            if (labels == value).any():
                row[-1].contour(labels == value, levels=[0.5], colors=[colour], linewidths=0.9)
    page = io.BytesIO()
    figure.savefig(page, dpi=dpi, facecolor="black")
    # Noise in full colour compresses badly; 61 greys and the outlines' colours look the same at half the size.
    palette = Image.new("P", (1, 1))
    greys = [value for grey in np.linspace(0, 255, 61) for value in (int(grey),) * 3]
    palette.putpalette(greys + [int(c[i : i + 2], 16) for c in _OUTLINES.values() for i in (1, 3, 5)])
    Image.open(page).convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE).save(out, optimize=True)


def strip(case: MadeCase) -> NDArray[np.uint8]:
    """One slice of a made case, (Y, 5 X, 3)."""
    labels, brain = case.labels.cpu().numpy(), case.brain.cpu().numpy()
    height = int((labels > 0).sum((0, 1)).argmax()) if labels.any() else labels.shape[2] // 2
    tiles = []
    for image in case.images.cpu().numpy():
        low, high = np.percentile(image[brain], (1, 99.5)) if brain.any() else (0.0, 1.0)
        grey = np.clip((image[:, :, height] - low) / max(high - low, 1e-6), 0, 1) * brain[:, :, height]
        tiles.append(np.repeat(np.rot90(grey * 255)[..., None], 3, 2))
    overlay = tiles[3].copy()
    shown = np.rot90(labels[:, :, height])
    for label, colour in _COLOURS.items():
        overlay[shown == label] = 0.5 * overlay[shown == label] + 0.5 * np.array(colour)
    return np.concatenate([*tiles, overlay], axis=1).astype(np.uint8)


def draw_made(cases: Sequence[MadeCase], out: Path, columns: int = 3) -> None:
    """Write a PNG with some cases beside each other."""
    from PIL import Image

    strips = [strip(case) for case in cases]
    strips += [np.zeros_like(strips[0])] * (-len(cases) % columns)
    rows = [np.concatenate(strips[i : i + columns], axis=1) for i in range(0, len(strips), columns)]
    picture = Image.fromarray(np.concatenate(rows, axis=0))
    picture.quantize(256, method=Image.Quantize.FASTOCTREE).save(out, optimize=True)


def main() -> None:
    """Draw one of the sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["phantoms", "made"])
    parser.add_argument("out", type=Path, help="PNG to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first one; each next adds one")
    parser.add_argument("--spacing-mm", type=float, default=2.0, help="phantoms")
    parser.add_argument("--dpi", type=int, default=60, help="phantoms")
    parser.add_argument(
        "--labelmaps", help="made: folder of label maps, or a bank file; the MNI tissue maps by default"
    )
    parser.add_argument("--cases", type=int, default=24, help="made")
    parser.add_argument("--tumours-only", action="store_true", help="made")
    chosen = parser.parse_args()
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    if chosen.what == "phantoms":
        made = [phantom_subject(chosen.seed + i, kind=k, spacing_mm=chosen.spacing_mm) for i, k in enumerate(KINDS)]
        draw_phantoms(made, chosen.out, chosen.dpi)
        return
    bank, settings = bank_of(chosen.labelmaps), SynthesisSettings()
    if chosen.tumours_only:
        settings = settings.changed({"tumours.healthy_share": 0.0})
    draw_made([make_case(bank, settings, chosen.seed + i) for i in range(chosen.cases)], chosen.out)


if __name__ == "__main__":
    main()
