"""What the engine answers: the same as torch, for any scan, and one sentence where it cannot answer."""

from __future__ import annotations

import builtins
import json
import runpy
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from annofree.errors import AnnofreeError, InputError, OptionalDependency, SettingsError
from annofree.inference import OnnxNetwork, channels, load_network, predict, predict_scan_array
from annofree.inference.export import FORMS, main, onnx_of
from annofree.inference.network import providers
from annofree.inference.torch_network import TorchNetwork
from annofree.methods.blogrr.levels import error_map as error_map_of_tensors
from annofree.methods.reconstruction.error_map import ErrorSettings, error_map
from annofree.networks import ThinUNetSettings, build, save_network
from annofree.training.samples import SampleSettings, make_sample

THIN = ThinUNetSettings(full=4, widths=(4, 8, 8))
EACH: dict[str, dict[str, Any]] = {
    "thin_unet": {"full": 4, "widths": [4, 8]},
    "dyn_unet": {
        "kernel_size": [[3, 3, 3]] * 3,
        "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 1]],
        "filters": [4, 8, 8],
    },
    "unetr": {"window": [16, 16, 16], "hidden_size": 12, "mlp_dim": 16, "num_heads": 2},
    "denoising_unet": {"widths": [4, 8]},
    "vq_vae": {"widths": [4, 8]},
    "ae": {"size": 16, "widths": [4, 8]},
    "vae": {"size": 16, "widths": [4, 8]},
    "fanogan": {"size": 16, "widths": [4, 8]},
    "threshold_net": {"widths": [4, 4, 4, 4]},
    "mvit_ae": {"size": [32, 48], "dim": 16, "depth": 1, "latent": 32, "decoder": [8, 8, 8, 8]},
    "vit_ae": {"dim": 16, "depth": 1, "heads": 2, "mlp": 16},
    "prompt_net": {"hidden": [8, 8]},
}


