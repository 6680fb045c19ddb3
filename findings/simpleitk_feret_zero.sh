#!/usr/bin/env bash
# What one would expect: the largest diameter of a lesion that LabelShapeStatisticsImageFilter was not asked to compute is an error.
# It is not so. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK

mask = np.zeros((20, 20, 20), np.uint8)
mask[5:8, 5:9, 5:15] = 1
lesion = SimpleITK.GetImageFromArray(mask)
shape = SimpleITK.LabelShapeStatisticsImageFilter()
shape.Execute(lesion)
default = shape.GetFeretDiameter(1), shape.GetOrientedBoundingBoxSize(1)
shape.ComputeFeretDiameterOn()
shape.ComputeOrientedBoundingBoxOn()
shape.Execute(lesion)
asked = round(shape.GetFeretDiameter(1), 2), tuple(sorted(round(edge, 2) for edge in shape.GetOrientedBoundingBoxSize(1)))
print("version: SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: the largest diameter and the oriented box of a lesion are 0 unless they were switched on before, without a word")
print("output: (diameter, edges of the box) of a lesion of 3 x 4 x 10 mm by default", default, "and switched on", asked)
raise SystemExit((default, asked) != ((0.0, (0.0, 0.0, 0.0)), (9.7, (3.0, 4.0, 10.0))))
PYTHON
