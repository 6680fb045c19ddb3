"""The five reconstructors of BLOGRR's table as methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from annofree.methods.reconstruction.method import Reconstruction, ReconstructionSettings
from annofree.prepare.slices import SliceSettings

if TYPE_CHECKING:
    from torch import nn


class DAESettings(ReconstructionSettings):
    """Settings of the denoising autoencoder.

    Attributes:
        width: Channels of the U-Net's finest level, doubled at each of three further levels; the published preset has
            64 and leaves this aside.
    """

    width: int = Field(8, ge=4, multiple_of=4)


class DAE(Reconstruction):
    """Denoising autoencoder: the U-Net of BLOGRR, trained to remove coarse noise from healthy slices."""

    name: ClassVar[str] = "dae"
    kind: ClassVar[str] = "denoising_unet"
    settings_class = DAESettings
    settings: DAESettings
    denoises: ClassVar[bool] = True

    def shape(self) -> dict[str, Any]:
        """As the settings say; published 64 to 512 channels, slices repeated three times: 7,702,977 weights."""
        first, repeat = (64, 3) if self.settings.preset == "published" else (self.settings.width, 1)
        return {"widths": (first, 2 * first, 4 * first, 8 * first), "repeat": repeat}


class _Coarse(Reconstruction):
    """A dense code holds no more than this resolves, and a fit takes a minute or two."""

    default_slices: ClassVar[SliceSettings] = SliceSettings(size=48, spacing_mm=4.0)


class AE(_Coarse):
    """Autoencoder with a dense bottleneck."""

    name: ClassVar[str] = "ae"
    kind: ClassVar[str] = "ae"


class VAE(_Coarse):
    """Variational autoencoder."""

    name: ClassVar[str] = "vae"
    kind: ClassVar[str] = "vae"


class VQVAE(_Coarse):
    """Vector-quantised autoencoder."""

    name: ClassVar[str] = "vq-vae"
    kind: ClassVar[str] = "vq_vae"

    def shape(self) -> dict[str, Any]:
        """A grid of words for slices of any size."""
        return {"widths": (16, 32, 64)}


class FAnoGANMethod(_Coarse):
    """f-AnoGAN: a generator of healthy slices and an encoder into it."""

    name: ClassVar[str] = "f-anogan"
    kind: ClassVar[str] = "fanogan"

    def learn(self, stacks: list[Any], folder: Path) -> nn.Module:
        """First generator against critic, then the encoder; half of the steps each."""
        from annofree.methods.reconstruction.adversarial import AdversarialSettings, train_fanogan
        from annofree.methods.reconstruction.slice_samples import SliceSampler
        from annofree.networks import load_network

        settings = AdversarialSettings(
            generator_steps=max(1, self.settings.steps // 2),
            encoder_steps=max(1, self.settings.steps - self.settings.steps // 2),
            batch=self.settings.batch,
            seed=self.settings.seed,
        )
        sampler = SliceSampler(stacks, noise=False, seed=self.settings.seed)
        trained = train_fanogan(self.network_settings(), sampler, folder, settings)  # type: ignore[arg-type]
        return load_network(trained)[0]
