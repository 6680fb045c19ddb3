"""From a scan to tumour probabilities by networks trained on made brains with made tumours (tier T0).

Source of the idea: SynthTumour (Zhang et al., Medical Image Analysis 2025), which paints tumours into healthy FLAIR
and trains nnU-Net; here whole brains of four sequences are made, and any subset of sequences can be segmented.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from annofree.errors import InputError
from annofree.labels import NESTED
from annofree.masks import dice
from annofree.methods.decide import Rules, Scored
from annofree.methods.network_method import SMALLEST_ML, NetworkMethod
from annofree.methods.synthtumour.coarse import coarse_of, flair_alone
from annofree.methods.synthtumour.core import LEAST_PART_ML
from annofree.methods.synthtumour.junior import fit_or_load_junior, given_junior, junior_from, named_cases
from annofree.methods.synthtumour.leak import with_enhancement
from annofree.methods.synthtumour.settings import SynthTumourSettings
from annofree.refine.appearance import Appearance
from annofree.refine.components import KeepComponents
from annofree.refine.holes import FillHoles
from annofree.refine.mirror import MirrorFilter
from annofree.scan import Cohort, Scan
from annofree.segmentation import ScoreMap, Unit
from annofree.thresholds.fixed import Fixed

if TYPE_CHECKING:
    from annofree.inference import Network

NETWORKS = "networks"

#: Powers put on the normalised grey levels and whether the scan is flipped, one pass each, by quality.
PASSES: dict[str, tuple[tuple[float, bool], ...]] = {
    "fast": ((1.0, False),),
    "default": ((1.0, False), (1.0, True)),
    "best": ((1.0, False), (1.0, True), (0.85, False), (0.85, True), (1.15, False), (1.15, True)),
}


#: A voxel is called from this score on.
CALLED = 0.5

#: Around the brain so many voxels of the networks' grid are looked at: what they and the way back take from there.
MARGIN_STEPS = 3

#: Slices thicker than this are thicker than what the rules of borders look at, mm.
THICK_MM = 2.0


class SynthTumour(NetworkMethod):
    """A network that saw made tumours only; WT, TC and ET from any subset of T1, T1C, T2 and FLAIR."""

    name: ClassVar[str] = "synthtumour"
    unit: ClassVar[Unit | None] = "probability"
    settings_class = SynthTumourSettings
    settings: SynthTumourSettings

    run_settings: ClassVar[frozenset[str]] = frozenset({"quality"})
    learned: ClassVar[tuple[str, ...]] = ("networks",)

    def default_rules(self) -> Rules:
        """One half of the score; then what drops, and what moves borders. The published preset has no rule of ours."""
        called = Fixed(value=CALLED, tier="T0", source="where the networks call it")
        if self.settings.published:
            return Rules({"WT": called}, {"WT": ()})
        crumbs = KeepComponents(connectivity=26, min_ml=SMALLEST_ML[0])
        return Rules(
            {"WT": called, "TC": called, "ET": called},
            {
                # crumbs that the border rules cut off are no findings of their own
                "WT": (FillHoles(), MirrorFilter(), crumbs, Appearance(), crumbs),
                # what is smaller than a tenth of a millilitre is a vessel or noise beside the part that enhances
                "TC": (FillHoles(), KeepComponents(connectivity=26, min_ml=LEAST_PART_ML)),
                "ET": (KeepComponents(connectivity=26, min_ml=LEAST_PART_ML),),
            },
        )

    def score(self, scan: Scan) -> Scored:
        """Probabilities of whole tumour, tumour core and enhancing tumour.

        The scan is resampled to the networks' spacing, normalised inside the brain, seen by the networks in turn in the
        passes of the chosen quality (by every network in every pass with `quality="best"`), and the mean probability is
        brought back to the scan's grid (linearly). With
        `quality="fast"` it stays on the networks' grid where that is coarser; a scan of thick slices is decided on
        cubes of its finest edge (at least 1 mm).

        Raises:
            InputError: The model holds no network.
        """
        from annofree.inference import predict_scan_array
        from annofree.prepare.resample import back, brain_box

        if not self.networks:
            raise self.no_network()
        spacing_mm = float(self.networks[0][1]["spacing_mm"])
        slices_mm, whole = scan.spacing_mm, self._to_decide_on(scan, spacing_mm)
        thick = max(slices_mm) > THICK_MM
        x, y, z = (max(1.0, was / now) if thick else 1.0 for was, now in zip(slices_mm, whole.spacing_mm, strict=True))
        box = brain_box(whole.grid, whole.foreground(), spacing_mm, MARGIN_STEPS * spacing_mm)
        scan = whole.within(box)
        coarse = coarse_of(scan, spacing_mm, filled=scan.spacing_mm == slices_mm)
        notes: list[str] = []
        answers = [
            predict_scan_array(
                network, coarse.images, coarse.brain, coarse.present, flipped=flip, power=power, notes=notes
            )
            for network, power, flip in _passes([network for network, _ in self.networks], self.settings.quality)
        ]
        mean = np.asarray(sum(answers) / len(answers))
        called, grid = mean[0] > CALLED, coarse.scan.grid
        odds = {
            region: values if grid.same_as(scan.grid) else back(values, grid, scan.grid)
            for (region, _), values in zip(NESTED, mean, strict=False)
        }
        if "ET" in odds:
            odds = with_enhancement(odds, scan, coarse.scan, called, (x, y, z), notes)
        # no region is held to the score of the one around it: what a rim encloses is core where rules of the whole
        # tumour, and not the networks, call it tumour, and `decide` keeps each inside the other
        maps, brain = {}, scan.foreground()
        for region, values in odds.items():
            seen = np.clip(values, 0.0, brain)
            maps[region] = ScoreMap(seen, region, "probability", scan.grid).rounded().widened(whole.grid, box)
        agreement = None
        if len(answers) > 1:
            agreement = float(np.mean([dice(answer[0] > CALLED, called, empty=1.0) for answer in answers]))
        return Scored(maps, self.rules, tuple(dict.fromkeys(notes)), agreement=agreement)

    def _to_decide_on(self, scan: Scan, spacing_mm: float) -> Scan:
        """The scan on the grid on which masks are drawn; `spacing_mm` is the networks' own."""
        from annofree.prepare.resample import to_spacing

        if self.settings.quality == "fast" and spacing_mm**3 / 1000.0 > scan.voxel_ml:
            return coarse_of(scan, spacing_mm, filled=True).scan
        if max(scan.spacing_mm) > THICK_MM:
            # rules of mm cannot be drawn on slices that are thicker than they reach
            return to_spacing(scan, max(1.0, min(scan.spacing_mm)))
        return scan

    def prepared(self, scan: Scan) -> Scan:
        """As every method; the published preset sees FLAIR and nothing else."""
        if self.settings.published:
            scan = flair_alone(scan)
        return super().prepared(scan)

    @property
    def fit_mb(self) -> int:
        """Checkpoints of two networks, and the cases that are kept."""
        cases = named_cases(self.settings)
        return 600 + (0 if cases is None else 6 * len(cases.cohort))

    @property
    def brings_material(self) -> bool:
        """Whether a folder of made cases was named."""
        return self.settings.cases is not None

    def check_fit(self, healthy: Cohort | None, patients: Cohort | None) -> None:
        """The published stages need healthy scans; the second stage needs them on both sides, or none.

        What a setting names, a junior or a plan, is read here too: a fit that fails later leaves a begun folder.

        Raises:
            InputError: There are none, or too few, or the junior or the plan cannot be used.
        """
        from annofree.methods.synthtumour.stages import halves
        from annofree.training.plan import read_plan

        cases = named_cases(self.settings)
        if healthy is None and self.settings.published and (cases is None or patients is not None):
            raise InputError("The published preset makes tumours in healthy scans", fix="Give --healthy DIR")
        if patients is not None and healthy is not None and healthy.ids:
            halves(healthy)
        where = junior_from(self.settings, "shipped" if patients is not None else "fit")
        if where != "fit":
            given_junior(self, where)
        elif self.settings.plan is not None:
            read_plan(self.settings.plan)

    def fit(
        self, *, healthy: Cohort | None = None, patients: Cohort | None = None, workspace: Path | None = None
    ) -> Self:
        """Train, then set the smallest kept lesion on healthy scans.

        Without patients: a junior, trained on made brains and on half of the healthy ones, with made tumours; nothing
        about real tumours enters. With patients: both stages, see `annofree.methods.synthtumour.stages`; no mask
        enters either. The other half of the healthy scans checks and calibrates; a junior that is not trained here is
        calibrated on all of them.

        Raises:
            InputError: The scans do not suffice.
            Interrupted: Ctrl-C stopped a training; the same fit goes on.
        """
        import tempfile

        with tempfile.TemporaryDirectory() as temporary:
            work = workspace or Path(temporary)
            if patients is not None:
                from annofree.methods.synthtumour.stages import fit_stages

                return fit_stages(self, healthy, patients, work)
            if healthy is None:
                return fit_or_load_junior(self, None, None, work, default="fit")
            from annofree.methods.synthtumour.stages import halves

            teach: Cohort | None = None
            own = junior_from(self.settings, "fit") == "fit" and not self.brings_material
            if own and (self.settings.published or len(healthy.ids) > 1):
                teach, healthy = halves(healthy)
            return fit_or_load_junior(self, teach, healthy, work, default="fit").calibrate(healthy)

    def calibrate(self, healthy: Cohort) -> Self:
        """Set the smallest lesion that is kept from what the networks call tumour in healthy scans.

        It is the volume at which half of healthy people have nothing called, but at least 0.5 ml (a few voxels of the
        networks) and at most 3 ml: a finding of more than that is never dropped for its size. The published preset
        keeps everything.
        """
        from annofree.methods.synthtumour.stages import first_refiners

        card = {**self.card, "healthy": list(healthy.ids)}
        if self.settings.published:
            return self.replace(card=card)
        first = next(n for n, rule in enumerate(self.refiners["WT"]) if isinstance(rule, KeepComponents))
        chain = list(self.refiners["WT"])
        chain[first] = KeepComponents(connectivity=26, min_ml=self.smallest_ml(healthy, first_refiners(self)))
        return self.replace(refiners={"WT": chain}, card=card)

    def save_weights(self, folder: Path) -> None:
        """One folder a network: half precision, and the ONNX form."""
        for number, (network, config) in enumerate(self.networks or ()):
            extra = {key: value for key, value in config.items() if key != "network"}
            network.save(folder / NETWORKS / str(number), extra=extra)

    def load_weights(self, folder: Path) -> dict[str, Any]:
        """Read the networks that `save_weights` wrote."""
        from annofree.inference import load_network

        return {"networks": [load_network(path) for path in sorted((folder / NETWORKS).glob("*/"))]}


def _passes(networks: list[Network], quality: str) -> list[tuple[Network, float, bool]]:
    """The network of each pass, the power put on the grey levels, and whether the scan is flipped."""
    if quality == "best":
        return [(network, *look) for network in networks for look in PASSES[quality]]
    # a second network costs no pass where it takes over one of the first
    return [(networks[i % len(networks)], *look) for i, look in enumerate(PASSES[quality])]
