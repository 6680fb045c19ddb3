"""A plan that cannot work fails before anything runs, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from annofree.bench.plan import PLAIN, read_plan
from annofree.errors import InputError
from annofree.phantom import write_cohort

GOOD = """\
data:
  - name: phantoms
    phantoms: {n: 3, seed: 1, spacing_mm: 4.0}
methods:
  - method: intensity
thresholds: [own, "fixed:2.0", oracle]
refiners: [own, none]
"""


def _plan(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text)
    return path


def test_a_plan_is_read_and_the_plain_rule_cannot_be_left_out(tmp_path: Path) -> None:
    plan = read_plan(_plan(tmp_path, GOOD))
    assert [one.name for one in plan.contenders] == ["intensity", PLAIN]
    assert plan.cells == (("own", "own"), ("own", "none"), ("fixed:2.0", "own"), ("fixed:2.0", "none"))


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("method: intensity", "method: intensty", 5, "did you mean 'intensity'"),
        ("method: intensity", "method: vae", 5, "ships no fitted model"),
        ("method: intensity", "model: nowhere/model", 5, "nowhere/model"),
        ("method: intensity", "method: intensity\n    set: {qualty: fast}", 6, "qualty"),
        ("method: intensity", "method: intensity\n    sett: {}", 6, "'sett' means nothing there"),
        ("method: intensity", "method: dae\n    fit:\n      healthy: no/such/folder", 7, "no/such/folder"),
        (
            "method: intensity",
            "method: intensity\n    fit: {healthy: ., patients: .}",
            6,
            "learns nothing from patients",
        ),
        ("method: intensity", "label: nameless", 5, "either 'method' or 'model'"),
        ("  - method: intensity", "  - method: intensity\n  - method: intensity", 6, "called 'intensity'"),
        ("phantoms: {n: 3, seed: 1, spacing_mm: 4.0}", "scans: no/scans\n    truth: .", 3, "no/scans"),
        ("phantoms: {n: 3, seed: 1, spacing_mm: 4.0}", "scans: .", 2, "needs scans and truth"),
        ("n: 3", "n: many", 3, "many"),
        ("n: 3", "m: 3", 3, "'m' means nothing there"),
        ('"fixed:2.0"', '"fixt:2.0"', 6, "fixt"),
        ('"fixed:2.0"', '"owm"', 6, "did you mean 'own'? Use one of: own, oracle, fixed:2.0"),
        ("[own, none]", "[fill-hole]", 7, "Use one of: own, none, components"),
        ('"fixed:2.0"', '"healthy-quantile:0.99"', 6, "has no value yet"),
        ('"fixed:2.0"', '"learned"', 6, "has not been learned yet"),
        (
            "method: intensity",
            "method: intensity\n  - method: synthtumour",
            7,
            "2 of WT by 'synthtumour' is outside 0 to 1",
        ),
        ("refiners: [own, none]", 'refiners:\n  - own\n  - "componets:26"', 9, "componets"),
        ("refiners:", "refinars:", 7, "'refinars' means nothing there"),
        ("data:", "dta:", 1, "Known: data, methods"),  # not that there is no list of data
        ("methods:\n  - method: intensity\n", "", 1, "no list of methods"),
        ("methods:", "methods: [", 5, "no YAML"),
    ],
)
def test_what_cannot_work_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in GOOD
    path = _plan(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_plan(path)
    assert f"plan.yaml, line {line}" in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("fit", "says"),
    [
        ("healthy: HERE/scans, set: {atlas: no/atlas.nii.gz, regions: no/regions.tsv}", "no/atlas.nii.gz"),
        ("healthy: HERE/scans, patients: HERE/scans, reports: HERE/empty", "No report was found"),
        ("healthy: HERE/scans, set: {region_table: no/table.xlsx}", "no/table.xlsx"),
        ("healthy: HERE/empty", "HERE/empty"),
    ],
)
def test_what_a_fit_would_refuse_is_refused_with_the_plan(tmp_path: Path, fit: str, says: str) -> None:
    write_cohort(tmp_path, n=3, seed=1, spacing_mm=6.0)
    (tmp_path / "empty").mkdir()
    text = GOOD.replace("method: intensity", f"method: blogrr\n    fit: {{{fit}}}").replace("HERE", str(tmp_path))
    with pytest.raises(InputError) as caught:
        read_plan(_plan(tmp_path, text))
    assert "plan.yaml, line 6" in str(caught.value)
    assert says.replace("HERE", str(tmp_path)) in str(caught.value)


def test_no_plan_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path / "none.yaml")


def test_the_example_plans_are_good() -> None:
    examples = Path(__file__).parents[2] / "examples"
    assert read_plan(examples / "bench_phantoms.yaml").methods


@pytest.mark.real
def test_the_plan_of_the_results_page_is_good(monkeypatch: pytest.MonkeyPatch, shared_data: Path) -> None:
    top = Path(__file__).parents[2]
    monkeypatch.chdir(top)  # the plan's paths begin there
    plan = read_plan(top / "examples/bench_results.yaml")
    assert shared_data.samefile("../shared/data")
    assert {one.name for one in plan.contenders} >= {PLAIN, "synthtumour", "blogrr"}
