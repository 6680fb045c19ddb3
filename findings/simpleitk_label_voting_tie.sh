#!/usr/bin/env bash
# Guess, written down first: where two readers' label maps of a tumour differ, LabelVoting gives the label of one of them, or background.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK


def vote(*readers):
    images = [SimpleITK.GetImageFromArray(np.array([[labels]], np.uint8)) for labels in readers]
    return SimpleITK.GetArrayFromImage(SimpleITK.LabelVoting(images)).ravel().tolist()


found = {
    "masks": vote([0, 1, 1, 0], [0, 0, 1, 1]),
    "core and oedema": vote([0, 1, 2, 2], [0, 2, 2, 0]),
    "with enhancing tumour": vote([0, 3, 2, 2], [0, 1, 2, 0]),
}
print("version: SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: a tie gets a label of its own, one more than the largest that occurs: where that is 2, ties become 3, enhancing tumour to BraTS since 2023; where it is 3, they become 4, enhancing tumour to BraTS until 2021")
print("output: of two readers of four voxels:", found)
raise SystemExit(
    found
    != {
        "masks": [0, 2, 1, 2],
        "core and oedema": [0, 3, 2, 3],
        "with enhancing tumour": [0, 4, 2, 4],
    }
)
PYTHON
