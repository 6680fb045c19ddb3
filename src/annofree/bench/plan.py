"""The plan of a comparison: a YAML file, checked whole before anything runs, and where its parts lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from annofree.bench.lines import Lines
from annofree.errors import AnnofreeError, InputError
from annofree.formats.bids_names import bids_label
from annofree.formats.network_folder import text_hash
from annofree.formats.outfolder import write_json
from annofree.formats.standing import refuse_filled
from annofree.pipeline import Choice, ready_to_fit
from annofree.settings import Settings

if TYPE_CHECKING:
    from annofree.methods.base import Method

#: The plain rule that every comparison has, whether the plan names it or not.
PLAIN = "intensity-published"
OWN, NONE, ORACLE = "own", "none", "oracle"


class Phantoms(Settings):
    """A made cohort, written by the run (`annofree.phantom.write_cohort`)."""

    n: int = Field(24, ge=2)
    seed: int = 0
    spacing_mm: float = Field(2.0, ge=0.5, le=6)
    healthy_fraction: float = Field(0.0, ge=0, lt=1)


class Data(Settings):
    """Scans with their truth.

    Attributes:
        name: In tables.
        scans: A cohort's folder.
        truth: A folder with a label map for each.
        phantoms: A made cohort instead of both.
        reports: Texts: the row "region of the report" needs them; phantoms have theirs.
        brain_mask: Name pattern of brain masks beside the scans.
        sequence: The one sequence to take.
    """

    name: str
    scans: Path | None = None
    truth: Path | None = None
    phantoms: Phantoms | None = None
    reports: Path | None = None
    brain_mask: str | None = None
    sequence: str | None = None


class Fit(Settings):
    """What a method is fitted on before it is compared; masks are not among it."""

    healthy: Path | None = None
    patients: Path | None = None
    reports: Path | None = None
    brain_mask: str | None = None
    patients_mask: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)


class Contender(Settings):
    """A method of the comparison.

    Attributes:
        method: Name of a shipped method, or of one to fit.
        model: A model folder instead.
        label: In tables; by default the method's name.
        set: Settings of the run, by name.
        fit: Fit it first.
    """

    method: str | None = None
    model: Path | None = None
    label: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)
    fit: Fit | None = None

    @property
    def name(self) -> str:
        """In tables."""
        return self.label or self.method or Path(str(self.model)).name

    def choice(self, options: Mapping[str, Any] | None = None) -> Choice:
        """The method or model, with settings of the run."""
        return Choice(self.method, None if self.model is None else str(self.model.absolute()), options=options)


class Plan(Settings):
    """Everything to compare.

    Attributes:
        data: On what.
        methods: What.
        thresholds: For the whole tumour: "own", "oracle" (beside the table, tier T3), or forms such as "fixed:0.4".
        refiners: Of the whole tumour: "own", "none", or chains such as "fill-holes + components:26,min_ml=0.5".
        curve: Whether to draw how Dice hangs on a fixed threshold, UB and SB with it (tier T3).
    """

    data: tuple[Data, ...] = Field(min_length=1)
    methods: tuple[Contender, ...] = Field(min_length=1)
    thresholds: tuple[str, ...] = Field((OWN,), min_length=1)
    refiners: tuple[str, ...] = Field((OWN,), min_length=1)
    curve: bool = True

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """The methods, and the plain rule where they lack it."""
        plain = any(one.method == PLAIN and not one.set and not one.fit for one in self.methods)
        return self.methods if plain else (*self.methods, Contender(method=PLAIN))

    @property
    def cells(self) -> tuple[tuple[str, str], ...]:
        """Thresholds and refiners that make masks."""
        cuts = [threshold for threshold in dict.fromkeys((OWN, *self.thresholds)) if threshold != ORACLE]
        chains = dict.fromkeys((OWN, *self.refiners))
        return tuple((cut, chain) for cut in cuts for chain in chains)


def read_plan(path: str | Path) -> Plan:
    """Read and check a plan: names, folders, rules and models; nothing is computed and no image read.

    Relative paths are relative to the folder that the command is called in.

    Raises:
        InputError: Something cannot work; the message names the line of the file.
    """
    lines = Lines.read(path)
    content = lines.content
    if not isinstance(content, Mapping):
        raise lines.error((), "The plan is no mapping", fix="Begin with 'data:' and 'methods:'")
    _check_keys(lines, (), content, Plan)
    for kind, entry in (("data", Data), ("methods", Contender)):
        if not isinstance(content.get(kind), list) or not content[kind]:
            raise lines.error((kind,), f"The plan has no list of {kind}", fix=f"Name at least one under '{kind}:'")
        for number, values in enumerate(content[kind]):
            where = (kind, number)
            if not isinstance(values, Mapping):
                raise lines.error(where, f"An entry of {kind} is no mapping", fix="Write 'name: value' lines")
            _check_keys(lines, where, values, entry)
            for inner, settings in (("phantoms", Phantoms), ("fit", Fit)):
                if isinstance(values.get(inner), Mapping):
                    _check_keys(lines, (*where, inner), values[inner], settings)
                    _build(lines, (*where, inner), settings, values[inner])
            _build(lines, where, entry, values)
    plan: Plan = _build(lines, (), Plan, content)
    for number, data in enumerate(plan.data):
        _check_data(lines, ("data", number), data)
    found = [_check_method(lines, ("methods", number), one) for number, one in enumerate(plan.methods)]
    for kind, names in (("data", [d.name for d in plan.data]), ("methods", [m.name for m in plan.methods])):
        for number, name in enumerate(names):
            if name in names[:number]:
                fix = "Give each a label of its own" if kind == "methods" else "Give each a name of its own"
                raise lines.error((kind, number), f"Two entries of {kind} are called '{name}'", fix=fix)
    _check_rules(lines, plan, [one for one in found if one.name != PLAIN])
    return plan


def _check_keys(lines: Lines, where: tuple[Any, ...], values: Mapping[Any, Any], settings: type[Settings]) -> None:
    """Before anything else: a word that means nothing hides what is missing, and the plan's own words say it best."""
    for key in values:
        if key not in settings.model_fields:
            known = ", ".join(settings.model_fields)
            raise lines.error((*where, key), f"'{key}' means nothing there", fix=f"Known: {known}")


