"""BLOGRR: the error of a denoising autoencoder, and a threshold on it that radiology reports teach (tier R).

Two ways to the threshold. "levels": a value from the quantiles of the scan's own error map, fitted to the reports of
patients; each of them is segmented with the rule that the others taught. "network": as published, a network that looks
at each slice, trained in turns with the autoencoder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, no_folder
from annofree.formats.outfolder import write_json
from annofree.inference.network import by_parts
from annofree.methods.blogrr.settings import BlogrrSettings
from annofree.methods.decide import SET_ON, Scored
from annofree.methods.reconstruction import DAE
from annofree.prepare.slices import framed, mni_alignment, pick_sequence, to_slices
from annofree.scan import Cohort, Modality, Scan, learning
from annofree.thresholds.base import Threshold
from annofree.thresholds.fixed import Fixed
from annofree.thresholds.healthy import HealthyQuantile
from annofree.thresholds.learned import Learned, ReportedScores

if TYPE_CHECKING:
    from annofree.inference import Network
    from annofree.methods.blogrr.levels import BilevelSettings, PatientStack
    from annofree.reports import AtlasRegions, RegionTable
    from annofree.thresholds.report_targets import ReportTarget

FOLDS = "folds.json"
#: Below this a threshold says nothing: it is less than a grey level of 8 bits.
_LEAST = 1.0 / 255.0


class Blogrr(DAE):
    """Denoising autoencoder with a threshold learned from reports (tier R)."""

    name: ClassVar[str] = "blogrr"
    settings_class = BlogrrSettings
    settings: BlogrrSettings
    learned: ClassVar[tuple[str, ...]] = (*DAE.learned, "thresholder", "folds")
    folders: ClassVar[dict[str, str]] = {"network": "network", "thresholder": "threshold"}
    thresholder: Network | None
    folds: dict[str, Learned] | None

    @property
    def learned_tier(self) -> str:
        """Reports teach it."""
        return "R"

    @property
    def fit_mb(self) -> int:
        """As of the reconstructor; ResNet-18 comes on top where published."""
        return super().fit_mb + (700 if self.settings.by_network and self.settings.preset == "published" else 0)

    def check_fit(self, healthy: Cohort | None, patients: Cohort | None) -> None:
        """At least one patient's report must name a tumour; texts, atlas and tables are read, and no scan.

        Raises:
            InputError: None does, there are too few healthy scans, or a file that a setting names cannot be used.
        """
        from annofree.reports import read_report

        super().check_fit(healthy, patients)
        watched = self.settings.monitor
        if watched not in (None, "phantoms") and not Path(watched).is_dir():
            raise no_folder(watched, "Check --set monitor", "to monitor")
        self._regions()
        if patients is None or not patients.ids:
            return
        texts = {scan_id: patients.report(scan_id) for scan_id in patients.ids}
        told = {scan_id: text for scan_id, text in texts.items() if text}
        if not any(read_report(text, id=scan_id).lesions for scan_id, text in told.items()):
            raise InputError(
                "No patient's report names a tumour",
                why=f"{len(told)} of {len(texts)} patients have a report"
                + (f"; that of '{next(iter(told))}' was read without finding one" if told else ""),
                fix="Name the folder of the texts with --reports; 'annofree reports' shows how each is understood",
            )

    def fit(
        self, *, healthy: Cohort | None = None, patients: Cohort | None = None, workspace: Path | None = None
    ) -> Self:
        """Learn healthy slices, then the threshold from patients' reports.

        Without healthy scans, a network that is there already is kept. Patients whose report names no tumour are left
        out; without any, the threshold is the 99 % quantile of healthy errors.
        """
        learner = self
        if patients is None and self.settings.threshold == "network":
            why = "a threshold network learns from reports, and no patients with reports were given"
            fix = "Give --patients and --reports, or leave the setting out"
            raise InputError("threshold=network has nothing to learn from", why=why, fix=fix)
        if patients is not None and not self.settings.pretrains:
            learner = self.untrained(healthy)
        elif healthy is not None or self.network is None:
            learner = super(Blogrr, self.replace(thresholds={"WT": HealthyQuantile(quantile=0.99)})).fit(
                healthy=healthy, workspace=workspace
            )
        if patients is None:
            return learner
        apart = healthy if healthy is None or self.settings.by_network else healthy.subset(learner.card["healthy"])
        return learner.fit_threshold(patients, apart, workspace)

    def untrained(self, healthy: Cohort | None) -> Self:
        """This method with fresh weights, which the turns with the threshold network are to teach."""
        import torch

        from annofree.networks import build

        torch.manual_seed(self.settings.seed)
        learned_from = {
            "healthy scans": [] if healthy is None else list(healthy.ids),
            "made healthy brains": self.settings.made if healthy is None else 0,
            "steps before the turns": 0,
        }
        return self.with_network(build(self.network_settings()).eval(), learned_from)

    def fit_threshold(self, patients: Cohort, healthy: Cohort | None = None, workspace: Path | None = None) -> Self:
        """Learn the threshold alone, for the network that is there, from scans with reports.

        False findings in healthy scans that the network has not learned count too; for the threshold network they are
        slices to learn from.

        Raises:
            InputError: No report names a tumour.
        """
        with learning():
            seen = list(self._reported(patients))
            well = list(self._cut(healthy)) if healthy is not None else []
        ill = [p for p in seen if p.target is not None]
        card = {
            **self.card,
            "patients with reports": [p.slices.id for p in ill],
            "patients left out": [p.slices.id for p in seen if p.target is None],
            SET_ON: sorted({str(p.sequence) for p in (*ill, *well)}),
        }
        if self.settings.by_network:
            network, thresholder, form, kept = self._train_pair(ill, well, workspace)
            names = ("rounds", "lower_steps", "upper_steps", "batch", "lower_rate", "upper_rate", "loss", "dice")
            card["turns"] = {name: getattr(form, name) for name in (*names, "hypergradient", "keep")}
            card["turns"]["round kept"] = kept
            rule: Threshold = Fixed(value=1.0, tier="R", source="errors in multiples of the threshold network's value")
            return self.replace(network=network, thresholder=thresholder, thresholds={"WT": rule}, card=card)
        cases = [p.scores() for p in (*ill, *well)]
        rule = Learned().learn(cases)
        folds = Learned().cross_fit(cases) if len(ill) > 1 else {}
        return self.replace(thresholds={"WT": rule}, folds=folds, card=card)

    def score(self, scan: Scan) -> Scored:
        """As every reconstruction; a patient whose report was learned from gets the rule that the others taught."""
        scored = super().score(scan)
        fold = (self.folds or {}).get(scan.id)
        if fold is None or not isinstance(self.thresholds["WT"], Learned):
            return scored
        return replace(scored, rules=scored.rules.replace({"WT": fold}))

    def reconstruct(self, slices: Scan, sequence: Modality) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Error map, in multiples of the slice's threshold where a network gives one, and reconstruction."""
        error, healthy = super().reconstruct(slices, sequence)
        if self.thresholder is None:
            return error, healthy
        return (error / self.thresholds_of(slices.images[sequence], error)).astype(np.float32), healthy

    def thresholds_of(self, image: NDArray[np.float32], error: NDArray[np.float32]) -> NDArray[np.float32]:
        """The threshold network's value (N,) for each slice; one for all, their geometric mean, unless published.

        Image and error are (size, size, N).
        """
        assert self.thresholder is not None
        channels = [to_slices(image), to_slices(error)][: int(self.thresholder.settings.in_channels)]
        x = np.stack(channels, axis=1)
        found = np.maximum(by_parts(self.thresholder, x, together=16), _LEAST)
        if self.settings.preset == "published":
            return np.asarray(found, dtype=np.float32)
        weight = (image > 0).sum(axis=(0, 1)) + 1e-9
        one = np.exp((np.log(found) * weight).sum() / weight.sum())
        return np.full(len(found), one, dtype=np.float32)

    def save_weights(self, folder: Path) -> None:
        """Both networks, and each patient's rule."""
        super().save_weights(folder)
        if self.folds:
            write_json(folder / FOLDS, {name: rule.to_dict() for name, rule in self.folds.items()})

    def load_weights(self, folder: Path) -> dict[str, Any]:
        """Read what `save_weights` wrote."""
        from annofree.thresholds import from_dict

        found = super().load_weights(folder)
        if (folder / FOLDS).is_file():
            rules = json.loads((folder / FOLDS).read_text(encoding="utf-8"))
            found["folds"] = {name: from_dict(values) for name, values in rules.items()}
        return found

    def _cut(self, cohort: Cohort) -> Iterator[_Looked]:
        """Slices and error maps of scans without a report."""
        bare = self.replace(thresholder=None)
        for scan in cohort:
            sequence = pick_sequence(scan, self.settings.sequence)
            alone = scan.replace(images={sequence: scan.images[sequence]}, brain=self.brain(scan))
            slices = framed(alone, self.slices)
            error, _ = bare.reconstruct(slices, sequence)
            yield _Looked(slices, sequence, error, None)

    def _regions(self) -> tuple[AtlasRegions, RegionTable | None]:
        """What the words of reports are looked up in."""
        from annofree.reports import AtlasRegions, RegionTable

        own = self.settings
        regions = AtlasRegions.from_files(own.atlas, own.regions)
        table = None if own.region_table is None else RegionTable.load(own.region_table)
        if table is not None:
            table.check(regions)
        return regions, table

    def _reported(self, patients: Cohort) -> Iterator[_Looked]:
        from annofree.thresholds.report_targets import ReportTargetSettings, report_target

        regions, table = self._regions()
        wanted = ReportTargetSettings(use=self.settings.use)
        for scan in patients:
            if scan.report is None:
                continue
            looked = next(self._cut(Cohort.of([scan])))
            alignment = mni_alignment(scan.replace(brain=self.brain(scan)))
            target = report_target(looked.slices, regions, wanted, alignment=alignment, table=table)
            yield _Looked(looked.slices, looked.sequence, looked.error, target)

    def _train_pair(
        self, ill: list[_Looked], well: list[_Looked], workspace: Path | None
    ) -> tuple[Network, Network, BilevelSettings, int]:
        import tempfile

        import torch

        from annofree.inference.torch_network import TorchNetwork
        from annofree.methods.blogrr.bilevel import monitor_on, train_pair
        from annofree.methods.blogrr.levels import PatientSampler
        from annofree.methods.reconstruction.slice_samples import SliceSampler, Stack, made_stacks
        from annofree.networks import build, load_network

        if not ill:
            raise InputError(
                "No patient's report names a tumour",
                fix="Give patients with reports, or fit without a threshold network",
            )
        stacks = [Stack(p.slices.id, p.sequence, p.levels()) for p in well]
        stacks += made_stacks(self.settings.labelmaps, 0 if well else self.settings.made, self.slices)
        torch.manual_seed(self.settings.seed)
        thresholder = build(self.settings.threshold_network())  # type: ignore[arg-type]
        if self.settings.preset != "published":
            errors = [p.error[p.brain] for p in (well or ill)]
            start = float(np.quantile(np.concatenate(errors), 0.99 if well else 0.95))
            thresholder.start_at(float(np.clip(start, _LEAST, 0.9)))  # type: ignore[operator]
        assert self.network is not None
        known = [p.stack() for p in ill]
        counts = (sum(len(held.levels) for held in group) for group in (stacks, known))
        form = self.settings.bilevel(self.error(ill[0].sequence), *counts)
        with tempfile.TemporaryDirectory() as temporary:
            folder = (workspace or Path(temporary)) / "bilevel"
            kept = train_pair(
                self.network.module(),
                thresholder,
                SliceSampler(stacks, noise=self.denoises, seed=self.settings.seed),
                PatientSampler(known, seed=self.settings.seed),
                folder,
                settings=form,
                monitor=monitor_on(self, self.settings.monitor),
            )
            trained = (TorchNetwork(load_network(folder / name)[0]) for name in ("reconstructor", "threshold"))
            return next(trained), next(trained), form, kept


@dataclass(frozen=True, eq=False)
class _Looked:
    """A scan cut to slices, its error map and what its report says, all on the slices' grid."""

    slices: Scan
    sequence: Modality
    error: NDArray[np.float32]
    target: ReportTarget | None

    @property
    def brain(self) -> NDArray[np.bool_]:
        return self.slices.foreground()

    def scores(self) -> ReportedScores:
        return ReportedScores(self.slices.id, self.error, self.brain, self.slices.voxel_ml, self.target)

    def levels(self) -> NDArray[np.uint8]:
        return to_slices(np.round(self.slices.images[self.sequence] * 255.0).astype(np.uint8))

    def stack(self) -> PatientStack:
        from annofree.methods.blogrr.levels import PatientStack
        from annofree.thresholds.report_losses import soft_target

        assert self.target is not None
        soft = soft_target(self.error, self.brain, self.target, self.slices.voxel_ml)
        target, outside = to_slices(np.round(soft * 255.0).astype(np.uint8)), to_slices(self.target.outside)
        return PatientStack(self.slices.id, self.levels(), target, outside)
