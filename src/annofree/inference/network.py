"""A fitted network as the methods see it: numpy in, numpy out, whatever computes it."""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, SettingsError
from annofree.processes import threads

if TYPE_CHECKING:
    from torch import nn

#: Name of the ONNX metadata entry that holds the network's settings.
SETTINGS = "annofree_settings"
#: ONNX Runtime's execution providers by the device that a user names.
PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
}


def silent_runtime() -> Any:
    """ONNX Runtime, its reports to its makers off.

    Its newer packages for Linux and macOS keep a database and an identifier in the user's cache folder and send
    what sessions did. Nothing of that begins where this variable is set before the first import; whoever set it
    keeps what they set.
    """
    for name in ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"):  # the name changed between versions
        os.environ.setdefault(name, "1")
    import onnxruntime

    return onnxruntime


class Network(Protocol):
    """A network in evaluation mode.

    Attributes:
        settings: What describes it; attributes as in the network's own settings class.
    """

    settings: Any

    def __call__(self, *inputs: NDArray[Any]) -> NDArray[np.float32]:
        """The answer to a batch, finest output only."""

    def on(self, device: str) -> Network:
        """The same network on another device: "auto", or a key of `PROVIDERS`."""

    def module(self) -> nn.Module:
        """The torch module, for training; needs torch."""

    def save(self, folder: str | Path, *, extra: dict[str, Any] | None = None) -> None:
        """Write config, weights and ONNX form."""


