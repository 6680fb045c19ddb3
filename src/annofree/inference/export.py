"""From a torch module to the ONNX form beside its weights, checked against the module.

    python -m annofree.inference.export MODEL_FOLDER ...

writes `model.onnx` anew for every network below the folders, from `config.yaml` and `model.safetensors`.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from annofree.errors import AnnofreeError
from annofree.formats.network_folder import MODEL, WEIGHTS, state_weights
from annofree.formats.outfolder import atomic_write
from annofree.inference.network import SETTINGS, OnnxNetwork
from annofree.inference.predict import sigmoid

#: Both forms may differ by this much: in probability, or in the unit of what a network restores.
TOLERANCE = 1e-3
#: ONNX operator set: the newest that all of the exporter, ONNX Runtime 1.17 and Windows' own runtime know.
_OPSET = 17
#: Smaller weights are not worth a conversion node each.
_SMALL = 256


@dataclass(frozen=True)
class _Input:
    """One input of a network: an example's shape, which of its axes may have any length, and its type."""

    shape: tuple[int, ...]
    free: tuple[int, ...] = (0,)
    boolean: bool = False


def _volume(settings: Any) -> list[_Input]:
    sides = [2 * int(d) for d in np.broadcast_to(settings.divisor, 3)]
    return [_Input((2, settings.in_channels, *sides), (0, 2, 3, 4))]


def _picture(settings: Any) -> list[_Input]:
    return [_Input((2, settings.in_channels, *[8 * int(settings.divisor)] * 2), (0, 2, 3))]


def _square(settings: Any) -> list[_Input]:
    return [_Input((2, settings.in_channels, settings.size, settings.size))]


def _masked_slices(settings: Any) -> list[_Input]:
    seen = _Input((2, 4, settings.tokens[0] * settings.tokens[1]), boolean=True)
    return [_Input((2, 4, *settings.size)), _Input((2, *settings.size)), seen, _Input((2,))]


@dataclass(frozen=True)
class _Form:
    """How a kind of network is called.

    Attributes:
        inputs: From its settings to its inputs.
        logits: Whether it answers with logits, whose probabilities are compared.
        derived: Properties of its settings that are worth knowing without torch.
    """

    inputs: Callable[[Any], list[_Input]]
    logits: bool = False
    derived: tuple[str, ...] = ()


#: One row a kind of network that a fitted model may hold.
FORMS: dict[str, _Form] = {
    "thin_unet": _Form(_volume, True, ("divisor",)),
    "dyn_unet": _Form(_volume, True, ("divisor",)),
    "unetr": _Form(lambda s: [_Input((2, s.in_channels, *s.window))], True, ("divisor",)),
    "denoising_unet": _Form(_picture, derived=("divisor",)),
    "vq_vae": _Form(_picture, derived=("divisor",)),
    "ae": _Form(_square),
    "vae": _Form(_square),
    "fanogan": _Form(_square),
    "threshold_net": _Form(lambda s: [_Input((2, s.in_channels, 64, 64), (0, 2, 3))]),
    "mvit_ae": _Form(_masked_slices, derived=("tokens",)),
    "vit_ae": _Form(lambda s: [_Input((2, 4, s.image, s.image))]),
    "prompt_net": _Form(lambda s: [_Input((2, s.features))], True),
}


