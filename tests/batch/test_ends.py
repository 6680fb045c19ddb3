"""Whatever happens to a run, every scan ends exactly once in results or failures, and nothing is half-written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from annofree.batch.run import BatchReport, run
from annofree.errors import InputError, OutputError
from annofree.formats import open_cohort
from annofree.formats.outfolder import claim_folder
from annofree.pipeline import Choice
from annofree.scan import Cohort

from .conftest import made_cohort, rows, written

CHOICE = Choice(method="intensity-published")
NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def ended_once(report: BatchReport, ids: tuple[str, ...]) -> bool:
    """Whether each scan is in exactly one table, on disk as in the report."""
    failures = report.out / "failures.tsv"
    on_disk = rows(report.out / "results.tsv") + (rows(failures) if failures.exists() else [])
    told = [row["id"] for row in report.rows] + [failure.id for failure in report.failures]
    marks = len(list(report.out.rglob("*.started")))  # the next run knows whom to try apart
    died = sum("died" in failure.what for failure in report.failures)
    scraps = list(report.out.rglob("*.tmp"))
    return Counter(r["id"] for r in on_disk) == Counter(told) == Counter(ids) and marks == died and not scraps


@pytest.mark.slow
def test_a_scan_that_kills_its_process_fails_alone(tmp_path: Path) -> None:
    cohort = made_cohort(tmp_path, a="never", poison="always", b="never", c="never")
    report = run(cohort, CHOICE, tmp_path / "out", workers=2, locate=False)
    assert ended_once(report, cohort.ids)
    (failure,) = report.failures
    assert failure.id == "poison"
    assert "died" in failure.what
    assert "memory" in failure.why
    assert [row["id"] for row in report.rows] == ["a", "b", "c"]


@pytest.mark.slow
def test_a_foreign_scheduler_gives_the_bytes_of_one_process_though_a_worker_is_lost(tmp_path: Path) -> None:
    from dask import config
    from distributed import LocalCluster

    cohort = made_cohort(tmp_path, a="never", b="once", c="never", d="never")
    patient = {"distributed.deploy.lost-worker-timeout": "1 day", "distributed.scheduler.worker-ttl": None}
    with (
        config.set(patient),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster,
    ):
        there = run(cohort, CHOICE, tmp_path / "there", scheduler=cluster.scheduler_address, locate=False)
    here = run(cohort, CHOICE, tmp_path / "here", locate=False)
    assert ended_once(there, cohort.ids)
    assert written(there.out) == written(here.out)


def test_a_scheduler_without_a_worker_is_said_while_the_run_waits(tmp_path: Path) -> None:
    from distributed import LocalCluster

    from annofree.progress import listening

    cohort = made_cohort(tmp_path, a="never", b="never")
    heard = []
    with LocalCluster(
        n_workers=0, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", silence_logs=50
    ) as cluster:

        def hear(scan_id: str, what: str) -> None:
            heard.append((scan_id, what))
            cluster.scale(1)

        with listening(hear):
            report = run(cohort, CHOICE, tmp_path / "out", scheduler=cluster.scheduler_address, locate=False)
    assert ended_once(report, cohort.ids)
    assert heard[0] == ("a", f"waiting for a worker: the scheduler at {cluster.scheduler_address} has none yet")


def test_a_job_that_a_worker_cannot_take_up_is_an_error_of_its_own(tmp_path: Path) -> None:
    """Dask itself must be able to carry every job: what it cannot unpickle ends its workers."""
    import pickle

    import cloudpickle

    from annofree.batch import scheduler
    from annofree.batch.worker import Worker

    cohort = made_cohort(tmp_path, a="never")
    out = claim_folder(tmp_path / "out")
    frozen = cloudpickle.dumps(Worker(cohort.subset(()), CHOICE, out, False, False, "key"))
    job = cloudpickle.dumps(scheduler._Job(frozen, cohort))
    assert pickle.loads(job).failure is None
    other = scheduler._segment(frozen, cohort, "0.0.1")
    assert "0.0.1 was to be run" in other.failure.what
    program = f"import pickle, sys; sys.modules['annofree'] = None\npickle.loads({job!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError" in done.stderr


def test_a_scheduler_that_is_not_there_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annofree.batch.scheduler.PATIENCE_S", 0.5)
    cohort = made_cohort(tmp_path, a="never")
    with pytest.raises(InputError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        run(cohort, CHOICE, tmp_path / "out", scheduler="tcp://127.0.0.1:9", locate=False)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="not both"):
        run(cohort, CHOICE, tmp_path / "out", scheduler="tcp://127.0.0.1:9", workers=2)


FORK_AND_KILL = """
import os, random, signal, sys, time
from pathlib import Path
from annofree.batch.run import run
from annofree.formats import open_cohort
from annofree.formats.outfolder import claim_folder
from annofree.pipeline import Choice
from annofree.scan import Cohort
import annofree.anatomy, annofree.methods.intensity, nibabel, scipy.ndimage

scans, out, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

def start(folder):
    if (child := os.fork()) == 0:
        report = run(open_cohort(scans), Choice(method="intensity-published"), folder, locate=False)
        os._exit(len(report.failures))
    return child