class OnnxNetwork:
    """A network that ONNX Runtime computes.

    Args:
        model: File, or content of one that never was on disk.
        folder: The network's folder, with its weights for torch.
        device: "auto", or one of `PROVIDERS`, as in `annofree segment --device`.
        keep_memory: Whether an answer's memory comes from one pool, faster where many follow; a large network that is
            asked once needs less without it.

    Raises:
        SettingsError: The device is unknown, or the user's onnxruntime cannot use it.
        InputError: The model cannot be read.
    """

    def __init__(self, model: Path | bytes, folder: Path, *, device: str = "auto", keep_memory: bool = True) -> None:
        onnxruntime = silent_runtime()
        self.folder, self._model, self._device, self._keep_memory = folder, model, device, keep_memory
        self._file = folder / "model.onnx" if isinstance(model, bytes) else model
        self._elsewhere: dict[str, OnnxNetwork] = {}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        options.inter_op_num_threads = 1
        # a waiting thread that spins takes the core from what runs beside the network
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # planning memory ahead holds a block for every size of scan that was seen, and saves no time
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = keep_memory
        given = model if isinstance(model, bytes) else str(model)
        chosen: list[Any] = list(providers(device))
        number = device.partition(":")[2]
        if number:
            chosen[0] = (chosen[0], {"device_id": int(number)})
        try:
            self._session = onnxruntime.InferenceSession(given, options, providers=chosen)
        except Exception as error:  # the runtime has one class per status, none of them public
            raise InputError(
                "A network cannot be read",
                file=self._file,
                why=" ".join(str(error).split())[:160],
                fix="Copy the model folder again, or write the file anew: python -m annofree.inference.export FOLDER",
            ) from None
        self._run_options = onnxruntime.RunOptions()
        if keep_memory and self._session.get_providers()[0] == PROVIDERS["cpu"]:
            # what a pass needed goes back to the system: the rules after it need memory of their own
            self._run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        entries = self._session.get_modelmeta().custom_metadata_map
        self.settings = SimpleNamespace(**json.loads(entries[SETTINGS]))
        self._names = [entry.name for entry in self._session.get_inputs()]

    def __call__(self, *inputs: NDArray[Any]) -> NDArray[np.float32]:
        """The answer to a batch, finest output only.

        Raises:
            InputError: The answer is not a number somewhere: below every threshold, it would read as no tumour.
            MemoryError: The device has too little memory for these inputs.
        """
        given = dict(zip(self._names, (np.ascontiguousarray(value) for value in inputs), strict=True))
        try:
            found: NDArray[np.float32] = self._session.run(None, given, self._run_options)[0]
        except Exception as error:  # the runtime has one class per status, none of them public
            if "allocate" not in str(error).lower():
                raise
            raise MemoryError(str(error)) from None
        # the sum is NaN or infinite as soon as one value is, and needs no array beside it
        if not np.isfinite(found.sum(dtype=np.float64)):
            raise InputError(
                "A network answers with values that are not numbers",
                file=self._file,
                why=f"{int((~np.isfinite(found)).sum())} of {found.size} values on {self.device} are NaN or infinite",
                fix="Copy the model folder again; if it is whole, try --device cpu",
            )
        return found

    @property
    def device(self) -> str:
        """Where it really computes."""
        names = {provider: name for name, provider in PROVIDERS.items()}
        kind = names.get(self._session.get_providers()[0], "cpu")
        number = self._device.partition(":")[2]
        return f"{kind}:{number}" if number and kind != "cpu" else kind

    def __reduce__(self) -> tuple[object, ...]:
        again = partial(OnnxNetwork, device=self._device, keep_memory=self._keep_memory)
        return (again, (self._model, self.folder))

    def on(self, device: str) -> OnnxNetwork:
        """The same network on another device; loaded there once."""
        if device == self._device:
            return self
        if device not in self._elsewhere:
            self._elsewhere[device] = OnnxNetwork(
                self._model, self.folder, device=device, keep_memory=self._keep_memory
            )
        return self._elsewhere[device]

    def module(self) -> nn.Module:
        """The same network in torch, for training."""
        from annofree.networks.store import load_network

        return load_network(self.folder)[0]

    def save(self, folder: str | Path, *, extra: dict[str, Any] | None = None) -> None:
        """Copy the network's files; what is kept beside the weights changes only where `extra` says so."""
        import yaml

        out = Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        config = yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8")) | (extra or {})
        if out.resolve() != self.folder.resolve():
            for name in ("model.safetensors", "model.onnx"):
                shutil.copyfile(self.folder / name, out / name)
        (out / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def providers(device: str) -> list[str]:
    """Execution providers for a device, the processor last.

    The device is "auto" (CUDA where the user's onnxruntime has it, else the processor) or a key of `PROVIDERS`; a CUDA
    device may carry a number ("cuda:1").

    Raises:
        SettingsError: There is no such device here.
    """
    at_hand = silent_runtime().get_available_providers()
    kind = device.partition(":")[0]
    if kind == "auto":
        return [p for p in (PROVIDERS["cuda"], PROVIDERS["cpu"]) if p in at_hand]
    if kind not in PROVIDERS:
        raise SettingsError(f"'{device}' is not a device", fix=f"Use auto, {', '.join(PROVIDERS)}")
    if PROVIDERS[kind] not in at_hand:
        build = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml", "rocm": "onnxruntime-rocm"}
        raise SettingsError(
            f"The device '{device}' is not at hand",
            why=f"this onnxruntime computes by {', '.join(at_hand)}",
            fix=f"Use --device cpu, or install {build.get(kind, 'onnxruntime')} in its place",
        )
    return list(dict.fromkeys([PROVIDERS[kind], PROVIDERS["cpu"]]))


def by_parts(network: Network, *inputs: NDArray[Any], together: int) -> NDArray[np.float32]:
    """A network's answer to a long batch, given so many at once."""
    starts = range(0, len(inputs[0]), together)
    return np.concatenate([network(*(whole[at : at + together] for whole in inputs)) for at in starts])


def placed(held: dict[str, Any], wanted: str) -> tuple[dict[str, Any], str | None, str | None]:
    """Networks on a device, or on the processor where that one is not at hand.

    Args:
        held: Networks, lists of pairs whose first is one, and anything else, by name.
        wanted: "auto", "cpu", "cuda", "cuda:1", "mps", or another key of `PROVIDERS`.

    Returns:
        The same by name, networks moved; the device that computes, None where there is no network; and a sentence
        where it is another one than was wanted.

    Raises:
        SettingsError: There is no such kind of device.
    """
    kind, _, number = wanted.partition(":")
    if kind not in ("auto", "mps", *PROVIDERS) or (number and not number.isdigit()):
        raise SettingsError(f"'{wanted}' is not a device", fix="Use auto, cpu, cuda, cuda:1 or mps")
    device = "coreml" if kind == "mps" else wanted

    def move(value: Any, device: str) -> Any:
        if isinstance(value, list):
            return [(one.on(device), *rest) for one, *rest in value]
        return value.on(device) if hasattr(value, "on") else value

    note = None
    try:
        moved = {name: move(value, device) for name, value in held.items()}
    except SettingsError as error:
        note = f"The device '{wanted}' is not at hand, the processor computes instead ({error.why})."
        moved = {name: move(value, "cpu") for name, value in held.items()}
    every = [
        one for value in moved.values() for one in ([pair[0] for pair in value] if isinstance(value, list) else [value])
    ]
    found = {one.device for one in every if hasattr(one, "device")}
    if not found:
        return moved, None, None
    actual = ", ".join(sorted(found))
    if note is None and kind not in ("auto", "cpu") and "cpu" in found:
        note = f"The device '{wanted}' could not be used, the processor computes instead."
    return moved, actual, note
