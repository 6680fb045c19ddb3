"""Can a classifier tell made brains from real healthy ones? The closer to a coin toss, the better.

Cubes of 16 voxels at 2 mm from tumour-free made cases and from real healthy scans (T1 and FLAIR with DLMUSE labels as
brain mask) are described by brightness quantiles, local contrast and spectrum after the same normalisation; a random
forest is cross-validated by subject. The most telling features are printed: they say what still gives made brains away.

    python benchmarks/judge_made_texture.py HEALTHY_DIR --labelmaps DIR [--cache FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage

from annofree.synthesis import LabelMapBank, SynthesisSettings, make_case
from annofree.synthesis.settings import Tumours

SIDE = 16
SEQUENCE = {"T1": 0, "FLAIR": 3}
NAMES = (
    *(f"quantile {q}" for q in (5, 25, 50, 75, 95)),
    "spread",
    *(f"detail at {s} voxels" for s in (1, 2, 4)),
    *(f"detail along axis {a}" for a in range(3)),
    "skewness",
    "kurtosis",
)


def features(cube: np.ndarray) -> np.ndarray:
    """Numbers that describe one cube of z-scored brightness."""
    levels = np.percentile(cube, (5, 25, 50, 75, 95))
    spread = cube.std() + 1e-6
    detail = [np.std(cube - ndimage.uniform_filter(cube, 2 * s + 1)) / spread for s in (1, 2, 4)]
    along = [np.abs(np.diff(cube, axis=a)).mean() / spread for a in range(3)]
    unit = (cube - cube.mean()) / spread
    return np.array([*levels, spread, *detail, *along, (unit**3).mean(), (unit**4).mean()])


def cubes(image: np.ndarray, brain: np.ndarray, rng: np.random.Generator, count: int = 30) -> list[np.ndarray]:
    """Random cubes that lie in the brain."""
    inside = image[brain]
    middle = np.median(inside)
    scaled = (image - middle) / (1.4826 * np.median(np.abs(inside - middle)) + 1e-6) * brain
    deep = ndimage.binary_erosion(brain, iterations=4)
    places = np.argwhere(deep)
    out = []
    for place in places[rng.choice(len(places), count)]:
        low = np.clip(place - SIDE // 2, 0, np.array(image.shape) - SIDE)
        cube = scaled[tuple(slice(int(a), int(a) + SIDE) for a in low)]
        out.append(features(np.clip(cube, -6, 6)))
    return out


def real(folder: Path, sequence: str, rng: np.random.Generator) -> list[list[np.ndarray]]:
    """Features of every real healthy scan, on its own 2 mm grid."""
    import nibabel

    rows = []
    for case in sorted(folder.glob("nichart_*")):
        labels = nibabel.as_closest_canonical(nibabel.load(next(case.glob("*_DLMUSE.nii.gz"))))
        name = "*_T1.nii.gz" if sequence == "T1" else "*_FL.nii.gz"
        image = nibabel.as_closest_canonical(nibabel.load(next(case.glob(name))))
        brain = np.asarray(labels.dataobj) > 0
        if sequence != "T1":
            to = np.linalg.inv(labels.affine) @ image.affine
            brain = (
                ndimage.affine_transform(
                    brain.astype(np.float32), to[:3, :3], to[:3, 3], output_shape=image.shape, order=1
                )
                > 0.5
            )
        rows.append(cubes(np.asarray(image.dataobj, np.float32), brain, rng))
    return rows


def main() -> None:
    """Judge T1 and FLAIR."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import GroupKFold, cross_val_predict

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("healthy", type=Path)
    parser.add_argument("--labelmaps", required=True)
    parser.add_argument("--cache")
    chosen = parser.parse_args()
    bank = LabelMapBank.from_folder(chosen.labelmaps, cache=chosen.cache)
    rng = np.random.default_rng(0)
    found = {name: real(chosen.healthy, name, rng) for name in SEQUENCE}
    settings = SynthesisSettings(tumours=Tumours(healthy_share=1.0))
    cases = [make_case(bank, settings, 5000 + i) for i in range(len(found["T1"]))]
    for name, channel in SEQUENCE.items():
        made = [cubes(c.images[channel].numpy(), c.brain.numpy(), rng) for c in cases]
        rows = [*found[name], *made]
        x = np.array([f for row in rows for f in row])
        y = np.array([i >= len(found[name]) for i, row in enumerate(rows) for _ in row])
        who = np.array([i % len(made) for i, row in enumerate(rows) for _ in row])
        forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=0)
        right = (cross_val_predict(forest, x, y, groups=who, cv=GroupKFold(5)) == y).mean()
        weight = forest.fit(x, y).feature_importances_
        telling = ", ".join(
            f"{NAMES[i]} ({np.median(x[~y, i]):.2f} real, {np.median(x[y, i]):.2f} made)"
            for i in weight.argsort()[:-5:-1]
        )
        print(f"{name}: accuracy {right:.2f} (0.50 is a coin toss); most telling: {telling}")


if __name__ == "__main__":
    main()
