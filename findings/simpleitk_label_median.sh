#!/usr/bin/env bash
# What one would expect: the median that SimpleITK's label statistics give for a label is that of the label's voxels.
# It is not so. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK

image = np.random.default_rng(0).normal(1000, 5, (20, 20, 20)).astype(np.float32)
labels = np.ones(image.shape, np.uint8)
labels[10:] = 2  # the tumour, all of it between 980 and 1020
tumour = image[labels == 2]
found = {}
for brightest in (1020, 100_000):
    image[0, 0, 0] = brightest  # one voxel, outside the tumour
    grey, mask = SimpleITK.GetImageFromArray(image), SimpleITK.GetImageFromArray(labels)
    first = SimpleITK.LabelStatisticsImageFilter()
    first.Execute(grey, mask)
    second = SimpleITK.LabelIntensityStatisticsImageFilter()
    second.Execute(mask, grey)
    found[brightest] = round(first.GetMedian(2)), round(second.GetMedian(2))
print("version: SimpleITK", SimpleITK.Version.VersionString())
print(
    "behaviour: the median is read from a histogram over the whole image's range, so one bright voxel elsewhere makes it "
    "a value that no voxel of the label has; mean and standard deviation are right"
)
print(
    f"output: the label's voxels lie between {tumour.min():.0f} and {tumour.max():.0f}, median {np.median(tumour):.0f}; by the brightest "
    "voxel elsewhere, medians of LabelStatistics and LabelIntensityStatistics:",
    found,
)
raise SystemExit(found != {1020: (1000, 1000), 100_000: (1174, 1367)})
PYTHON
