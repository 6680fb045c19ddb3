"""The SLURM script of the documentation asks for the jobs that it speaks of."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cohorts.md"


def test_the_script_of_the_docs_asks_for_one_scan_a_process_and_four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    jobqueue = pytest.importorskip("dask_jobqueue", reason="needs the extra 'cluster'")
    script = next(code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S) if "SLURM" in code)
    asked: dict[str, Any] = {}

    class Jobs(jobqueue.SLURMCluster):  # type: ignore[misc, name-defined]
        """Has no SLURM to send jobs to."""

        def adapt(self, **limits: int) -> None:
            asked.update(limits, job=self.job_script())

    def run(cohort: str, choice: object, out: str, **options: Any) -> SimpleNamespace:
        asked.update(options, cohort=cohort)
        return SimpleNamespace(rows=[1], failures=[])

    monkeypatch.setattr(jobqueue, "SLURMCluster", Jobs)
    monkeypatch.setattr("annofree.batch.run.run", run)
    monkeypatch.setattr("annofree.formats.open_cohort", lambda folder: folder)
    with pytest.raises(SystemExit) as stop:
        exec(compile(script, str(PAGE), "exec"), {"__name__": "__main__"})
    assert stop.value.code == 0
    assert asked["cohort"] == "/SHARED/patients"
    assert asked["maximum_jobs"] == 20
    assert asked["scheduler"].startswith("tcp://")
    for words in ("--cpus-per-task=4", "--nthreads 1", "export OMP_NUM_THREADS=4", "/SHARED/venv/bin/python -m "):
        assert words in asked["job"]