def head(seed: int = 0, shape: tuple[int, int, int] = (21, 25, 19)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    brain = np.zeros(shape, dtype=bool)
    brain[3:-3, 3:-3, 3:-3] = rng.random((shape[0] - 6, shape[1] - 6, shape[2] - 6)) < 0.95
    return (rng.random((4, *shape)) * 500 * brain).astype(np.float32), brain


def test_normalisation_ignores_units_and_a_large_tumour() -> None:
    images, brain = head()
    z = channels.normalise(images, brain)
    np.testing.assert_allclose(channels.normalise(images * 7.5, brain), z, atol=1e-3)
    tumour = brain.copy()
    tumour[:, :, 8:] = False
    assert 0.2 < tumour.sum() / brain.sum() < 0.5
    sick = channels.normalise(np.where(tumour, images + 2000, images), brain)
    healthy = brain & ~tumour
    assert np.abs(sick[:, healthy] - z[:, healthy]).mean() < 1.0
    assert not channels.normalise(np.zeros_like(images), brain).any()


def test_mirror_finds_a_shifted_midline_and_absent_sequences_leave_no_trace() -> None:
    volume = np.zeros((1, 24, 20, 20), dtype=np.float32)
    brain = np.zeros((24, 20, 20), dtype=bool)
    brain[2:16, 3:17, 3:17] = True  # middle at x = 8.5
    volume[0, 4, 10, 10] = 1.0
    assert channels.mirror_x(volume, brain)[0, 13, 10, 10] == pytest.approx(1.0, abs=1e-4)
    images, mask = head()
    x = channels.network_input(channels.normalise(images, mask), mask, np.array([False, False, False, True]))
    assert x.shape[0] == channels.CHANNELS
    assert not x[[0, 1, 2, 4, 5, 6, 8, 9, 10]].any()
    assert np.abs(x[[3, 7, 11]]).sum() > 0


def test_one_power_for_all_sequences_is_that_power_for_each() -> None:
    images, brain = head()
    z = channels.normalise(images, brain)
    each = channels.contrast_power(z, np.array([0.8, 1.0, 1.2, 0.8], dtype=np.float32))
    for sequence, power in enumerate((0.8, 1.0, 1.2, 0.8)):
        np.testing.assert_allclose(each[sequence], channels.contrast_power(z[sequence], power), rtol=1e-5, atol=1e-5)


def test_training_shows_a_network_what_use_shows_it() -> None:
    images, brain = head()
    still = SampleSettings(patch=brain.shape, shift=0, flip=False, contrast=0, gamma=0, all_sequences=1, flair_alone=0)
    tensors = torch.from_numpy(images), torch.from_numpy(brain), torch.zeros(brain.shape, dtype=torch.uint8)
    x, _, mask = make_sample(*tensors, np.random.default_rng(0), still)
    ours = channels.network_input(channels.normalise(images, brain), brain, np.ones(4, dtype=bool))
    moved = np.argwhere(mask.numpy()).min(axis=0) - np.argwhere(brain).min(axis=0)
    inside = tuple(slice(3 + m, -3 + m or None) for m in moved)
    whole = tuple(slice(3, -3) for _ in range(3))
    np.testing.assert_allclose(x.numpy()[(slice(None), *inside)], ours[(slice(None), *whole)], atol=1e-4)


@pytest.mark.parametrize("side", ["both", "bright", "dark"])
@pytest.mark.parametrize("kernel", [1, 5])
def test_numpy_and_torch_agree_on_errors(side: str, kernel: int) -> None:
    rng = np.random.default_rng(0)
    image, found = rng.random((2, 3, 1, 20, 24)).astype(np.float32)
    brain = rng.random((3, 1, 20, 24)) < 0.7
    how = ErrorSettings(side=side, kernel=kernel)  # type: ignore[arg-type]
    theirs = error_map_of_tensors(*(torch.from_numpy(a) for a in (image, found, brain)), how)
    np.testing.assert_allclose(error_map(image, found, brain, how), theirs.numpy(), atol=1e-6)


@pytest.mark.parametrize("kind", list(FORMS))
def test_every_kind_of_network_answers_alike_in_both_forms(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = build({"kind": kind, **EACH[kind]}).eval()
    TorchNetwork(module).save(tmp_path, extra={"spacing_mm": 2.0})  # compares, and raises where they differ
    network, config = load_network(tmp_path)
    assert config["spacing_mm"] == 2.0
    for name in FORMS[kind].derived:
        assert np.array_equal(getattr(network.settings, name), getattr(module.settings, name))
    # loaded and saved again it is the same model, byte for byte
    network.save(tmp_path / "again", extra={"spacing_mm": 3.0})
    assert (tmp_path / "again" / "model.onnx").read_bytes() == (tmp_path / "model.onnx").read_bytes()
    assert load_network(tmp_path / "again")[1]["spacing_mm"] == 3.0
    assert sum(p.numel() for p in network.module().parameters()) == sum(p.numel() for p in module.parameters())


def test_a_form_that_answers_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = build(THIN).eval()
    real = OnnxNetwork.__call__
    monkeypatch.setattr(OnnxNetwork, "__call__", lambda self, *x: real(self, *x) + 0.1)
    with pytest.raises(AnnofreeError, match=r"answers otherwise.*largest difference is 0\.02"):
        onnx_of(module)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network folder from before there was a `model.onnx`."""
    torch.manual_seed(0)
    return save_network(build(THIN).eval(), tmp_path_factory.mktemp("model"))


def test_an_old_folder_is_exported_on_the_spot_or_for_good(folder: Path, tmp_path: Path) -> None:
    images, brain = head()
    present = np.ones(4, bool)
    network, _ = load_network(folder)
    assert not (folder / "model.onnx").exists()
    ours = predict_scan_array(network, images, brain, present)
    np.testing.assert_allclose(
        ours, predict_scan_array(TorchNetwork(network.module()), images, brain, present), atol=1e-3
    )
    assert ours.shape == (3, *brain.shape)
    assert not ours[:, ~brain].any()
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    main([str(tmp_path)])
    np.testing.assert_array_equal(ours, predict_scan_array(load_network(tmp_path)[0], images, brain, present))
    with pytest.raises(AnnofreeError, match="No network lies below"):
        main([str(tmp_path / "nothing")])


def test_an_old_folder_without_torch_gets_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name.startswith("annofree.inference.export"):
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(
        OptionalDependency,
        match=r"no longer|before there was a model\.onnx.*needs torch.*pip install 'annofree\[fit\]'",
    ):
        load_network(folder)


def test_damaged_files_and_missing_devices_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.yaml"):
        load_network(tmp_path)
    (tmp_path / "config.yaml").write_bytes((folder / "config.yaml").read_bytes())
    (tmp_path / "model.onnx").write_bytes(b"cut short")
    with pytest.raises(InputError, match=r"cannot be read.*annofree\.inference\.export"):
        load_network(tmp_path)
    with pytest.raises(SettingsError, match=r"'gpu' is not a device.*cuda"):
        providers("gpu")
    with pytest.raises(SettingsError, match="'directml' is not at hand"):
        load_network(folder, device="directml")
    assert providers("cpu") == ["CPUExecutionProvider"]


class Half:
    """Answers with the first three channels."""

    settings = THIN

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return x[:, :3]


@pytest.mark.parametrize("told_when", ["before", "in the pass"])
def test_windows_cover_the_volume_where_it_does_not_fit_the_memory(
    told_when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Short(Half):
        def __call__(self, x: np.ndarray) -> np.ndarray:
            if told_when == "in the pass" and x.size > 5e6:
                raise MemoryError
            seen.append(x.shape[2:])
            return super().__call__(x)

    x = np.random.default_rng(0).normal(size=(channels.CHANNELS, 170, 70, 31)).astype(np.float32)
    whole = predict(Half(), x)  # type: ignore[arg-type]
    assert whole.shape == (3, 170, 70, 31)
    if told_when == "before":
        monkeypatch.setattr(
            import_module("annofree.inference.predict"), "free_bytes", lambda: 6 * 4 * 4 * 64 * 64 * 32 * 1.05 / 0.8
        )
    notes: list[str] = []
    found = predict(Short(), x, notes)  # type: ignore[arg-type]
    assert len(notes) == 1
    assert f"windows of {max(seen[0])} voxels" in notes[0]
    assert set(seen) == ({(64, 64, 32)} if told_when == "before" else {(128, 72, 32)})
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-x[:3])), atol=1e-5)
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_a_flipped_look_is_the_look_at_the_flipped_scan_and_bending_changes_it(folder: Path) -> None:
    network, _ = load_network(folder)
    images, brain = head()
    present = np.ones(4, bool)
    there = predict_scan_array(network, images, brain, present, flipped=True)
    turned = predict_scan_array(network, images[:, ::-1], brain[::-1], present)[:, ::-1]
    np.testing.assert_allclose(there, turned, atol=1e-4)
    plain = predict_scan_array(network, images, brain, present)
    assert not np.allclose(plain, predict_scan_array(network, images, brain, present, power=0.7), atol=1e-4)


def test_every_shipped_network_comes_in_both_forms() -> None:
    from annofree.methods import WEIGHTS

    weights = sorted(WEIGHTS.rglob("model.safetensors"))
    assert weights
    for file in weights:
        network, config = load_network(file.parent)
        assert file.with_name("model.onnx").is_file()
        assert network.settings.kind == config["network"]["kind"]
        known = json.loads(json.dumps(config["network"]))
        assert {key: getattr(network.settings, key) for key in known} == known


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_masks_of_the_default_method_agree_with_those_of_torch(seed: int) -> None:
    from annofree import methods
    from annofree.phantom import phantom_subject

    ours = methods.shipped("synthtumour")
    theirs = ours.replace(networks=[(TorchNetwork(network.module()), config) for network, config in ours.networks])
    scan = phantom_subject(seed=seed, spacing_mm=3.0).scan
    found, expected = ours.segment(scan), theirs.segment(scan)
    for region in ("WT", "TC", "ET"):
        one, two = found.mask(region), expected.mask(region)
        assert 2 * (one & two).sum() >= 0.98 * (one.sum() + two.sum())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_no_number_is_refused_and_not_read_as_no_tumour(value: float, tmp_path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    from annofree.inference.network import SETTINGS

    weight = numpy_helper.from_array(np.array([value], np.float32), "weight")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, 2, 2, 2)) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Mul", ["x", "weight"], ["y"])], "g", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {SETTINGS: "{}"})
    network = OnnxNetwork(model.SerializeToString(), tmp_path, device="cpu")
    with pytest.raises(InputError, match=r"not numbers.*8 of 8 values"):
        network(np.ones((1, 1, 2, 2, 2), np.float32))


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_an_export_of_no_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["export"])
    with pytest.raises(SystemExit, match=r"No model folder was given\. Name one"):
        runpy.run_module("annofree.inference.export", run_name="__main__")