began = time.monotonic()
assert os.waitpid(start(out.with_name("warm")), 0)[1] == 0
whole = time.monotonic() - began
moments = random.Random(5)
for number in range(kills):
    child = start(out)
    time.sleep(moments.uniform(0.05, 0.9) * whole)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    # no file may be half-written at any moment: each is whole, or has a temporary name
    for path in out.rglob("*.nii.gz"):
        nibabel.load(path).get_fdata()
"""


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_gives_the_same_bytes(balls: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", FORK_AND_KILL, str(balls), str(out), "6"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = run(open_cohort(balls), CHOICE, out, locate=False)
    assert ended_once(report, open_cohort(balls).ids)
    assert not report.failures
    assert written(out) == written(tmp_path / "warm")


@pytest.mark.slow
def test_a_scan_that_killed_the_whole_program_is_tried_apart_next_time(tmp_path: Path) -> None:
    cohort = made_cohort(tmp_path, a="never", poison="always", b="never")
    assert run_elsewhere(cohort, tmp_path / "out") == 9
    assert run_elsewhere(cohort, tmp_path / "out") == 1
    (failure,) = rows(tmp_path / "out" / "failures.tsv")
    assert failure["id"] == "poison"
    assert "died" in failure["what"]
    assert [row["id"] for row in rows(tmp_path / "out" / "results.tsv")] == ["a", "b"]


RUN = """
import pickle, sys
from pathlib import Path
from annofree.batch.run import run
from annofree.pipeline import Choice
cohort = pickle.loads(Path(sys.argv[1]).read_bytes())
sys.exit(len(run(cohort, Choice(method="intensity-published"), sys.argv[2], locate=False).failures))
"""


def run_elsewhere(cohort: Cohort, out: Path) -> int:
    """Exit code of a process of its own: the number of failures, or what it was ended with."""
    import cloudpickle

    held = out.with_name("cohort.pickle")
    held.write_bytes(cloudpickle.dumps(cohort))
    return subprocess.run([sys.executable, "-c", RUN, str(held), str(out)], check=False).returncode


class Disk:
    """A disk with so many bytes left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
        self.free, write = free, Path.write_bytes

        def write_bytes(path: Path, data: bytes) -> int:
            if len(data) > self.free:
                write(path, data[: self.free])
                raise NO_SPACE
            self.free -= len(data)
            return write(path, data)

        monkeypatch.setattr(Path, "write_bytes", write_bytes)


@pytest.mark.parametrize("room_for_tables", [True, False])
def test_a_full_disk_stops_the_run_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room_for_tables: bool
) -> None:
    cohort = made_cohort(tmp_path, a="never", b="never", c="never")
    out = tmp_path / "out"
    run(cohort.subset(["a"]), CHOICE, out, locate=False)
    with monkeypatch.context() as context:
        # the second scan's score map finds no room; the tables do, or do not
        disk = Disk(context, 10**9)
        full_at = "sub-b"
        write = Path.write_bytes

        def fill(path: Path, data: bytes) -> int:
            if full_at in str(path) and path.name.endswith(".tmp") and "probseg.nii" in path.name:
                disk.free = 50_000 if room_for_tables else 0
                raise NO_SPACE
            return write(path, data)

        context.setattr(Path, "write_bytes", fill)
        if room_for_tables:
            report = run(cohort, CHOICE, out, locate=False)
            assert ended_once(report, cohort.ids)
            full, *later = report.failures
            assert full.what.startswith("A result cannot be written (")
            assert full.what.endswith("_probseg.nii.gz)")
            assert "No space" in full.why
            assert [failure.what for failure in later] == ["Not tried"]
        else:
            with pytest.raises(OutputError, match="No space"):
                run(cohort, CHOICE, out, locate=False)
            assert [row["id"] for row in rows(out / "results.tsv")] == ["a"]
    after = run(cohort, CHOICE, out, locate=False)
    whole = run(cohort, CHOICE, tmp_path / "whole", locate=False)
    assert ended_once(after, cohort.ids)
    assert after.reused == ["a"]
    assert written(out) == written(whole.out)


def test_an_error_nobody_foresaw_costs_one_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from annofree.methods.intensity import Intensity

    cohort = made_cohort(tmp_path, a="never", b="never", c="never")
    score = Intensity.score

    def odd(self: Intensity, scan: object) -> object:
        if getattr(scan, "id", "") == "b":
            raise ZeroDivisionError("of all things")
        return score(self, scan)  # type: ignore[arg-type]

    monkeypatch.setattr(Intensity, "score", odd)
    report = run(cohort, CHOICE, tmp_path / "out", locate=False)
    assert ended_once(report, cohort.ids)
    assert "ZeroDivisionError: of all things (test_ends.py, line" in report.failures[0].why


def test_names_that_would_share_files_are_told_apart_before_anything_runs(tmp_path: Path) -> None:
    cohort = made_cohort(tmp_path, **{"p-1": "never", "p1": "never"})
    report = run(cohort, CHOICE, tmp_path / "out", locate=False)
    assert ended_once(report, cohort.ids)
    assert [failure.id for failure in report.failures] == ["p1"]
    assert "share the files of sub-p1" in report.failures[0].what
