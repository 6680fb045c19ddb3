#!/usr/bin/env bash
# Guess, written down first: onnx's version converter takes a GroupNormalization from opset 18 to 21 with equal outputs.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" onnx==1.23.2 onnxruntime==1.32.0 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.version_converter import convert_version

onnxruntime.set_default_logger_severity(4)
node = helper.make_node("GroupNormalization", ["x", "scale", "bias"], ["y"], num_groups=2)
per_group = {"scale": np.array([1, 2], np.float32), "bias": np.array([0, 1], np.float32)}
graph = helper.make_graph(
    [node],
    "graph",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4, 3, 3, 3))],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4, 3, 3, 3))],
    [numpy_helper.from_array(value, name) for name, value in per_group.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
image = np.random.default_rng(0).normal(size=(1, 4, 3, 3, 3)).astype(np.float32)


def outcome(proto) -> str:
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        return f"runs, output {session.run(None, {'x': image})[0].shape}"
    except Exception as error:
        return f"{type(error).__name__}"


converted = convert_version(model, 21)
scales = [numpy_helper.to_array(value).shape for value in converted.graph.initializer]
found = outcome(model), outcome(converted)
print("version: onnx", version("onnx"), "; onnxruntime", version("onnxruntime"))
print("behaviour: the converter raises the number and leaves one scale a group, where opset 21 wants one a channel: "
      "a model that ran no longer loads")
print("output: opset 18", found[0], "; converted to 21", found[1], "; scales of 4 channels", scales)
raise SystemExit(not (found[0].startswith("runs") and not found[1].startswith("runs")))
PYTHON
