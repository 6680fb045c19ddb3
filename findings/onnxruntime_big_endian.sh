#!/usr/bin/env bash
# Guess, written down first: onnxruntime takes a big-endian float32 array, as a MGZ file gives one, by its values, or refuses it.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" onnx==1.23.2 onnxruntime==1.32.0 numpy==2.2.6 nibabel==5.4.2
ORT_DISABLE_TELEMETRY=1 PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import nibabel
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
read = np.asanyarray(nibabel.MGHImage.from_bytes(nibabel.MGHImage(values, np.eye(4)).to_bytes()).dataobj)
ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3, 4]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ports[:1], ports[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
native, swapped = (session.run(None, {"x": array})[0] for array in (values, read))
print("version: onnxruntime", version("onnxruntime"), "nibabel", version("nibabel"))
print("behaviour: the bytes of a big-endian array are taken as native ones without a word; get_fdata(dtype=np.float32) of the same file is native")
print("output: equal arrays", bool((read == values).all()), "; native came through", bool((native == values).all()), "; largest of 23 became", float(swapped.max()))
raise SystemExit(not ((read == values).all() and (native == values).all() and swapped.max() < 1e-30))
PYTHON
