#!/usr/bin/env bash
# Guess, written down first: a NaN among the scores comes through ReduceMax as NaN, and ArgMax points at it, as in numpy and in onnx's reference.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" onnx==1.23.2 onnxruntime==1.32.0 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

scores = np.array([[0.5, np.nan, 2.0, 1.0]], np.float32)
graph = helper.make_graph(
    [
        helper.make_node("ReduceMax", ["x"], ["largest"], keepdims=0),
        helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
    ],
    "graph",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4))],
    [
        helper.make_tensor_value_info("largest", TensorProto.FLOAT, ()),
        helper.make_tensor_value_info("label", TensorProto.INT64, (1,)),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
found = {
    name: (float(largest), int(label[0]))
    for name, (largest, label) in {
        "onnxruntime": session.run(None, {"x": scores}),
        "onnx": ReferenceEvaluator(model).run(None, {"x": scores}),
        "numpy": (scores.max(), scores.argmax(axis=1)),
    }.items()
}
print("version: onnxruntime", version("onnxruntime"), "; onnx", version("onnx"), "; numpy", np.__version__)
print("behaviour: onnxruntime passes over a NaN: the maximum is a number and the label that of the next best score")
print("output: (maximum, label) of [0.5, NaN, 2, 1]", found)
raise SystemExit(not (found["onnxruntime"] == (2.0, 2) and np.isnan(found["onnx"][0]) and found["onnx"][1] == 1))
PYTHON
