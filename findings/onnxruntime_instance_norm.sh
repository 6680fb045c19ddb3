#!/usr/bin/env bash
# Guess, written down first: InstanceNormalization of a million voxels of 3000 +- 5 has mean 0 and deviation 1 to four places, and that of a constant is 0, as in numpy.
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

ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", [1, 1, None]), ("s", [1]), ("b", [1]))]
end = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
graph = helper.make_graph([helper.make_node("InstanceNormalization", ["x", "s", "b"], ["y"])], "g", ports, [end])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def normed(x):
    return session.run(None, {"x": x, "s": np.ones(1, np.float32), "b": np.zeros(1, np.float32)})[0].astype(np.float64)


voxels = np.random.default_rng(0).normal(3000, 5, (1, 1, 1_000_000)).astype(np.float32)
ours, truth = normed(voxels), (voxels - voxels.mean(dtype=np.float64)) / voxels.std(dtype=np.float64)
flat = normed(np.full((1, 1, 100_000), 1234.567, np.float32))
print("version: onnxruntime", version("onnxruntime"))
print("behaviour: the mean is not exact enough: levels far from zero keep an offset, a constant becomes -1 or 1")
print(f"output: mean {ours.mean():.3f} (numpy {truth.mean():.3f}), deviation {ours.std():.3f}; a constant of 1234.567 becomes {flat[0, 0, 0]:.3f}")
raise SystemExit(not (abs(ours.mean()) > 0.01 and abs(truth.mean()) < 1e-3 and abs(flat[0, 0, 0]) > 0.5))
PYTHON
