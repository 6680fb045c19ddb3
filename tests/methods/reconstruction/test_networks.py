"""The denoising U-Net as published, the error map, and the autoencoders beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from annofree.errors import SettingsError
from annofree.methods.blogrr.levels import error_map
from annofree.methods.reconstruction import DAE
from annofree.methods.reconstruction.ae import split
from annofree.methods.reconstruction.denoising_unet import (
    DenoisingUNet,
    DenoisingUNetSettings,
    StandardisedConv2d,
    groups_of,
)
from annofree.methods.reconstruction.error_map import ErrorSettings
from annofree.networks import build, load_network, save_network

SMALL = {
    "denoising_unet": {"widths": [4, 8]},
    "ae": {"size": 32, "widths": [4, 8], "latent": 6},
    "vae": {"size": 32, "widths": [4, 8], "latent": 6},
    "vq_vae": {"widths": [4, 8], "words": 8, "length": 4},
    "fanogan": {"size": 32, "widths": [4, 8], "latent": 6},
}


def weights(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_published_unet_has_the_published_number_of_weights() -> None:
    published = DAE(preset="published").network_settings()
    assert isinstance(published, DenoisingUNetSettings)
    assert weights(DenoisingUNet(published)) == 7_702_977
    assert weights(DenoisingUNet(published.model_copy(update={"repeat": 1}))) == 7_701_825
    assert not [m for m in DenoisingUNet(published).modules() if isinstance(m, nn.Linear)]


def test_groups_follow_the_divisor_rule() -> None:
    assert [groups_of(c) for c in (64, 128, 256, 512)] == [8, 16, 16, 32]


def test_weight_standardisation_against_a_written_out_reference() -> None:
    conv = StandardisedConv2d(3, 5, 3, padding=1, padding_mode="reflect")
    x = torch.randn(2, 3, 7, 8)
    weight = conv.weight.detach().numpy()
    kernels = np.stack([(w - w.mean()) / (w.std(ddof=1) + 1e-5) for w in weight])
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    expected = np.zeros((2, 5, 7, 8), np.float32)
    for out in range(5):
        for i in range(7):
            for j in range(8):
                window = padded[:, :, i : i + 3, j : j + 3]
                expected[:, out, i, j] = (window * kernels[out]).sum(axis=(1, 2, 3)) + float(conv.bias[out].detach())
    assert np.allclose(conv(x).detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"norm": "batch"}, {"up": "bilinear"}, {"repeat": 3}, {"in_channels": 2}])
def test_every_option_keeps_the_size(options: dict[str, object]) -> None:
    settings = DenoisingUNetSettings(widths=(4, 8, 8), **options)
    x = torch.rand(2, settings.in_channels, 16, 24)
    assert DenoisingUNet(settings)(x).shape == (2, 1, 16, 24)


def test_a_wrong_size_names_the_size_to_pad_to() -> None:
    with pytest.raises(ValueError, match=r"pad to \(32, 24\)"):
        DenoisingUNet(DenoisingUNetSettings(widths=(4, 8, 8, 8)))(torch.zeros(1, 1, 30, 24))


@pytest.mark.parametrize("kind", SMALL)
def test_reconstructors_learn_are_kept_and_repeat_themselves(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build({"kind": kind, **SMALL[kind]})
    x = torch.rand(3, 1, 32, 32)
    output, penalty = split(network.train()(x))
    assert output.shape == x.shape
    assert float(torch.as_tensor(penalty).detach()) >= 0.0
    (output.square().mean() + penalty).backward()
    trained = [p.grad is not None for name, p in network.named_parameters() if not name.startswith("critic")]
    assert all(trained)
    network.eval()
    assert torch.equal(network(x), network(x))
    save_network(network, tmp_path)
    again, _ = load_network(tmp_path)
    assert torch.allclose(again(x), network(x), atol=5e-3)


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="vq_vae"):
        build({"kind": "vqvae"})


def test_vae_penalty_is_the_divergence_written_out() -> None:
    network = build({"kind": "vae", **SMALL["vae"]}).train()
    x = torch.rand(4, 1, 32, 32)
    mean, log_variance = network.encoder(x).chunk(2, dim=1)  # type: ignore[operator]
    prior = torch.distributions.Normal(0.0, 1.0)
    code = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(code, prior).sum(1).mean() * 2 * 0.1**2 / (32 * 32)
    assert float(split(network(x))[1].detach()) == pytest.approx(float(expected), rel=1e-5)


def test_every_code_of_the_vq_vae_is_a_word_of_the_book() -> None:
    network = build({"kind": "vq_vae", **SMALL["vq_vae"]}).eval()
    seen = []
    network.from_code.register_forward_pre_hook(lambda _, given: seen.append(given[0]))  # type: ignore[union-attr]
    network(torch.rand(2, 1, 32, 32))
    codes = seen[0].permute(0, 2, 3, 1).reshape(-1, 4)
    far = (codes[:, None] - network.book.weight).abs().amax(2)  # type: ignore[union-attr, operator]
    assert float(far.amin(1).max()) < 1e-6


@pytest.mark.parametrize("side", ["both", "bright", "dark"])
def test_error_map_against_scipy(side: str) -> None:
    rng = np.random.default_rng(0)
    image, made = rng.random((2, 20, 24)), rng.random((2, 20, 24))
    inside = rng.random((2, 20, 24)) > 0.3
    raw = {"both": np.abs(image - made), "bright": np.maximum(image - made, 0), "dark": np.maximum(made - image, 0)}
    blurred = [ndimage.gaussian_filter(e, 4.0, mode="mirror", truncate=0.5) for e in raw[side]]
    settings = ErrorSettings(side=side)  # type: ignore[arg-type]
    tensors = [torch.from_numpy(a)[:, None] for a in (image, made, inside)]
    found = error_map(*tensors, settings)[:, 0].numpy()
    assert np.allclose(found, np.stack(blurred) * inside, atol=1e-7)


def test_the_published_blur_is_nearly_a_mean() -> None:
    spike = torch.zeros(1, 1, 15, 15, dtype=torch.float64)
    spike[0, 0, 7, 7] = 1.0
    line = error_map(spike, torch.zeros_like(spike))[0, 0].sum(0)[5:10]
    assert [round(float(v), 3) for v in line] == [0.188, 0.206, 0.213, 0.206, 0.188]
