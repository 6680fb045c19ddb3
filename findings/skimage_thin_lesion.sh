#!/usr/bin/env bash
# Guess, written down first: the longest diameter of a row of five voxels is 4.0 for SimpleITK and for scikit-image alike, from centre to centre.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" scikit-image==0.26.0 SimpleITK==2.5.7 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK
import skimage
from skimage.measure import regionprops


def measure(lesion: np.ndarray) -> dict[str, float | str]:
    shape = SimpleITK.LabelShapeStatisticsImageFilter()
    shape.ComputeFeretDiameterOn()
    shape.Execute(SimpleITK.GetImageFromArray(lesion))
    region = regionprops(lesion)[0]
    found: dict[str, float | str] = {"SimpleITK": round(shape.GetFeretDiameter(1), 2)}
    try:
        found["scikit-image"] = round(float(region.feret_diameter_max), 2)
    except ValueError as error:
        found["scikit-image"] = f"ValueError: {error}"
    return found | {"area_convex": float(region.area_convex), "solidity": float(region.solidity)}


row = np.zeros((11, 11, 11), np.uint8)
row[4, 4, 2:7] = 1
bar = np.zeros((11, 11, 11), np.uint8)
bar[4:6, 4:6, 2:7] = 1
thin, thick = measure(row), measure(bar)
print("version: scikit-image", skimage.__version__, "; SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: a lesion one voxel thin has no diameter in scikit-image, a convex volume of 0 and an infinite solidity; "
      "a thicker one a diameter about a voxel longer than in SimpleITK")
print("output: row of 5 voxels", thin, "; bar of 2 x 2 x 5", thick)
raise SystemExit(
    not (
        str(thin["scikit-image"]).startswith("ValueError")
        and (thin["SimpleITK"], thin["area_convex"], thin["solidity"]) == (4.0, 0.0, float("inf"))
        and (thick["SimpleITK"], thick["scikit-image"]) == (4.24, 5.2)
    )
)
PYTHON
