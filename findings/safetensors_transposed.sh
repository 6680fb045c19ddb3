#!/usr/bin/env bash
# What one would expect: safetensors.numpy gives back every array as it was, a transposed view too.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" safetensors==0.8.0 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from safetensors.numpy import load, save

array = np.arange(6, dtype=np.float32).reshape(2, 3)
view = load(save({"weight": array.T}))["weight"]
copy = load(save({"weight": np.ascontiguousarray(array.T)}))["weight"]
print("version: safetensors", version("safetensors"))
print("behaviour: the memory of a transposed view is written under the view's shape, so its values come back in other places")
print("output: saved", array.T.tolist(), "; loaded", view.tolist(), "; from a contiguous copy", copy.tolist())
raise SystemExit(view.tolist() != [[0, 1], [2, 3], [4, 5]] or copy.tolist() != array.T.tolist())
PYTHON