def _build(lines: Lines, where: tuple[Any, ...], settings: type[Any], values: Mapping[str, Any]) -> Any:
    named = {str(key): value for key, value in values.items()}
    try:
        return settings(**named)
    except AnnofreeError as error:
        key = next((key for key in named if re.search(rf"'{re.escape(key)}['.]", error.what)), None)
        raise lines.error(where if key is None else (*where, key), str(error).rstrip(".")) from None


def _check_folders(lines: Lines, where: tuple[Any, ...], folders: Mapping[str, Path | None]) -> None:
    for key, folder in folders.items():
        if folder is not None and not folder.exists():
            raise lines.error((*where, key), f"There is no folder '{folder}'", fix="Check the path")


def _check_data(lines: Lines, where: tuple[Any, ...], data: Data) -> None:
    _check_folders(lines, where, {"scans": data.scans, "truth": data.truth, "reports": data.reports})
    if data.phantoms is None and (data.scans is None or data.truth is None):
        raise lines.error(where, f"'{data.name}' needs scans and truth", fix="Name both folders, or 'phantoms:'")
    if data.phantoms is not None and (data.scans is not None or data.truth is not None):
        raise lines.error(where, f"'{data.name}' has both phantoms and folders", fix="Give one of the two")
    if data.scans is not None:
        from annofree.formats import open_cohort

        with lines.at(*where, "scans"):
            open_cohort(data.scans, reports=data.reports, brain_mask=data.brain_mask, sequence=data.sequence)


