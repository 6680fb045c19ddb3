"""The five reconstructors of BLOGRR's table as methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from annofree.methods.reconstruction.method import Reconstruction, ReconstructionSettings
from annofree.prepare.slices import SliceSettings
from annofree.settings import Settings

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
    settings_class = DAESettings
    settings: DAESettings
    denoises: ClassVar[bool] = True

    def network_settings(self) -> Settings:
        """The U-Net."""
        from annofree.methods.reconstruction.denoising_unet import DenoisingUNetSettings

        if self.settings.preset == "published":
            return DenoisingUNetSettings.published()
        first = self.settings.width
        return DenoisingUNetSettings(widths=(first, 2 * first, 4 * first, 8 * first))


#: A dense code holds no more than this resolves, and a fit takes a minute or two.
COARSE = SliceSettings(size=48, spacing_mm=4.0)


def narrow(slices: SliceSettings) -> dict[str, Any]:
    """Size and widths of an encoder that leaves 6 x 6 or 8 x 8 pixels."""
    return {"size": slices.size, "widths": (16, 32, 64) if slices.size <= 48 else (16, 32, 64, 64)}


class AE(Reconstruction):
    """Autoencoder with a dense bottleneck."""

    name: ClassVar[str] = "ae"
    default_slices: ClassVar[SliceSettings] = COARSE

    def network_settings(self) -> Settings:
        """An encoder and a decoder for the slices' size."""
        from annofree.methods.reconstruction.ae import AESettings

        return AESettings(**narrow(self.slices))


class VAE(Reconstruction):
    """Variational autoencoder."""

    name: ClassVar[str] = "vae"
    default_slices: ClassVar[SliceSettings] = COARSE

    def network_settings(self) -> Settings:
        """As for the autoencoder, with a random code."""
        from annofree.methods.reconstruction.vae import VAESettings

        return VAESettings(**narrow(self.slices))


class VQVAE(Reconstruction):
    """Vector-quantised autoencoder."""

    name: ClassVar[str] = "vq-vae"
    default_slices: ClassVar[SliceSettings] = COARSE

    def network_settings(self) -> Settings:
        """A grid of words."""
        from annofree.methods.reconstruction.vq_vae import VQVAESettings

        return VQVAESettings(widths=(16, 32, 64))


class FAnoGANMethod(Reconstruction):
    """f-AnoGAN: a generator of healthy slices and an encoder into it."""

    name: ClassVar[str] = "f-anogan"
    default_slices: ClassVar[SliceSettings] = COARSE

    def network_settings(self) -> Settings:
        """Encoder, generator and critic for the slices' size."""
        from annofree.methods.reconstruction.fanogan import FAnoGANSettings

        return FAnoGANSettings(**narrow(self.slices))

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
        sampler = SliceSampler(stacks, self.variation(), seed=self.settings.seed)
        trained = train_fanogan(self.network_settings(), sampler, folder, settings)  # type: ignore[arg-type]
        return load_network(trained)[0]
