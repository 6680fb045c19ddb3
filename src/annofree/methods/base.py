"""What every method is: a frozen value that scores, segments, saves and loads; fitting gives a new one."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, cast

from numpy.typing import NDArray

from annofree.errors import InputError, SettingsError
from annofree.intensity import without_extremes
from annofree.methods.decide import Decision, Rules, Scored, decide, doubted, refuse_impossible, set_on
from annofree.methods.model_folder import CARD, CONFIG, FORM, read_model
from annofree.prepare.brain import brain_of
from annofree.processes import side_by_side
from annofree.refine import REFINERS
from annofree.refine.base import Refiner
from annofree.scan import Cohort, Modality, Scan, learning, scoring
from annofree.segmentation import Lesion, Segmentation, Unit, told_of
from annofree.settings import Settings
from annofree.thresholds.base import Fittable, Threshold, worst_tier
from annofree.trust.calibrations import rules_fingerprint
from annofree.trust.expectation import CHANGED, UNKNOWN, Expectation, Expected
from annofree.trust.false_alarms import FalseAlarms, Finding, uncalibrated
from annofree.version import VERSION

_Learn = TypeVar("_Learn", bound=Callable[..., Any])


def _guarded(function: _Learn) -> _Learn:
    @wraps(function)
    def call(self: Any, *args: Any, **keywords: Any) -> Any:
        fits = function.__name__ == "fit"
        if fits:
            self.check_fit(keywords.get("healthy"), keywords.get("patients"))
        with scoring("a fit of tier S") if self.learned_tier == "S" and fits else learning():
            return function(self, *args, **keywords)

    return cast(_Learn, call)


def _prepared(score: Callable[..., Scored]) -> Callable[..., Scored]:
    @wraps(score)
    def call(self: Any, scan: Scan) -> Scored:
        with learning():
            return score(self, self.prepared(scan))

    return call


class Method(ABC):
    """Base of all methods: a value that never changes.

    A subclass gives `score` and `default_rules`; it may give `fit`, `brain`, and weights of its own, whose attributes
    it names in `learned`. Whatever changes a method gives a new one: `fit`, `calibrate`, `replace`.

    Attributes:
        name: Name on the command line, in Python and in YAML.
        unit: Of the scores, where a threshold in another unit can be refused before anything is computed.
        needs: Sequences that must be present.
        settings_class: The settings, frozen.
        run_settings: Settings that a run may change; all others belong to the fit.
        learned: Attributes that a fit fills, None before.
        settings: The settings.
        rules: Thresholds and refiners per region.
        card: What the model learned from; written to `card.json`.
        device: Where networks compute: "cpu", "cuda", "cuda:1", "coreml".
        false_alarms: What the model finds in tumour-free scans, where it was calibrated.
        expectation: What its answers are worth on made tumours, where that was learned.
        device_note: A sentence where that is not what was asked for.
    """

    name: ClassVar[str]
    unit: ClassVar[Unit | None] = None
    needs: ClassVar[tuple[Modality, ...]] = ()
    settings_class: ClassVar[type[Settings]] = Settings
    run_settings: ClassVar[frozenset[str]] = frozenset()
    learned: ClassVar[tuple[str, ...]] = ()

    settings: Any
    rules: Rules
    card: dict[str, Any]
    device: str
    device_note: str | None
    false_alarms: FalseAlarms | None
    expectation: Expectation | None

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        if settings is not None and options:
            raise InputError("Give either a settings object or single options, not both")
        state = {"settings": settings or self.settings_class(**options), "card": {}, "device": "cpu"}
        state["device_note"] = state["false_alarms"] = state["expectation"] = None
        self.__dict__.update(state, **dict.fromkeys(self.learned))
        self.__dict__["rules"] = self.default_rules()

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Forbid truth while a method learns or scores, unless masks are what it openly learns from (tier S)."""
        super().__init_subclass__(**keywords)
        for name, wrap in (("fit", _guarded), ("calibrate", _guarded), ("score", _prepared)):
            function = cls.__dict__.get(name)
            if function is not None and not getattr(function, "__isabstractmethod__", False):
                setattr(cls, name, wrap(function))

    def __setattr__(self, name: str, value: Any) -> None:
        raise SettingsError(f"A method is a value: '{name}' cannot be set", fix=f"Write method.replace({name}=...)")

    @property
    def thresholds(self) -> Mapping[str, Threshold]:
        """One per region."""
        return self.rules.thresholds

    @property
    def refiners(self) -> Mapping[str, tuple[Refiner, ...]]:
        """Refiners per region, in order."""
        return self.rules.refiners

    @property
    def learned_tier(self) -> str:
        """Supervision tier of what was learned."""
        return "T0"

    @property
    def tier(self) -> str:
        """The worst tier of anything that was chosen: fit or thresholds."""
        return self.tier_with(self.rules)

    def tier_with(self, rules: Rules) -> str:
        """The tier that results have under other rules."""
        return worst_tier([self.learned_tier, *(threshold.tier for threshold in rules.thresholds.values())])

    def replace(self, **changes: Any) -> Self:
        """This method with something else: run settings, `thresholds` or `refiners` of some regions, `device`.

        Raises:
            SettingsError: A setting does not exist, or belongs to the fit; or no score can reach a threshold.

        Example:
            >>> from annofree.methods.intensity import Intensity
            >>> Intensity().replace(sequence="T2").settings.sequence
            <Modality.T2: 'T2'>
        """
        rules = {name: changes.pop(name) for name in ("thresholds", "refiners") if name in changes}
        for region, rule in rules.get("thresholds", {}).items():
            refuse_impossible(rule, region, self.unit)
        if rules:
            changes["rules"] = changes.get("rules", self.rules).replace(**rules)
        options = {name: value for name, value in changes.items() if name not in self.__dict__}
        if options:
            changes["settings"] = self._with_run_settings(changes.get("settings", self.settings), options)
        new = copy.copy(self)
        new.__dict__.update({name: value for name, value in changes.items() if name not in options})
        return new

    def _with_run_settings(self, settings: Settings, options: Mapping[str, Any]) -> Settings:
        changed = settings.replace(**options)
        allowed = ", ".join(sorted(self.run_settings)) or "nothing"
        for name in options:
            if name not in self.run_settings and getattr(changed, name) != getattr(settings, name):
                raise SettingsError(
                    f"'{name}' of '{self.name}' is decided when the model is fitted, not when it runs",
                    why=f"this one was fitted with {name}={getattr(settings, name)}; a run may change {allowed}",
                    fix=f"Fit a model of your own: annofree fit {self.name} --set {name}={options[name]} -o MODEL",
                )
        return changed

    def on(self, wanted: str) -> Self:
        """This method with its networks on a device; on the processor, with a note, where that one is not at hand.

        Raises:
            SettingsError: It is none of "auto", "cpu", "cuda", "cuda:1" and "mps".
        """
        from annofree.inference.network import placed

        networks = {name: getattr(self, name) for name in self.learned if name.startswith(("network", "thresholder"))}
        moved, device, note = placed(networks, wanted)
        if device is None:
            asked = wanted not in ("auto", "cpu")
            note = f"The method '{self.name}' has no network: the processor computes." if asked else None
        return self.replace(**moved, device=device or "cpu", device_note=note)

    @abstractmethod
    def default_rules(self) -> Rules:
        """Thresholds and refiners before any fit, by the settings."""

    @abstractmethod
    def score(self, scan: Scan) -> Scored:
        """Score maps on one grid, and the rules that are to decide on them.

        The scan has the sequences that the method needs, and in `scan.brain` where the method looks.
        """

    def brain(self, scan: Scan) -> NDArray[Any]:
        """Where the method looks, (X, Y, Z) boolean: the scan's brain mask or its foreground.

        Raises:
            InputError: There is none.
        """
        return brain_of(scan)

    def prepared(self, scan: Scan) -> Scan:
        """The scan as `score` gets it.

        Raises:
            MissingSequence: The scan lacks a sequence that the method needs.
            InputError: It has no brain.
        """
        scan.require(*self.needs, why=f"method '{self.name}'")
        brain = self.brain(scan)
        if not brain.any():
            return scan.replace(brain=brain)
        images = side_by_side(lambda image: without_extremes(image, brain), scan.images.values())
        return scan.replace(brain=brain, images=dict(zip(scan.images, images, strict=True)))

    @_guarded
    def fit(
        self, *, healthy: Cohort | None = None, patients: Cohort | None = None, workspace: Path | None = None
    ) -> Self:
        """A method that has learned; by default, thresholds from healthy scans.

        Args:
            healthy: Healthy scans.
            patients: Patients' scans, without masks.
            workspace: Folder in which a long fit keeps checkpoints and artefacts; a stopped fit goes on from there.
        """
        return self if healthy is None else self.calibrate(healthy)

    @property
    def fit_mb(self) -> int:
        """Disk space that a fit may take while it runs, megabytes."""
        return 20

    @property
    def brings_material(self) -> bool:
        """Whether the settings name what to learn from, so that a fit needs no scans beside."""
        return False

    def check_fit(self, healthy: Cohort | None, patients: Cohort | None) -> None:
        """Refuse by an `InputError`, before anything is learned or read, scans that cannot suffice."""
        if healthy is not None and healthy.ids:
            needed = max((r.needed_scans for r in self.thresholds.values() if isinstance(r, Fittable)), default=1)
            self.require_healthy(healthy, needed)

    def require_healthy(self, healthy: Cohort, needed: int) -> None:
        """Refuse too few healthy scans by an `InputError`."""
        if len(healthy) < needed:
            raise InputError(
                f"The threshold of '{self.name}' needs at least {needed} healthy scans",
                why=f"{len(healthy)} were given",
                fix="Give more healthy scans",
            )

    @_guarded
    def calibrate(self, healthy: Cohort) -> Self:
        """A method whose thresholds have learned from healthy scans, those that do."""
        seen: set[str] = set()

        def scores(region: str) -> Any:
            for scan in map(self.prepared, healthy):
                scored = self.score(scan)
                seen.add(scored.looked_at)
                yield scored.healthy(scan, region)

        fitted = {
            region: rule.fit(scores(region)) for region, rule in self.thresholds.items() if isinstance(rule, Fittable)
        }
        return self.replace(thresholds=fitted, card={"healthy": list(healthy.ids), **self.card, **set_on(seen)})

    def segment(self, scan: Scan) -> Segmentation:
        """Score and decide.

        Raises:
            MissingSequence: The scan lacks a sequence that the method needs.
        """
        with learning():
            scan = self.prepared(scan)
            score = type(self).score
            scored = getattr(score, "__wrapped__", score)(self, scan)  # which would prepare the scan again
            scored = doubted(scored, self.card, self.thresholds["WT"])
            decision = decide(scored, scan)
        assert scan.native is not None
        return Segmentation(
            scan_id=scan.id,
            labels=decision.labels,
            affine=scan.affine,
            native=scan.native,
            regions=decision.regions,
            scores=scored.scores,
            thresholds=decision.thresholds,
            brain=scan.brain,
            provenance=self.provenance(scan, scored, decision),
        )

    def classify(self, lesions: Iterable[Lesion], rate: float) -> Finding:
        """Whether lesions found in a scan mean a tumour, where so large a share of tumour-free scans may be called."""
        known = self.false_alarms
        return known.classify(lesions, rate) if known and known.rules == self.deciding else uncalibrated(lesions)

    def expect(self, result: Segmentation, scan: Scan) -> Expected:
        """What an answer, its lesions told, is probably worth, where the model was compared with made tumours."""
        known = self.expectation
        if known is None or known.rules != self.deciding:
            return UNKNOWN if known is None else CHANGED
        from annofree.trust.marks import marks_of, sequences_of

        return known.expect(marks_of(result, scan), sequences_of(scan))

    @property
    def deciding(self) -> str:
        """A fingerprint of what decides beside the weights."""
        told = self.settings.model_dump(mode="json")
        return rules_fingerprint({name: told[name] for name in sorted(self.run_settings)}, self.rules.to_dict())

    def describe(self) -> dict[str, Any]:
        """Everything that decides a result, as data: settings, thresholds, refiners, the model's card."""
        return {
            "method": self.name,
            "tier": self.tier,
            "device": self.device,
            "settings": self.settings.model_dump(mode="json"),
            **self.rules.to_dict(),
            "model": self.card,
        }

    def provenance(self, scan: Scan, scored: Scored, decision: Decision) -> dict[str, Any]:
        """What was done, for the record beside every result."""
        rules = scored.rules.to_dict()
        return {
            "annofree": VERSION,
            "form": FORM,
            **told_of(scan),
            "notes": [*scan.notes, *decision.notes, *((self.device_note,) if self.device_note else ())],
            "scan notes": list(scan.notes),
            **self.describe(),
            "tier": self.tier_with(scored.rules),
            "learned tier": self.learned_tier,
            "thresholds": {region: threshold.to_dict() for region, threshold in decision.thresholds.items()},
            "rules": rules["thresholds"],
            "refiners": rules["refiners"],
            "score notes": list(scored.notes),
            "agreement": scored.agreement,
            "guessed_ml": decision.guessed_ml,
        }

    def save(self, folder: str | Path) -> Path:
        """Write the fitted model: `config.yaml`, `card.json` and, where there are weights, their files."""
        import yaml

        from annofree.formats.outfolder import atomic_write, write_json

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {"form": FORM, **self.describe()}
        del config["device"]  # of the machine, not of the model
        card = {"method": self.name, "tier": self.tier, **config.pop("model")}
        self.save_weights(folder)
        write_json(folder / CARD, card)
        # last, as it is what makes the folder a model
        atomic_write(folder / CONFIG, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model that `save` wrote.

        Raises:
            InputError: The folder is no model folder, or of a newer form.
            SettingsError: It holds a setting, threshold or refiner that does not exist.
        """
        config, card = read_model(folder)
        config = cls.migrated(config)
        method = cls(cls.settings_class(**config["settings"]))
        gone = {rule.get("kind") for chain in config["refiners"].values() for rule in chain} & REFINERS.gone.keys()
        if gone:
            card = {**card, "refiners left out": {name: REFINERS.gone[name] for name in sorted(gone)}}
        known = {"false_alarms": FalseAlarms.read(folder), "expectation": Expectation.read(folder)}
        method = method.replace(rules=Rules.from_dict(config), card=card, **known)
        return method.replace(**method.load_weights(Path(folder)))

    @classmethod
    def migrated(cls, config: dict[str, Any]) -> dict[str, Any]:
        """A configuration of an older form as one of today's."""
        return config

    def save_weights(self, folder: Path) -> None:
        """Write the weights; methods without any have nothing to write."""

    def load_weights(self, folder: Path) -> dict[str, Any]:
        """The attributes of `learned` from what `save_weights` wrote; `self` has settings, rules and card already."""
        return {}
