#!/usr/bin/env bash
# Guess, written down first: a lesion at the edge of the image, meshed by marching cubes, has the same volume in trimesh wherever the patient lies, near that of its voxels.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" trimesh==5.2.0 scikit-image==0.26.0 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import trimesh
from skimage.measure import marching_cubes


def ml(mask, origin):
    points, faces, _, _ = marching_cubes(mask.astype(np.float32), 0.5, gradient_direction="ascent")
    return round(float(trimesh.Trimesh(points + origin, faces).volume) / 1000, 1)


away = np.sqrt(((np.indices((45, 45, 45)) - 22) ** 2).sum(axis=0))
ball = away < 20
half = ball[22:]  # the lower half lies outside of the slab that was scanned
found = {x: (ml(ball, (x, 0, 0)), ml(half, (x, 0, 0))) for x in (-100, 0, 100)}
print("version: trimesh", version("trimesh"), "scikit-image", version("scikit-image"))
print("behaviour: marching cubes leaves the mesh open at the edge of the array, and the volume of an open mesh goes with the origin, below 0 too")
print("output: voxels", ball.sum() / 1000, "and", half.sum() / 1000, "ml; meshes of the ball and of the half with its origin at x", found)
raise SystemExit(
    not (
        {whole for whole, _ in found.values()} == {33.3}
        and abs(found[0][1] - half.sum() / 1000) < 1
        and found[-100][1] < -100
        and found[100][1] > 140
    )
)
PYTHON
