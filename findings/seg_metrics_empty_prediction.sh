#!/usr/bin/env bash
# Guess, written down first: seg-metrics gives infinity or NaN as the surface distance of an empty prediction to a lesion.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" seg-metrics==1.2.8
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import logging
from importlib.metadata import version

import numpy as np
import seg_metrics.seg_metrics as seg_metrics

logging.disable(logging.WARNING)
lesion = np.zeros((20, 20, 20), np.uint8)
lesion[5:10, 5:10, 5:10] = 1
names = ["dice", "hd", "hd95", "msd"]
found = seg_metrics.write_metrics(
    labels=[1], gdth_img=lesion, pred_img=lesion * 0, spacing=[1, 1, 1], TPTNFPFN=False, metrics=names
)
found = found[0] if isinstance(found, list) else found
values = {name: float(np.ravel(found[name])[0]) for name in names}
print("version: seg-metrics", version("seg-metrics"))
print("behaviour: a lesion that the prediction misses altogether has surface distances of 0, as a perfect one has")
print("output:", values)
raise SystemExit(values != {"dice": 0.0, "hd": 0.0, "hd95": 0.0, "msd": 0.0})
PYTHON
