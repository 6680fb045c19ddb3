#!/usr/bin/env bash
# What one would expect: with a single lesion panoptica's global and lesion-wise surface Dice are the same number.
# It is not so. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" panoptica==2.1.7 connected-components-3d==3.29.0 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import contextlib
import io
from importlib.metadata import version

import numpy as np
from panoptica import (
    ConnectedComponentsInstanceApproximator,
    InputType,
    MaxBipartiteMatching,
    Metric,
    Panoptica_Evaluator,
    disable_citation_reminder,
)

disable_citation_reminder()
truth = np.zeros((30, 30, 30), np.uint8)
truth[5:15, 5:15, 5:15] = 1
with contextlib.redirect_stdout(io.StringIO()):
    result = Panoptica_Evaluator(
        expected_input=InputType.SEMANTIC,
        instance_approximator=ConnectedComponentsInstanceApproximator(),
        instance_matcher=MaxBipartiteMatching(matching_metric=Metric.DSC, matching_threshold=1e-6),
        instance_metrics=[Metric.NSD],
        global_metrics=[Metric.NSD],
    ).evaluate(np.roll(truth, 3, axis=0), truth, voxelspacing=(1.0, 1.0, 1.0), verbose=False)["ungrouped"]
values = round(float(result.global_bin_nsd), 3), round(float(result.sq_nsd), 3)
print("version: panoptica", version("panoptica"))
print("behaviour: one lesion alone has two surface Dice: the global one takes half a voxel as tolerance, "
      "the lesion's own one voxel")
print("output: global", values[0], ", lesion", values[1])
raise SystemExit(values != (0.516, 0.648))
PYTHON
