#!/usr/bin/env bash
# Guess, written down first: Sigmoid(-20) in float32 is 2.06e-09, as in numpy and torch.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" onnx==1.23.2 onnxruntime==1.32.0 numpy==2.2.6
ORT_DISABLE_TELEMETRY=1 PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Sigmoid", ["x"], ["y"])], "g", ports[:1], ports[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
scores = np.array([-20, -18, -17], np.float32)
found, truth = session.run(None, {"x": scores})[0].tolist(), (1 / (1 + np.exp(-scores))).tolist()
print("version: onnxruntime", version("onnxruntime"))
print("behaviour: below -18 a probability is exactly 0 and its logarithm minus infinity")
print("output: Sigmoid of -20, -18, -17:", found, "; numpy:", truth)
raise SystemExit(not (found[0] == 0 and found[1] == 0 and truth[0] > 0))
PYTHON
