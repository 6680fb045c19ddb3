"""What every method is: something that fits, scores, segments, saves and loads."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.methods.decide import Decision, decide
from annofree.prepare.brain import brain_of
from annofree.refine import from_dict as refiner_from_dict
from annofree.refine.base import Refiner
from annofree.scan import Cohort, Modality, Scan, learning, scoring
from annofree.segmentation import ScoreMap, Segmentation
from annofree.settings import Settings
from annofree.thresholds import from_dict as threshold_from_dict
from annofree.thresholds.base import HealthyScores, Threshold, worst_tier

CARD = "card.json"
CONFIG = "config.yaml"


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(self: Any, *args: Any, **keywords: Any) -> Any:
        with scoring("a fit of tier S") if self.learned_tier == "S" and function.__name__ == "fit" else learning():
            return function(self, *args, **keywords)

    return call


class Method(ABC):
    """Base of all methods.

    A subclass gives `score`; it may give `fit`, `brain` and weights of its own. Thresholds and refiners are data on
    the instance, so that a user can print, swap and save them.

    Attributes:
        name: Name on the command line, in Python and in YAML.
        regions: Regions that the method tells apart, outermost first.
        needs: Sequences that must be present.
        settings: The frozen settings.
        thresholds: One per region.
        refiners: Refiners per region, in order.
        tier: Supervision tier of what was learned; the worst of the fit and the thresholds is printed.
        card: What the model learned from; written to `card.json`.
        workspace: Folder in which a long fit may keep checkpoints and artefacts; None keeps nothing.
    """

    name: ClassVar[str]
    regions: ClassVar[tuple[str, ...]] = ("WT",)
    needs: ClassVar[tuple[Modality, ...]] = ()
    settings_class: ClassVar[type[Settings]] = Settings
    learned_tier: ClassVar[str] = "T0"

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        if settings is not None and options:
            raise InputError("Give either a settings object or single options, not both")
        self.settings = settings if settings is not None else self.settings_class(**options)
        self.thresholds: dict[str, Threshold] = {}
        self.refiners: dict[str, tuple[Refiner, ...]] = {}
        self.card: dict[str, Any] = {}
        self.workspace: Path | None = None

    @property
    def tier(self) -> str:
        """The worst tier of anything that was chosen: fit or thresholds."""
        return worst_tier([self.learned_tier, *(threshold.tier for threshold in self.thresholds.values())])

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Forbid truth while a method learns or segments, unless masks are what it openly learns from (tier S)."""
        super().__init_subclass__(**keywords)
        for name in ("fit", "segment", "score", "calibrate"):
            function = cls.__dict__.get(name)
            if function is not None:
                setattr(cls, name, _guarded(function))

    def with_options(self, **options: Any) -> Self:
        """This method with some settings changed; fitted thresholds, refiners and weights are kept."""
        values = {**self.settings.model_dump(), **options}
        self.settings = self.settings_class.from_mapping(values)
        return self

    @abstractmethod
    def score(self, scan: Scan) -> dict[str, ScoreMap]:
        """Score maps on the scan's grid, one per region of the method, and any further ones worth keeping."""

    def brain(self, scan: Scan) -> NDArray[np.bool_]:
        """Where the method looks: the scan's brain mask or its foreground.

        Raises:
            InputError: There is none.
        """
        return brain_of(scan)

    @_guarded
    def fit(self, *, healthy: Cohort | None = None, patients: Cohort | None = None) -> Self:
        """Learn what the method can learn; by default, thresholds from healthy scans."""
        if healthy is not None:
            self.calibrate(healthy)
        return self

    @_guarded
    def calibrate(self, healthy: Cohort) -> Self:
        """Fit those thresholds that learn from healthy scans."""
        for region, threshold in list(self.thresholds.items()):
            fit = getattr(threshold, "fit", None)
            if fit is not None:
                self.thresholds[region] = fit(
                    HealthyScores(scan.id, self.score(scan)[region].values, self.brain(scan), scan.voxel_ml)
                    for scan in healthy
                )
        self.card.setdefault("healthy", list(healthy.ids))
        return self

    @_guarded
    def segment(self, scan: Scan) -> Segmentation:
        """Score, threshold, refine.

        Raises:
            MissingSequence: The scan lacks a sequence that the method needs.
        """
        scan.require(*self.needs, why=f"method '{self.name}'")
        scores = self.score(scan)
        brain = self.brain(scan)
        decision = decide(
            scores, self.thresholds, self.refiners, brain=brain, spacing_mm=scan.spacing_mm, images=scan.images
        )
        assert scan.native is not None
        return Segmentation(
            scan_id=scan.id,
            labels=decision.labels,
            affine=scan.affine,
            native=scan.native,
            regions=self.regions,
            scores=scores,
            thresholds=decision.thresholds,
            brain=brain,
            provenance=self.provenance(scan, decision),
        )

    def describe(self) -> dict[str, Any]:
        """Everything that decides a result, as data: settings, thresholds, refiners, the model's card."""
        return {
            "method": self.name,
            "tier": self.tier,
            "settings": self.settings.model_dump(mode="json"),
            "thresholds": {region: t.to_dict() for region, t in self.thresholds.items()},
            "refiners": {region: [r.to_dict() for r in chain] for region, chain in self.refiners.items()},
            "model": self.card,
        }

    def provenance(self, scan: Scan, decision: Decision) -> dict[str, Any]:
        """What was done, for the record beside every result."""
        from annofree.version import VERSION

        return {
            "annofree": VERSION,
            "sequences": [str(s) for s in scan.sequences],
            "files": {name: str(Path(file).resolve()) for name, file in scan.files.items()},
            "notes": [*scan.notes, *decision.notes],
            **self.describe(),
            "thresholds": {region: threshold.to_dict() for region, threshold in decision.thresholds.items()},
            "rules": {region: threshold.to_dict() for region, threshold in self.thresholds.items()},
        }

    def save(self, folder: str | Path) -> Path:
        """Write the fitted model: `config.yaml`, `card.json` and, where there are weights, `model.safetensors`."""
        import yaml

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = self.describe()
        card = {"method": self.name, "tier": self.tier, **config.pop("model")}
        self.save_weights(folder)
        (folder / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        (folder / CARD).write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model that `save` wrote."""
        config, card = read_model(folder)
        method = cls(cls.settings_class.from_mapping(config["settings"]))
        method.thresholds = {region: threshold_from_dict(d) for region, d in config["thresholds"].items()}
        method.refiners = {region: tuple(refiner_from_dict(d) for d in c) for region, c in config["refiners"].items()}
        method.card = card
        method.load_weights(Path(folder))
        return method

    def save_weights(self, folder: Path) -> None:
        """Write `model.safetensors`; methods without weights have nothing to write."""

    def load_weights(self, folder: Path) -> None:
        """Read `model.safetensors`; methods without weights have nothing to read."""


def read_model(folder: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration and the card of a model folder.

    Raises:
        InputError: The folder is no model folder.
    """
    import yaml

    folder = Path(folder)
    try:
        config = yaml.safe_load((folder / CONFIG).read_text())
        card = json.loads((folder / CARD).read_text())
        if not isinstance(config, dict) or "method" not in config:
            raise ValueError("no method is named in it")
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(
            "This is not a model folder",
            file=folder,
            why=str(error).splitlines()[0],
            fix="Give the folder that 'annofree fit ... -o FOLDER' wrote",
        ) from None
    return config, card
