"""Networks must accept any scan and survive saving."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from annofree.errors import AnnofreeError, InputError
from annofree.formats.outfolder import atomic_write
from annofree.inference.channels import CHANNELS
from annofree.networks import ThinUNetSettings, build, load_network, save_network

THIN = ThinUNetSettings(full=4, widths=(4, 8, 8))
DYN = {
    "kind": "dyn_unet",
    "kernel_size": [[3, 3, 3]] * 4,
    "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 1]],
    "filters": [4, 8, 8, 8],
    "deep_supervision": 1,
}


@pytest.mark.parametrize("config", [THIN, DYN])
def test_forward_backward_and_round_trip(config: object, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build(config)  # type: ignore[arg-type]
    levels = net(torch.randn(1, CHANNELS, 16, 16, 16))
    assert len(levels) > 1
    assert levels[0].shape == (1, 3, 16, 16, 16)
    assert all(16 % level.shape[2] == 0 for level in levels)
    sum(level.square().mean() for level in levels).backward()
    assert all(p.grad is not None for p in net.parameters())
    save_network(net, tmp_path, extra={"spacing_mm": 2.0})
    loaded, found = load_network(tmp_path)
    assert found["spacing_mm"] == 2.0
    x = torch.rand(1, CHANNELS, 32, 16, 16)
    with torch.inference_mode():
        ours, theirs = (torch.sigmoid(one.eval()(x)[0]) for one in (net, loaded))
    torch.testing.assert_close(ours, theirs, atol=5e-3, rtol=0)


def test_saved_weights_are_the_same_bytes_each_time_and_keep_a_transposed_weight(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build(THIN)
    name, weight = next((n, p) for n, p in net.named_parameters() if p.dim() > 1)
    weight.data = weight.data.half().float().transpose(0, 1).contiguous().transpose(0, 1)
    for folder in ("a", "b"):
        save_network(net, tmp_path / folder)
    loaded = dict(load_network(tmp_path / "a")[0].named_parameters())[name]
    assert torch.equal(loaded.detach(), weight.detach())
    a, b = ((tmp_path / folder / "model.safetensors").read_bytes() for folder in ("a", "b"))
    assert a == b


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_saved_weights_can_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        save_network(build(THIN), tmp_path)
    finally:
        os.umask(old)
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {
        "config.yaml": "0o640",
        "model.safetensors": "0o640",
    }


def test_a_place_that_knows_no_modes_can_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    atomic_write(tmp_path / "x.json", "{}")
    assert (tmp_path / "x.json").read_text() == "{}"


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(AnnofreeError, match="thin_unet"):
        build({"kind": "thin_une"})
    with pytest.raises(InputError, match=r"config\.yaml"):
        load_network(tmp_path)


def test_a_convolution_in_training_form_has_the_values_and_gradients_of_torchs() -> None:
    torch.manual_seed(0)
    given = torch.randn(2, CHANNELS, 16, 16, 16)
    found = []
    for training in (True, False):
        net = build(THIN.model_copy(update={"full": 8}))
        torch.manual_seed(1)
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        for part in net.modules():
            if isinstance(part, torch.nn.Conv3d):
                part.train(training)
        x = given.clone().requires_grad_()
        levels = net(x)
        sum(level.square().mean() for level in levels).backward()
        found.append([*levels, x.grad, *(p.grad for p in net.parameters())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