def _check_method(lines: Lines, where: tuple[Any, ...], one: Contender) -> Method:
    """The method as it is loaded or before its fit; whatever that would refuse is refused here."""
    if (one.method is None) == (one.model is None):
        raise lines.error(where, "An entry of methods needs either 'method' or 'model'", fix="Give one of the two")
    from annofree import methods

    key = (*where, "model" if one.method is None else "method")
    try:
        if one.method is not None:
            methods.info(one.method)
        if one.fit is not None:
            if one.method is None:
                raise InputError("A model folder is fitted already", fix="Leave 'fit' out, or name a method")
            key = (*where, "fit")
            folders = {"healthy": one.fit.healthy, "patients": one.fit.patients, "reports": one.fit.reports}
            _check_folders(lines, key, folders)
            return ready_to_fit(one.method, one.fit.set, **one.fit.model_dump(exclude={"set"}))[0]
        key = (*where, "set") if one.set and _loads(one) else key
        return one.choice(one.set).build()
    except AnnofreeError as error:
        if isinstance(error, InputError) and str(lines.path) in str(error.file):
            raise
        raise lines.error(key, str(error).rstrip(".")) from None


def _loads(one: Contender) -> bool:
    """Whether the method is there without its settings, so that a refusal is about those."""
    try:
        one.choice().build()
    except AnnofreeError:
        return False
    return True


def _check_rules(lines: Lines, plan: Plan, compared: Sequence[Method]) -> None:
    import numpy as np

    from annofree.methods.decide import refuse_impossible
    from annofree.refine import parse_chain
    from annofree.thresholds import parse

    anything = np.linspace(0, 1, 64, dtype=np.float32).reshape(4, 4, 4)

    def read_threshold(text: str, words: tuple[str, ...]) -> None:
        rule = parse(text, words)
        with suppress(InputError):  # of these scores; a SettingsError says that the rule has not learned its value
            rule.value_for(anything, anything >= 0)
        for method in compared:
            refuse_impossible(rule, f"WT by '{method.name}'", method.unit)

    for kind, texts, words, read in (
        ("thresholds", plan.thresholds, (OWN, ORACLE), read_threshold),
        ("refiners", plan.refiners, (OWN, NONE), parse_chain),
    ):
        for number, text in enumerate(texts):
            with lines.at(kind, number):
                if text not in words:
                    read(text, words)


MARK = "bench.json"


@dataclass(frozen=True)
class Folders:
    """Below the output folder of a comparison."""

    out: Path

    @classmethod
    def claim(cls, out: str | Path) -> Folders:
        """Take an output folder: it must be absent, empty, or hold a comparison.

        Raises:
            OutputError: It holds something else.
        """
        root = Path(out)
        mark = root / MARK
        if not mark.is_file():
            refuse_filled(root, "folder for the comparison")
            write_json(mark, {"made by": "annofree bench"})
        return cls(root.absolute())

    def phantoms(self, data: Data) -> Path:
        """A made cohort."""
        return self.out / "data" / _named(data.name, data.phantoms)

    def model(self, one: Contender) -> Path:
        """A model that the plan has fitted."""
        return self.out / "models" / _named(one.name, one.method, one.fit)

    def run(self, data: Data, one: Contender) -> Path:
        """The answers of a method by its own rules."""
        return self.out / "runs" / _named(data.name, data) / _named(one.name, one)

    def cell(self, data: Data, one: Contender, threshold: str, refiners: str) -> Path:
        """The same under other rules."""
        if (threshold, refiners) == (OWN, OWN):
            return self.run(data, one)
        own = self.run(data, one)
        return own.with_name(f"{own.name}-{_named('rules', threshold, refiners)}")


def _named(name: str, *what: Any) -> str:
    told = [one.model_dump(mode="json") if hasattr(one, "model_dump") else one for one in what]
    return f"{bids_label(name)}-{text_hash(*told)[:8]}"
