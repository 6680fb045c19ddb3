#!/usr/bin/env bash
# Guess, written down first: VTK's readers put one label map, saved as NRRD, MetaImage and NIfTI, at one place, or all leave its directions out.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" vtk==9.7.2 SimpleITK==2.5.7 numpy==2.4.6
cd "$folder"
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK
import vtk

labels = np.zeros((20, 20, 20), np.uint8)
labels[10, 10, 15] = 1
image = SimpleITK.GetImageFromArray(labels)
image.SetOrigin((40.0, 30.0, -20.0))
image.SetSpacing((2.0, 2.0, 3.0))
image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))  # the first axis to the right, the second to the front
truth = image.TransformIndexToPhysicalPoint((15, 10, 10))
found = {}
for ending, reader in (("nrrd", vtk.vtkNrrdReader()), ("mha", vtk.vtkMetaImageReader()), ("nii", vtk.vtkNIFTIImageReader())):
    SimpleITK.WriteImage(image, f"x.{ending}")
    reader.SetFileName(f"x.{ending}")
    reader.Update()
    held = reader.GetOutput()
    point = [0.0, 0.0, 0.0]
    held.TransformIndexToPhysicalPoint(15, 10, 10, point)
    found[ending] = tuple(round(x, 1) for x in point)
print("version: vtk", vtk.VTK_VERSION, "SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: MetaImage keeps its directions, NRRD loses them and keeps its origin, NIfTI loses both: one voxel at three places")
print("output: the voxel in LPS", truth, "; VTK", found)
raise SystemExit(not (found == {"mha": (10.0, 10.0, 10.0), "nrrd": (70.0, 50.0, 10.0), "nii": (30.0, 20.0, 30.0)} and truth == (10.0, 10.0, 10.0)))
PYTHON
