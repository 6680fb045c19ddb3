#!/usr/bin/env bash
# Guess, written down first: in pyvista the volume of a mask above its threshold is that of its voxels, 4.2 ml.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" pyvista==0.49.1 vtk==9.7.2 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import pyvista

away = np.sqrt(((np.indices((27, 27, 27)) - 13) ** 2).sum(axis=0))
mask = (away <= 10).astype(np.uint8)
image = pyvista.wrap(mask)
name = image.array_names[0]
any_corner = image.threshold(0.5, scalars=name).volume
all_corners = image.threshold(0.5, scalars=name, all_scalars=True).volume
labels = image.contour_labels(output_mesh_type="triangles").volume
print("version: pyvista", version("pyvista"), "vtk", version("vtk"))
print("behaviour: voxels are corners of cells: a cell counts with one corner inside, or with all eight; surfaces of labels are smoothed and shrink")
print("output: mm3 of the voxels", int(mask.sum()), "; threshold", round(any_corner), "; with all_scalars", round(all_corners), "; inside of contour_labels", round(labels))
raise SystemExit(not ((int(mask.sum()), round(any_corner), round(all_corners)) == (4169, 5184, 3280) and labels < 3900))
PYTHON
