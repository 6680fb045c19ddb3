"""From a scan to the error of its reconstruction, slice by slice; the same for every network.

The family that BLOGRR is compared with: a network learns healthy slices, and where it fails to restore a slice, the
slice is abnormal. What decides is the threshold; any can be used. The five methods
stand at the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from annofree.prepare.slices import SliceSettings

if TYPE_CHECKING:
    from torch import nn

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from annofree.inference.network import by_parts
from annofree.methods.decide import Rules, Scored
from annofree.methods.network_method import NetworkMethod
from annofree.prepare.resample import back as brought_back
from annofree.prepare.slices import framed, from_slices, pick_sequence, to_slices
from annofree.refine.brain import ErodedBrain
from annofree.refine.components import KeepComponents
from annofree.scan import Cohort, Modality, Scan
from annofree.segmentation import ScoreMap
from annofree.settings import Seed, Settings
from annofree.thresholds.healthy import HealthyQuantile

if TYPE_CHECKING:
    from torch import nn

    from annofree.methods.reconstruction.error_map import ErrorSettings

#: Slices that go through a network together.
_TOGETHER = 16
#: Healthy scans below which calibration has to use those learned from.
_ENOUGH_TO_SPLIT = 6


class ReconstructionSettings(Settings):
    """Settings of a reconstruction method.

    Attributes:
        preset: "default" cuts slices on the scan's own axes (2 mm, or 4 mm for networks whose narrow code holds no
            finer detail) and counts what is brighter than healthy on FLAIR and T2; "published" cuts MNI slices 30 to
            149 of 128 x 128 pixels, counts absolute errors, fits networks of the published width, refines nothing.
        sequence: Modality to look at; None takes the first present of FLAIR, T2, T1C, T1.
        quality: "fast" looks at every other slice.
        labelmaps: Folder of anatomical label maps, or a bank saved from one, that `fit` makes healthy brains from; None
            takes the MNI tissue maps.
        made: Number of healthy brains that `fit` makes beside the healthy scans.
        steps: Training steps of `fit`.
        batch: Slices a step.
        learning_rate: Peak rate.
        seed: Decides a fit.
    """

    preset: Literal["default", "published"] = "default"
    sequence: Modality | None = None
    quality: Literal["fast", "default"] = "default"
    labelmaps: str | None = None
    made: int = Field(60, ge=0)
    steps: int = Field(3000, ge=1)
    batch: int = Field(8, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    seed: Seed = 0


class Reconstruction(NetworkMethod):
    """Base of the methods that score by the error of a reconstruction; a subclass names its network."""

    settings_class = ReconstructionSettings
    settings: ReconstructionSettings
    run_settings: ClassVar[frozenset[str]] = frozenset({"quality", "sequence"})
    #: Whether slices get coarse noise while the network learns.
    denoises: ClassVar[bool] = False
    kind: ClassVar[str]
    default_slices: ClassVar[SliceSettings] = SliceSettings()

    def default_rules(self) -> Rules:
        """A quantile of healthy errors; the rim of the brain and specks go, where not published."""
        chain = (ErodedBrain(mm=3.0), KeepComponents(connectivity=26, min_ml=0.5))
        return Rules(
            {"WT": HealthyQuantile(quantile=0.99)}, {"WT": () if self.settings.preset == "published" else chain}
        )

    def network_settings(self) -> Settings:
        """The network that `fit` trains: of the class's `kind`, in the `shape` that goes with the slices."""
        from annofree.networks.build import parse

        return parse({"kind": self.kind, **self.shape()})

    def shape(self) -> dict[str, Any]:
        """Settings of an encoder that leaves 6 x 6 or 8 x 8 pixels."""
        return {"size": self.slices.size, "widths": (16, 32, 64) if self.slices.size <= 48 else (16, 32, 64, 64)}

    @property
    def slices(self) -> SliceSettings:
        """How slices are cut."""
        return SliceSettings.published() if self.settings.preset == "published" else self.default_slices

    def error(self, sequence: Modality) -> ErrorSettings:
        """The error map: absolute where published, or where tumour may be dark or bright (T1, T1C).

        The window is 5 pixels as published where pixels are 1.5 to 2 mm, 3 where they are 4 mm.
        """
        from annofree.methods.reconstruction.error_map import ErrorSettings

        bright = self.settings.preset == "default" and sequence in (Modality.FLAIR, Modality.T2)
        coarse = self.slices.frame == "scan" and self.slices.spacing_mm > 3.0
        return ErrorSettings(side="bright" if bright else "both", kernel=3 if coarse else 5)

    def score(self, scan: Scan) -> Scored:
        """Error map of one sequence on the scan's grid, in grey levels of the slices (robust z / 12).

        Raises:
            InputError: The model holds no network, or the scan has no brain.
        """
        sequence = pick_sequence(scan, self.settings.sequence)
        alone = scan.replace(images={sequence: scan.images[sequence]})
        slices = framed(alone, self.slices)
        error, _ = self.reconstruct(slices, sequence)
        back = brought_back(error, slices, scan)
        values = np.where(alone.foreground(), back, np.float32(0))
        return Scored({"WT": ScoreMap(values, "WT", "residual", scan.grid)}, self.rules, looked_at=str(sequence))

    def reconstruct(self, slices: Scan, sequence: Modality) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Error map and reconstruction, (size, size, N) each, of a scan that `prepare.slices.framed` cut to slices."""
        from annofree.methods.reconstruction.error_map import error_map

        network = self.needed_network()
        assert slices.brain is not None
        image = to_slices(slices.images[sequence])[:, None]
        brain = to_slices(slices.brain)[:, None]
        used = list(range(0, len(image), 2 if self.settings.quality == "fast" else 1))
        healthy = by_parts(network, image[used], together=_TOGETHER)
        error = error_map(image[used], healthy, brain[used], self.error(sequence))
        maps = (error, healthy * brain[used])
        between = [from_slices(_spread(values[:, 0], used, len(image))) for values in maps]
        return between[0], between[1]

    @property
    def fit_mb(self) -> int:
        """Weights, averages, Adam's two, and the copy that is being written; 7.7 million weights as published."""
        return 500 if self.settings.preset == "published" else 100

    def fit(
        self, *, healthy: Cohort | None = None, patients: Cohort | None = None, workspace: Path | None = None
    ) -> Self:
        """Learn healthy slices, then set the threshold on healthy scans that were not learned from.

        A third of the healthy scans (at least 3) is kept for the threshold where there are 6 or more; with fewer, all
        serve both ends. Without any, made brains alone are learned from and the threshold stays unset.
        """
        import tempfile

        from annofree.methods.reconstruction.slice_samples import made_stacks, stacks_of

        scans = Cohort.of(()) if healthy is None else healthy
        ids = scans.ids
        kept = ids[-max(3, len(ids) // 3) :] if len(ids) >= _ENOUGH_TO_SPLIT else ()
        stacks = stacks_of((s for s in scans if s.id not in kept), self.slices)
        made = made_stacks(self.settings.labelmaps, self.settings.made, self.slices, seed=self.settings.seed)
        with tempfile.TemporaryDirectory() as temporary:
            module = self.learn(stacks + made, (workspace or Path(temporary)) / "reconstructor")
        learned_from = {
            "healthy scans": [i for i in ids if i not in kept],
            "made healthy brains": self.settings.made,
            "steps": self.settings.steps,
        }
        fitted = self.with_network(module, learned_from)
        return fitted if healthy is None else fitted.calibrate(healthy.subset(kept) if kept else healthy)

    def learn(self, stacks: list[Any], folder: Path) -> nn.Module:
        """The network, trained on two or more stacks, every twelfth of which is held out to choose weights.

        A subclass that trains otherwise overrides this.
        """
        import torch

        from annofree.methods.reconstruction.slice_samples import HeldOutSlices, SliceSampler, reconstruction_objective
        from annofree.networks import build, load_network
        from annofree.training.loop import train
        from annofree.training.settings import TrainSettings

        held_out = stacks[::12] if len(stacks) >= 24 else stacks
        learned = [s for s in stacks if not any(s is h for h in held_out)] or stacks
        torch.manual_seed(self.settings.seed)
        train(
            build(self.network_settings()),
            SliceSampler(learned, noise=self.denoises, seed=self.settings.seed),
            reconstruction_objective,
            folder,
            settings=TrainSettings(
                steps=self.settings.steps,
                batch=self.settings.batch,
                learning_rate=self.settings.learning_rate,
                warmup=min(100, self.settings.steps // 10),
                ema=0.99,
                seed=self.settings.seed,
                validate_every=max(1, self.settings.steps // 10),
                ahead=0,
            ),
            validate=HeldOutSlices(held_out, noise=self.denoises),
        )
        return load_network(folder / "best")[0]


def _spread(values: NDArray[np.float32], at: list[int], count: int) -> NDArray[np.float32]:
    """Slices known at some positions, linear between them, for all positions."""
    if len(at) == count:
        return values
    place = np.interp(np.arange(count), at, np.arange(len(at)))
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, len(at) - 1)
    weight = (place - low).astype(np.float32)[:, None, None]
    between: NDArray[np.float32] = values[low] * (1 - weight) + values[high] * weight
    return between


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
