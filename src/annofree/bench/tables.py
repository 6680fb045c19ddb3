"""A comparison as tables: one row a method, rules and region; one row a case; and Markdown for the docs."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan
from typing import Any

import numpy as np

from annofree.bench.plan import OWN, PLAIN
from annofree.bench.results import Bench, Entry, Group
from annofree.bench.scores import values_of
from annofree.formats.outfolder import atomic_write, write_table
from annofree.metrics.statistics import Comparison, bootstrap_interval, compare

COLUMNS = (
    "data", "kind", "method", "threshold", "refiners", "tier", "region", "n", "without_answer", "dice", "dice_low",
    "dice_high", "lesionwise_dice", "hd95_mm", "minus_plain", "minus_plain_low", "minus_plain_high",
    "larger_than_plain", "p_holm", "seconds", "peak_gb",
)  # fmt: skip
_INNER = ("method", "region", "n", "dice", "lesionwise_dice", "hd95_mm")
_METRICS = ("dice", "lesionwise_dice", "hd95_mm")


def write_tables(result: Bench) -> None:
    """Write `bench.tsv`, `cases.tsv` and `bench.md`."""
    rows = [row for group in result.groups for row in rows_of(group, oracles=result.oracles)]
    write_table(result.out / "bench.tsv", rows, COLUMNS)
    write_table(result.out / "cases.tsv", _case_rows(result))
    atomic_write(result.out / "bench.md", markdown(result, rows))


def rows_of(group: Group, *, oracles: bool) -> list[dict[str, Any]]:
    """All rows of one kind of data: methods, then what learned from these scans, oracles and sanity rows apart."""
    against = _against_plain(group)
    rows = [
        _method_row(group, entry, region, against.get(entry.title) if region == "WT" else None)
        for entry in group.entries
        for region in dict.fromkeys(region for case in entry.scores.cases for region in case.regions)
    ]
    rows.sort(key=lambda row: row["kind"] == "transductive")
    if oracles:
        rows += [row for entry in group.entries if entry.own for row in _oracle_rows(group, entry)]
    means: dict[tuple[str, str], dict[str, Any]] = {}
    for sane in group.sanity:
        row = means.setdefault(
            (sane.prediction, sane.region),
            {"data": group.name, "kind": "sanity", "method": sane.prediction, "region": sane.region, "n": sane.n},
        )
        row["tier"] = {"shuffled truth": "T3", "region of the report": "R"}.get(sane.prediction, "T0")
        row[sane.metric] = sane.mean
    return [*rows, *means.values()]


def _against_plain(group: Group) -> dict[str, Comparison]:
    """Whole tumour Dice of each entry less that of the plain rule, over the cases that both have."""
    plain = group.plain
    others = {entry.title: entry.scores.cases for entry in group.entries if entry is not plain}
    if plain is None or not others:
        return {}
    found = compare(plain.scores.cases, others, rng=np.random.default_rng(0))
    return {row.name: row for row in found}


def _method_row(group: Group, entry: Entry, region: str, against: Comparison | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "data": group.name,
        "kind": "transductive" if entry.transductive else "method",
        "method": entry.name,
        "threshold": entry.threshold,
        "refiners": entry.refiners,
        "tier": entry.scores.tier,
        "region": region,
        "without_answer": group.missing(entry),
        "seconds": entry.cost.seconds if entry.own else None,
        "peak_gb": entry.cost.peak_gb if entry.own else None,
    }
    for metric in _METRICS:
        values = np.array(list(values_of(entry.scores.cases, metric, region).values()))
        known = values[~np.isnan(values)]
        row[metric] = float(known.mean()) if known.size else nan
        if metric == "dice":
            low, high = bootstrap_interval(values[:, None], rng=np.random.default_rng(0))
            row |= {"n": int(known.size), "dice_low": float(low[0]), "dice_high": float(high[0])}
    if against is not None:
        row |= {
            "minus_plain": against.difference,
            "minus_plain_low": against.low,
            "minus_plain_high": against.high,
            "larger_than_plain": f"{against.larger} of {against.n}",
            "p_holm": against.p_holm,
        }
    return row


def _oracle_rows(group: Group, entry: Entry) -> list[dict[str, Any]]:
    oracles = entry.scores.oracles
    if oracles is None:
        return []
    base = {"data": group.name, "kind": "oracle", "refiners": "none", "tier": "T3", "region": "WT"}
    names = {"best of all thresholds": oracles.best, "UB, best of ten": oracles.ub, "SB, second of ten": oracles.sb}
    return [
        {**base, "method": entry.name, "threshold": f"{name} ({value:.4g})", "dice": dice, "n": len(entry.scores.cases)}
        for name, (dice, value) in names.items()
    ]


def _case_rows(result: Bench) -> list[dict[str, Any]]:
    return [
        {"data": group.name, "method": entry.name, "threshold": entry.threshold, "refiners": entry.refiners}
        | {"case": case.case, "region": region}
        | {metric: case.value(metric, region) for metric in _METRICS}
        for group in result.groups
        for entry in group.entries
        for case in entry.scores.cases
        for region in case.regions
    ]


def markdown(result: Bench, rows: Sequence[dict[str, Any]]) -> str:
    """The table for the docs: a section a kind of data, each kind of row apart."""
    parts = []
    for group in result.groups:
        own = [row for row in rows if row["data"] == group.name]
        told = "whole tumour; in brackets 95 % bootstrap intervals over scans"
        parts.append(f"## {group.name}\n\n{len(group.ids)} scans; {told}.\n")
        parts.append(_whole([row for row in _of(own, "method") if row["region"] == "WT"]))
        inner = [
            row for row in _of(own, "method") if row["region"] != "WT" and {row["threshold"], row["refiners"]} == {OWN}
        ]
        sane = [row for row in _of(own, "sanity") if row["region"] == "WT"]
        for title, some, columns in (
            ("Core (TC) and enhancing tumour (ET)", inner, _INNER),
            (
                "Learned from these very scans (transductive, no headline)",
                _of(own, "transductive"),
                ("method", "threshold", "refiners", "tier", *_INNER[1:]),
            ),
            (
                "Thresholds chosen with the truth (T3, before any refiner)",
                _of(own, "oracle"),
                ("method", "threshold", "dice"),
            ),
            ("Without any method", sane, ("method", "tier", "n", "dice", "lesionwise_dice")),
        ):
            if some:
                parts.append(f"{title}:\n\n{_plain_table(some, columns)}")
        told_by = [entry for entry in group.entries if entry.own and entry.scores.foretold]
        parts += [f"{entry.name}: {entry.scores.foretold}\n" for entry in told_by]
    if result.failures:
        parts.append("Not run:\n\n" + "\n".join(f"- {sentence}" for sentence in result.failures) + "\n")
    return "\n".join(parts)


def _of(rows: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["kind"] == kind]


def _whole(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["| method | tier | n | Dice | lesion-wise | HD95 mm | less the plain rule | s | GB |", "|---" * 9 + "|"]
    for row in rows:
        title = f"`{row['method']}`" + "".join(
            f", {name} {row[name]}" for name in ("threshold", "refiners") if row[name] != "own"
        )
        n = f"{row['n']}" + (f" ({row['without_answer']} without answer)" if row["without_answer"] else "")
        dice = f"**{number(row['dice'])}** ({number(row['dice_low'])} to {number(row['dice_high'])})"
        against = "" if row["method"] == PLAIN else "n/a"
        if not isnan(row.get("minus_plain", nan)):
            against = f"{row['minus_plain']:+.3f} ({row['minus_plain_low']:+.3f} to {row['minus_plain_high']:+.3f})"
        cells = (title, row["tier"], n, dice, number(row["lesionwise_dice"]), number(row["hd95_mm"], 1), against)
        lines.append(f"| {' | '.join((*cells, number(row['seconds'], 1), number(row['peak_gb'], 2)))} |")
    return "\n".join(lines) + "\n"


def _plain_table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    lines = [f"| {' | '.join(name.replace('_', ' ') for name in columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        values = [row.get(name) for name in columns]
        cells = [number(value) if isinstance(value, float | None) else str(value) for value in values]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def number(value: float | None, digits: int = 3) -> str:
    """A number for people; "n/a" where there is none."""
    return "n/a" if value is None or isnan(value) else f"{value:.{digits}f}"
