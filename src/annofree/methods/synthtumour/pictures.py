"""A sheet of pseudo-labels: the slice with most tumour of each patient, plain and with its label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annofree.methods.synthtumour.cases import read_record, read_scan
from annofree.scan import Modality

#: Red, green, blue of core, oedema, enhancing tumour, and of what is left open.
COLOURS = {1: (0.9, 0.1, 0.1), 2: (0.1, 0.8, 0.2), 3: (0.2, 0.4, 1.0)}
OPEN = (0.95, 0.8, 0.1)


def draw_sheet(folders: Sequence[Path], file: Path, *, most: int = 24) -> None:
    """Draw cases of `annofree.methods.synthtumour.cases`, at most so many, one below the other in a PNG file."""
    from matplotlib.figure import Figure

    shown = list(folders)[:most]
    if not shown:
        return
    figure = Figure(figsize=(7.5, 2.6 * len(shown)), layout="constrained")
    for row, folder in enumerate(shown):
        scan, packed = read_scan(folder)
        record = read_record(folder) or {}
        labels, unsure = packed & 3, (packed & 4) > 0
        area = (labels > 0).sum((0, 1))
        z = int(np.argmax(area if area.any() else unsure.sum((0, 1))))
        order = (Modality.FLAIR, Modality.T2, Modality.T1, Modality.T1C)
        background = next(scan.images[s] for s in order if s in scan.images)
        contrast = scan.images.get(Modality.T1C, background)
        panels = [_grey(contrast[:, :, z]), _grey(background[:, :, z]), _grey(background[:, :, z])]
        for value, colour in COLOURS.items():
            panels[2][labels[:, :, z] == value] = 0.5 * panels[2][labels[:, :, z] == value] + 0.5 * np.asarray(colour)
        panels[2][unsure[:, :, z]] = 0.6 * panels[2][unsure[:, :, z]] + 0.4 * np.asarray(OPEN)
        for column, panel in enumerate(panels):
            axes = figure.add_subplot(len(shown), 3, 3 * row + column + 1)
            axes.imshow(panel.transpose(1, 0, 2)[::-1])
            axes.set_axis_off()
            if column == 0:
                axes.set_title(folder.name, fontsize=7)
            elif column == 2:
                axes.set_title(_line(record), fontsize=7)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=90)


def _grey(image: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.percentile(image, (1.0, 99.5))
    grey = np.clip((image - low) / max(float(high - low), 1e-6), 0.0, 1.0).astype(np.float32)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _line(record: dict[str, object]) -> str:
    if "kept" not in record or "agreement" not in record:
        return ""
    verdict = "kept" if record["kept"] else f"left out: {record['why']}"
    return f"{verdict}\nsure {record['sure_ml']} ml, agreement {record['agreement']}, confidence {record['confidence']}"
