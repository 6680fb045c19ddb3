"""Made heads with a tumour at the cortex: how much of it the brain step cuts off.

    python benchmarks/raw_cortex.py ../shared/data/labelmaps 50

Every second head is photographed in slices of 5 mm, 2 mm in plane. The brain is outlined on T1, as the recipe does. A
head whose brain reaches the frame's edge (below, where every neck does: whose tumour does) is left out.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from made_heads import carried, head_with_tumour_at_the_cortex, photographed
from scipy import ndimage

from annofree.prepare.brain_ladder import network_brain
from annofree.scan import Modality
from annofree.synthesis import LabelMapBank


def main(maps: Path, count: int) -> None:
    """Print a row a head, and how many were left whole."""
    bank = LabelMapBank.load(maps) if maps.suffix == ".npz" else LabelMapBank.from_folder(maps)
    cut_ml, deep_ml, seed = [], [], 0
    while len(cut_ml) < count:
        made = head_with_tumour_at_the_cortex(bank, seed)
        seed += 1
        if (
            any(np.take(made.brain, end, axis=axis).any() for axis in (0, 1) for end in (0, -1))
            or made.brain[..., -1].any()
            or made.labels[..., 0].any()
        ):
            continue
        slice_mm, still = (5.0, np.eye(4)) if len(cut_ml) % 2 else (2.0, np.eye(4))
        image, grid = photographed(made, Modality.T1, slice_mm, still)
        tumour = carried(made.labels > 0, made, grid, still)
        start = time.process_time()
        brain, _ = network_brain(image, grid)
        lost = tumour & ~brain
        cut_ml.append(float(lost.sum()) * grid.voxel_ml)
        deep = lost & (ndimage.distance_transform_cdt(~brain, "chessboard") > 1)
        deep_ml.append(float(deep.sum()) * grid.voxel_ml)
        truth = carried(made.brain, made, grid, still)
        outside = float((brain & ~truth).sum()) / float(truth.sum())
        taken = time.process_time() - start
        told = f"{lost.sum()} voxels, {cut_ml[-1]:.2f} ml cut of {tumour.sum() * grid.voxel_ml:.1f}"
        told += f", {deep_ml[-1]:.2f} ml below the next layer"
        print(f"{seed - 1:3d} {slice_mm:g} mm {made.about}: {told}; {outside:+.0%} of brain; {taken:.1f} s", flush=True)
    cut = np.asarray(cut_ml)
    whole, nearly = (cut == 0).sum(), (cut <= 0.1).sum()
    print(f"none deeper than the mask's next layer of voxels in {(np.asarray(deep_ml) == 0).sum()} of {count}")
    print(f"no voxel cut in {whole} of {count}; at most 0.1 ml in {nearly}; most {cut.max():.2f} ml")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
