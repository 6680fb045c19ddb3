"""The cohort table would show wrong intervals, hide cases, or claim significance that seven patients cannot carry."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from annofree.errors import InputError, OutputError
from annofree.metrics import CaseScores, Score, compare, score_case, summarise, write_case_scores
from annofree.metrics.statistics import bootstrap_interval, bootstrap_means, holm


def cohort(values, *, metric="dice", kinds=("glioma",), prefix="case"):
    return [
        CaseScores(
            f"{prefix}-{i}",
            "GLI",
            (Score(f"{prefix}-{i}", "WT", metric, float(value)),),
            {"kind": kinds[i % len(kinds)]},
        )
        for i, value in enumerate(values)
    ]


def test_mean_median_and_undefined_cases_are_told():
    row = summarise(cohort([0.2, 0.4, 0.9, np.nan])).row("dice")
    assert (row.n, row.undefined) == (3, 1)
    assert (row.mean, row.median, row.minimum, row.maximum) == pytest.approx((0.5, 0.4, 0.2, 0.9))
    assert row.minimum <= row.low <= row.mean <= row.high <= row.maximum


def test_strata_have_rows_of_their_own():
    summary = summarise(cohort([0.0, 1.0, 0.2, 0.8], kinds=("glioma", "meningioma")))
    assert summary.row("dice", stratum="kind: glioma").mean == pytest.approx(0.1)
    assert summary.row("dice", stratum="kind: meningioma").n == 2
    with pytest.raises(InputError, match="kind: glioma"):
        summary.row("dice", stratum="kind: metastasis")


def test_the_same_cases_give_the_same_table():
    cases = cohort(np.random.default_rng(1).random(9))
    assert summarise(cases) == summarise(cases)
    assert summarise(cases) != summarise(cases, rng=np.random.default_rng(5))


def test_bootstrap_means_equal_drawing_patients_one_by_one():
    values = np.array([[0.1, 5.0], [0.7, np.nan], [0.3, 1.0], [0.9, 2.0]])
    counts = np.random.default_rng(3).multinomial(4, [0.25] * 4, size=50)
    means = bootstrap_means(values, rng=np.random.default_rng(3), resamples=50)
    for count, mean in zip(counts, means, strict=True):
        drawn = np.repeat(values, count, axis=0)
        expected = [drawn[:, 0].mean(), drawn[:, 1][~np.isnan(drawn[:, 1])].mean()]
        assert mean == pytest.approx(expected)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    samples = rng.normal(0.5, 0.2, size=(60, 300))  # 300 cohorts of 60 patients, one a column
    low, high = bootstrap_interval(samples, rng=rng, resamples=1000)
    assert 0.90 <= np.mean((low <= 0.5) & (high >= 0.5)) <= 0.98


def test_one_patient_has_no_interval():
    row = summarise(cohort([0.5])).row("dice")
    assert np.isnan([row.low, row.high]).all()
    assert row.mean == 0.5


def test_holm_equals_the_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_seven_patients_get_an_interval_and_no_test():
    base = np.linspace(0.3, 0.9, 7)
    (row,) = compare(cohort(base), {"better": cohort(base + 0.05)}, rng=np.random.default_rng(0))
    assert (row.n, row.larger, row.p, row.p_holm) == (7, 7, None, None)
    assert (row.difference, row.low, row.high) == pytest.approx((0.05, 0.05, 0.05))
    assert "7 patients, fewer than 40" in row.note


def test_from_forty_patients_on_there_is_a_corrected_test():
    rng = np.random.default_rng(2)
    base = rng.random(45)
    others = {
        "better": cohort(base + rng.normal(0.1, 0.1, 45)),
        "same": cohort(base),
        "noise": cohort(base + rng.normal(0, 0.1, 45)),
    }
    better, same, noise = compare(cohort(base), others, rng=rng)
    assert better.p_holm == pytest.approx(3 * better.p)
    assert better.p_holm < 0.001
    assert (same.p, same.p_holm, same.difference) == (1.0, 1.0, 0.0)
    assert noise.p_holm >= noise.p
    assert better.low > 0


def test_patients_are_paired_by_id_not_by_order():
    base = cohort([0.1, 0.5, 0.9])
    (row,) = compare(base, {"shuffled": base[::-1]}, rng=np.random.default_rng(0))
    assert row.difference == 0.0
    (row,) = compare(base, {"fewer": base[1:]}, rng=np.random.default_rng(0))
    assert (row.n, "1 without partner" in row.note) == (2, True)
    with pytest.raises(InputError, match="share no case"):
        compare(base, {"strangers": cohort([0.1], prefix="other")}, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="twice"):
        compare(base + base, {"x": base}, rng=np.random.default_rng(0))


def test_pooled_rows_weigh_voxels_and_mark_the_oracle():
    rng = np.random.default_rng(0)
    cases = []
    for number, size in enumerate((4, 9)):
        truth = np.zeros((20, 20, 20), np.uint8)
        truth[:size, :size, :size] = 2
        scores = {"WT": rng.normal(size=truth.shape) + truth}
        cases.append(score_case(truth, truth, (1, 1, 1), case=str(number), scores=scores))
    summary = summarise(cases)
    assert summary.row("average_precision", stratum="pooled").n == 2
    best = summary.row("oracle_best_dice").mean
    assert summary.row("oracle_common_mean_dice", stratum="pooled").mean <= best
    assert all(row.metric.startswith("oracle_") for row in summary.rows if "threshold" in row.metric)


def test_tables_are_written_as_tsv_with_undefined_values_marked(tmp_path):
    cases = cohort([0.25, np.nan])
    path = write_case_scores(cases, tmp_path / "deep" / "scores.tsv")
    with path.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert rows[0] == {"case": "case-0", "region": "WT", "metric": "dice", "value": "0.25"}
    assert rows[1]["value"] == "n/a"
    summarise(cases).write(tmp_path / "summary.tsv")
    assert (tmp_path / "summary.tsv").read_text().splitlines()[1].split("\t")[:5] == ["WT", "dice", "all", "1", "1"]
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".tmp"] == []


def test_an_unwritable_place_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_case_scores(cohort([0.1]), tmp_path / "file" / "scores.tsv")


def test_nothing_to_summarise_is_said():
    with pytest.raises(InputError, match="no case"):
        summarise([])
