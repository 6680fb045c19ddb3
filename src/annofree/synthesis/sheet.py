"""A contact sheet of made cases: ``python -m annofree.synthesis.sheet OUT.png``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from annofree.synthesis.bank import LabelMapBank
from annofree.synthesis.generator import MadeCase, make_case
from annofree.synthesis.settings import SynthesisSettings

COLOURS = {1: (230, 60, 60), 2: (70, 200, 90), 3: (80, 130, 255)}
"""Core red, oedema green, enhancing blue."""


def strip(case: MadeCase) -> np.ndarray[Any, Any]:
    """The slice with most tumour (or the middle one), four sequences and FLAIR with labels: (Y, 5 X, 3) uint8."""
    labels, brain = case.labels.cpu().numpy(), case.brain.cpu().numpy()
    height = int((labels > 0).sum((0, 1)).argmax()) if labels.any() else labels.shape[2] // 2
    tiles = []
    for image in case.images.cpu().numpy():
        low, high = np.percentile(image[brain], (1, 99.5)) if brain.any() else (0.0, 1.0)
        grey = np.clip((image[:, :, height] - low) / max(high - low, 1e-6), 0, 1) * brain[:, :, height]
        tiles.append(np.repeat(np.rot90(grey * 255)[..., None], 3, 2))
    overlay = tiles[3].copy()
    shown = np.rot90(labels[:, :, height])
    for label, colour in COLOURS.items():
        overlay[shown == label] = 0.5 * overlay[shown == label] + 0.5 * np.array(colour)
    return np.concatenate([*tiles, overlay], axis=1).astype(np.uint8)


def write_sheet(
    file: Path,
    bank: LabelMapBank,
    settings: SynthesisSettings | None = None,
    *,
    seed: int = 0,
    n: int = 24,
    columns: int = 3,
) -> None:
    """Write ``n`` made cases, ``columns`` beside each other, as a PNG, with the seeds ``seed``, ``seed + 1``..."""
    from PIL import Image

    strips = [strip(make_case(bank, settings, seed + i)) for i in range(n)]
    strips += [np.zeros_like(strips[0])] * (-n % columns)
    rows = [np.concatenate(strips[i : i + columns], axis=1) for i in range(0, len(strips), columns)]
    picture = Image.fromarray(np.concatenate(rows, axis=0))
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(256, method=Image.Quantize.FASTOCTREE).save(file, optimize=True)


def main() -> None:
    """Read the command line."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labelmaps", help="folder of label maps; the MNI tissue maps by default")
    parser.add_argument("--cache", help="npz file that keeps the prepared maps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=24)
    parser.add_argument("--tumours-only", action="store_true")
    chosen = parser.parse_args()
    bank = (
        LabelMapBank.from_folder(chosen.labelmaps, cache=chosen.cache) if chosen.labelmaps else LabelMapBank.from_mni()
    )
    settings = SynthesisSettings()
    if chosen.tumours_only:
        settings = SynthesisSettings(tumours=settings.tumours.model_copy(update={"healthy_share": 0.0}))
    write_sheet(chosen.out, bank, settings, seed=chosen.seed, n=chosen.cases)


if __name__ == "__main__":
    main()
