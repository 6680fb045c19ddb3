"""Contact sheet of the phantom cohort: `python -m annofree.phantom.sheet OUT.png`."""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from annofree.phantom.recipes import KINDS
from annofree.phantom.subject import PhantomSubject, phantom_subject
from annofree.scan import Modality

_COLOURS = {1: "#ff4d4d", 2: "#ffd24d", 3: "#4dd2ff"}


def draw_sheet(subjects: Sequence[PhantomSubject], out: Path, dpi: int = 60) -> Path:
    """Write a PNG with one row a subject: four sequences, and FLAIR with the labels' outlines; its path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(10, 2.35 * len(subjects)), facecolor="black", layout="constrained")
    FigureCanvasAgg(figure)
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
        for value, colour in _COLOURS.items():
            if (labels == value).any():
                row[-1].contour(labels == value, levels=[0.5], colors=[colour], linewidths=0.9)
    out.parent.mkdir(parents=True, exist_ok=True)
    page = io.BytesIO()
    figure.savefig(page, dpi=dpi, facecolor="black")
    # Noise in full colour compresses badly; 61 greys and the outlines' colours look the same at half the size.
    palette = Image.new("P", (1, 1))
    greys = [value for grey in np.linspace(0, 255, 61) for value in (int(grey),) * 3]
    palette.putpalette(greys + [int(c[i : i + 2], 16) for c in _COLOURS.values() for i in (1, 3, 5)])
    Image.open(page).convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE).save(out, optimize=True)
    return out


def main(arguments: list[str] | None = None) -> None:
    """Draw one subject of every kind."""
    parser = argparse.ArgumentParser(description="Contact sheet of phantoms: one row a kind.")
    parser.add_argument("out", type=Path, help="PNG to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first row; each next row adds one")
    parser.add_argument("--spacing-mm", type=float, default=2.0)
    parser.add_argument("--dpi", type=int, default=60)
    chosen = parser.parse_args(arguments)
    subjects = [
        phantom_subject(chosen.seed + i, kind=kind, spacing_mm=chosen.spacing_mm) for i, kind in enumerate(KINDS)
    ]
    print(draw_sheet(subjects, chosen.out, chosen.dpi))


if __name__ == "__main__":
    main()
