"""The autoencoders of MViT-AE must be the published size, hide what is hidden, and survive saving."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from annofree.methods.mvit_ae.network import MaskedViTAE, MaskedViTAESettings, ViTAE, ViTAESettings, patches
from annofree.networks import build, load_network, save_network

TINY = MaskedViTAESettings(dim=16, depth=1, heads=2, mlp=16, squeeze=2, latent=8, decoder=(8, 8, 8, 8))
NARROW = ViTAESettings(
    image=48, patch=12, dim=16, depth=1, heads=2, mlp=16, latent=64, decoder=((4, 11, 2, 2), (4, 11, 2, 1))
)


def count(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_the_published_network_has_the_published_size_and_returns_whole_slices() -> None:
    net = build(ViTAESettings()).eval()
    assert isinstance(net, ViTAE)
    assert round(count(net) / 1e6, 2) == 40.70
    assert round(count(net.squeeze) / 1e6, 1) == 26.2
    assert round(count(net.layers) / 1e6, 1) == 12.6
    assert round(count(net.decoder) / 1e6, 2) == 0.65
    with torch.inference_mode():
        assert net(torch.zeros(1, 4, 240, 240)).shape == (1, 4, 240, 240)


def test_ours_is_small_enough_for_two_cores() -> None:
    assert count(build(MaskedViTAESettings())) < 2e6


def test_patches_keep_their_place() -> None:
    image = torch.arange(6 * 8, dtype=torch.float32).view(1, 1, 6, 8)
    cut = patches(image, 2)
    assert cut.shape == (1, 12, 1, 4)
    assert cut[0, 5, 0].tolist() == image[0, 0, 2:4, 2:4].flatten().tolist()


@pytest.mark.parametrize("config", [TINY, NARROW])
def test_training_reaches_every_weight_and_saving_keeps_the_answer(config: object, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build(config)  # type: ignore[arg-type]

    def answer(network: torch.nn.Module) -> torch.Tensor:
        if isinstance(network, ViTAE):
            return network(torch.ones(2, 4, 48, 48))
        hidden = torch.rand(2, 4, 80, generator=torch.Generator().manual_seed(1)) < 0.3
        return network(torch.ones(2, 4, 64, 80), torch.ones(2, 64, 80), hidden, torch.zeros(2))

    answer(net).square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())
    save_network(net, tmp_path)
    loaded, _ = load_network(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(answer(loaded), answer(net.eval()), atol=0.02, rtol=0.02)


def test_what_is_hidden_cannot_change_the_reconstruction() -> None:
    torch.manual_seed(0)
    net = build(TINY).eval()
    assert isinstance(net, MaskedViTAE)
    images, brain, height = torch.randn(1, 4, 64, 80), torch.ones(1, 64, 80), torch.zeros(1)
    hidden = torch.zeros(1, 4, 80, dtype=torch.bool)
    hidden[:, :, 0] = True
    hidden[:, 1] = True
    other = images.clone()
    other[:, :, :8, :8] = 99.0
    other[:, 1] = -99.0
    with torch.inference_mode():
        before = net(images, brain, hidden, height)
        torch.testing.assert_close(net(other, brain, hidden, height), before)
        other[:, 3, 40, 40] += 5.0
        assert not torch.equal(net(other, brain, hidden, height), before)