class _Finest(nn.Module):
    """A network that answers with its finest output alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        """The first of the outputs, or the only one."""
        found = self.network(*inputs)
        first: Tensor = found[0] if isinstance(found, list | tuple) else found
        return first


def onnx_of(module: nn.Module) -> bytes:
    """The ONNX form of a network, its weights in half precision, computed in single precision.

    Raises:
        AnnofreeError: Its answers differ from the module's by more than `TOLERANCE`.
    """
    settings: Any = module.settings
    form = FORMS[settings.kind]
    inputs = form.inputs(settings)
    # as the weights are kept: half precision
    kept = copy.deepcopy(module).cpu().half().float().eval()
    for parameter in kept.parameters():
        parameter.data = parameter.data.contiguous()
    wrapped = _Finest(kept).eval()
    examples = tuple(_example(one, seed) for seed, one in enumerate(inputs))
    names = [f"input_{number}" for number in range(len(inputs))]
    free = {name: {axis: f"{name}_{axis}" for axis in one.free} for name, one in zip(names, inputs, strict=True)}
    for name in names:
        free[name][0] = "batch"
    with warnings.catch_warnings(), torch.inference_mode(), tempfile.TemporaryDirectory() as temporary:
        warnings.simplefilter("ignore")
        torch.onnx.export(
            wrapped,
            examples,
            Path(temporary) / MODEL,
            dynamo=False,
            opset_version=_OPSET,
            input_names=names,
            output_names=["output"],
            dynamic_axes=free,
        )
        exported = (Path(temporary) / MODEL).read_bytes()
    about = settings.model_dump(mode="json") | {name: getattr(settings, name) for name in form.derived}
    content = _halved(exported, about)
    _check(OnnxNetwork(content, Path()), wrapped, inputs, logits=form.logits)
    return content


def write_onnx(module: nn.Module, folder: str | PathLike[str]) -> Path:
    """Write `model.onnx` into a network's folder. Raises `AnnofreeError`: its answers differ from the module's."""
    path = Path(folder) / MODEL
    atomic_write(path, onnx_of(module))
    if (path.parent / WEIGHTS).is_file():
        state_weights(path.parent)
    return path


def _example(one: _Input, seed: int) -> Tensor:
    values = torch.randn(one.shape, generator=torch.Generator().manual_seed(seed))
    return values > 0.5 if one.boolean else values


def _halved(content: bytes, about: dict[str, Any]) -> bytes:
    """The same model with those weights stored in 16 bits that lose nothing by it, and the settings inside."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(content)
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < _SMALL or not np.array_equal(half.astype(np.float32), values):
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    helper.set_model_props(model, {SETTINGS: json.dumps(about)})
    onnx.checker.check_model(model)
    stored: bytes = model.SerializeToString()
    return stored


def _check(network: OnnxNetwork, module: nn.Module, inputs: list[_Input], *, logits: bool) -> None:
    """Compare answers on the example's shape, on another one and on a batch of one."""
    alone = [_Input((1, *one.shape[1:]), one.free, one.boolean) for one in inputs]
    larger = [
        _Input(tuple(2 * n if axis in one.free else n for axis, n in enumerate(one.shape)), one.free, one.boolean)
        for one in inputs
    ]
    shapes = [inputs, alone, larger]
    for number, wanted in enumerate(shapes):
        examples = [_example(one, 100 + number) for one in wanted]
        with torch.inference_mode():
            theirs: NDArray[np.float32] = module(*examples).numpy()
        ours = network(*(example.numpy() for example in examples))
        if logits:
            ours, theirs = sigmoid(ours), sigmoid(theirs)
        difference = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else float("inf")
        if not difference < TOLERANCE:
            raise AnnofreeError(
                "The ONNX form of a network answers otherwise than the network",
                why=f"the largest difference is {difference:.2g}, and {TOLERANCE:g} is allowed",
                fix="Report this with the versions of torch, onnx and onnxruntime",
            )


def main(folders: Iterable[str]) -> None:
    """Write `model.onnx` of every network below the folders."""
    from annofree.networks.store import load_network

    for folder in folders:
        found = sorted(Path(folder).rglob("model.safetensors"))
        if not found:
            raise AnnofreeError("No network lies below this folder", file=folder, fix="Give a model folder")
        for weights in found:
            path = write_onnx(load_network(weights.parent)[0], weights.parent)
            print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    try:
        if not sys.argv[1:]:
            raise AnnofreeError("No model folder was given", fix="Name one: python -m annofree.inference.export MODEL")
        main(sys.argv[1:])
    except AnnofreeError as error:
        sys.exit(f"annofree: {error}")
