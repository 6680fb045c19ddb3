#!/usr/bin/env bash
# Guess, written down first: FillHoles of MONAI fills background that one label encloses, as its page says, and leaves a core inside of oedema alone.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" monai==1.6.1 torch==2.13.0 scikit-image==0.26.0 numpy==2.4.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from monai.transforms import FillHoles

away = np.sqrt(((np.indices((40, 40, 40)) - 20) ** 2).sum(axis=0))
tumour = np.select([away < 8, away < 12, away < 17], [1, 3, 2], 0).astype(np.uint8)  # necrosis, enhancing rim, oedema


def counts(labels):
    return np.bincount(np.asarray(labels).ravel(), minlength=4)[1:].tolist()


before = counts(tumour)
third = counts(FillHoles(applied_labels=[3])(tumour[None].copy()))
given = tumour[None].copy()
after = counts(FillHoles()(given))
print("version: monai", version("monai"))
print("behaviour: what one label encloses becomes that label, other labels too: a tumour without a hole loses core and enhancement, in the array given too")
print("output: voxels of necrosis, oedema and enhancing tumour", before, "; filled", after, "; with applied_labels=[3]", third, "; the array given", counts(given))
raise SystemExit(
    not (min(before) > 0 and after == counts(given) == [0, sum(before), 0] and third == [0, before[1], before[0] + before[2]])
)
PYTHON
