"""From a scan to tumour probabilities by networks trained on made brains with made tumours (tier T0).

Source of the idea: SynthTumour (Zhang et al., Medical Image Analysis 2025), which paints tumours into healthy FLAIR
and trains nnU-Net; here whole brains of four sequences are made, and any subset of sequences can be segmented.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.methods.base import Method
from annofree.refine.components import Components
from annofree.refine.holes import FillHoles
from annofree.refine.twins import Twins
from annofree.refine.walker import RandomWalker
from annofree.scan import Cohort, Scan, Sequence
from annofree.segmentation import ScoreMap
from annofree.settings import Settings
from annofree.thresholds.fixed import Fixed

if TYPE_CHECKING:
    from torch import nn

NETWORKS = "networks"

#: Powers put on the normalised grey levels, one pass each, by quality; every pass but "fast" is also run flipped.
PASSES: dict[str, tuple[tuple[float, bool], ...]] = {
    "fast": ((1.0, False),),
    "default": ((1.0, False), (1.0, True)),
    "best": ((1.0, False), (1.0, True), (0.85, False), (0.85, True), (1.15, False), (1.15, True)),
}


#: A brain in view that is thinner than this along any axis is refused, mm.
THINNEST_MM = 10.0

#: Range in which healthy scans may set the smallest lesion that is kept, ml.
SMALLEST_ML = (0.5, 3.0)


class SynthTumourSettings(Settings):
    """Settings of the method.

    Attributes:
        quality: "fast" one pass; "default" adds the left-right flipped scan; "best" adds two more contrasts of both.
        labelmaps: Folder of anatomical label maps that `fit` makes brains from; None takes the MNI tissue maps.
        steps: Training steps of `fit`.
        seed: Decides a fit.
    """

    quality: Literal["fast", "default", "best"] = "default"
    labelmaps: str | None = None
    steps: int = 2000
    seed: int = 0


def _refuse_slab(scan_id: str, coarse: Scan) -> None:
    assert coarse.brain is not None
    points = np.argwhere(coarse.brain)
    if not len(points):
        raise InputError(f"Scan '{scan_id}' has no brain", fix="Give a brain mask with --brain-mask")
    thinnest = float((np.ptp(points, axis=0) * coarse.spacing_mm).min())
    if thinnest < THINNEST_MM:
        raise InputError(
            f"The brain in scan '{scan_id}' is {thinnest:.0f} mm thick, too thin for a network that looks in 3-D",
            fix="Give the whole volume, or choose --method intensity",
        )


class SynthTumour(Method):
    """A network that saw made tumours only; WT, TC and ET from any subset of T1, T1C, T2 and FLAIR."""

    name: ClassVar[str] = "synthtumour"
    regions: ClassVar[tuple[str, ...]] = ("WT", "TC", "ET")
    settings_class = SynthTumourSettings
    settings: SynthTumourSettings

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        super().__init__(settings, **options)
        even = Fixed(value=0.5, tier="T0", source="even odds of the network")
        self.thresholds = {"WT": even, "TC": even, "ET": even}
        self.refiners = {
            "WT": (FillHoles(), Twins(), Components(connectivity=26, min_ml=0.5), RandomWalker()),
            "TC": (FillHoles(),),
            "ET": (),
        }
        self.networks: list[tuple[nn.Module, dict[str, Any]]] = []

    def score(self, scan: Scan) -> dict[str, ScoreMap]:
        """Probabilities of whole tumour, tumour core and enhancing tumour.

        The scan is resampled to the networks' spacing, normalised inside the brain, seen by every network in every
        pass of the chosen quality, and the mean probability is brought back to the scan's grid (linearly).

        Raises:
            InputError: The model holds no network.
        """
        import torch

        from annofree.networks import predict_scan_array
        from annofree.prepare.resample import back, to_spacing

        if not self.networks:
            raise InputError(
                "This synthtumour model has no network", fix="Fit it, or leave --model out to use the shipped one"
            )
        brain = self.brain(scan)
        total: NDArray[np.float32] | None = None
        count = 0
        for network, config in self.networks:
            coarse = to_spacing(scan.replace(brain=brain), float(config["spacing_mm"]))
            assert coarse.brain is not None
            _refuse_slab(scan.id, coarse)
            images = np.zeros((len(Sequence), *coarse.shape), dtype=np.float32)
            for channel, sequence in enumerate(Sequence):
                if sequence in coarse.images:
                    images[channel] = coarse.images[sequence]
            present = torch.tensor([sequence in coarse.images for sequence in Sequence])
            for power, flip in PASSES[self.settings.quality]:
                found = predict_scan_array(
                    network,
                    torch.from_numpy(images),
                    torch.from_numpy(coarse.brain.copy()),
                    present,
                    flipped=flip,
                    power=power,
                ).numpy()
                total = found if total is None else total + found
                count += 1
            grid = coarse.grid
        assert total is not None
        maps = {}
        outer = brain.astype(np.float32)
        for region, values in zip(self.regions, total / count, strict=True):
            values = back(values, grid, scan.grid) if grid.shape != scan.shape else values
            outer = np.minimum(np.clip(values, 0.0, 1.0), outer)
            maps[region] = ScoreMap(outer, region, "probability")
        return maps

    def brain(self, scan: Scan) -> NDArray[np.bool_]:
        """The brain with its holes filled: dark fluid may equal the background."""
        from scipy.ndimage import binary_fill_holes

        filled: NDArray[np.bool_] = binary_fill_holes(super().brain(scan))
        return filled

    def fit(self, *, healthy: Cohort | None = None, patients: Cohort | None = None) -> Self:
        """Train a network on made brains with made tumours, then set the smallest kept lesion on healthy scans.

        Nothing about real tumours enters. Training keeps checkpoints in `workspace` and goes on from there when it
        was stopped; weights are chosen by held-out made cases.

        Args:
            healthy: Healthy scans, for the calibration only.
            patients: Not used: the first stage needs none.
        """
        import tempfile

        from annofree.networks import load_network
        from annofree.synthesis import LabelMapBank
        from annofree.training.junior import JuniorSettings, fit_junior
        from annofree.training.settings import TrainSettings

        folder = self.settings.labelmaps
        bank = LabelMapBank.from_mni() if folder is None else LabelMapBank.from_folder(folder)
        recipe = JuniorSettings(train=TrainSettings(steps=self.settings.steps, seed=self.settings.seed))
        with tempfile.TemporaryDirectory() as temporary:
            workspace = (self.workspace or Path(temporary)) / "junior"
            trained = fit_junior(bank, workspace, recipe)
            self.networks = [load_network(workspace / ("best" if trained.best_score is not None else "last"))]
        self.card["learned from"] = {
            "anatomies": "MNI152 tissue maps" if folder is None else f"{len(bank)} label maps",
            "tumours": "made; no lesion of any patient, no mask",
            "steps": trained.step,
            "validation score on held-out made cases": trained.best_score,
        }
        if healthy is not None:
            self.calibrate(healthy)
        return self

    def calibrate(self, healthy: Cohort) -> Self:
        """Set the smallest lesion that is kept from what the networks call tumour in healthy scans.

        It is the volume at which half of healthy people have nothing called, but at least 0.5 ml (a few voxels of the
        networks) and at most 3 ml: a finding of more than that is never dropped for its size.
        """
        from annofree.methods.decide import decide
        from annofree.refine import healthy_min_ml

        kept = self.refiners
        self.refiners = {**kept, "WT": (FillHoles(), Twins())}
        masks = []
        for scan in healthy:
            decision = decide(
                {"WT": self.score(scan)["WT"]},
                self.thresholds,
                self.refiners,
                brain=self.brain(scan),
                spacing_mm=scan.spacing_mm,
                images=scan.images,
            )
            masks.append((decision.labels > 0, scan.voxel_ml))
        smallest = float(np.clip(healthy_min_ml(masks, alpha=0.5), *SMALLEST_ML))
        components = Components(connectivity=26, min_ml=round(smallest, 2))
        self.refiners = {**kept, "WT": (FillHoles(), Twins(), components, RandomWalker())}
        self.card["healthy"] = list(healthy.ids)
        return self

    def save_weights(self, folder: Path) -> None:
        """One folder a network, half precision."""
        from annofree.networks import save_network

        for number, (network, config) in enumerate(self.networks):
            extra = {key: value for key, value in config.items() if key != "network"}
            save_network(network, folder / NETWORKS / str(number), extra=extra)

    def load_weights(self, folder: Path) -> None:
        """Read the networks that `save_weights` wrote."""
        from annofree.networks import load_network

        self.networks = [load_network(path) for path in sorted((folder / NETWORKS).iterdir()) if path.is_dir()]
