"""One pool of processes: results in order or as they come, errors raised, deaths told apart."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import pytest

from annofree import progress
from annofree.processes import as_they_come, in_order, side_by_side


def halve(number: int, least: int = 0) -> float:
    if number == 13:
        raise ValueError("thirteen")
    return number / 2 + least


def test_results_come_in_the_order_of_the_jobs_whatever_the_number_of_workers() -> None:
    here = list(in_order(partial(halve, least=1), range(6), 1))
    assert here == [1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
    assert list(in_order(lambda n: n / 2 + 1, range(6), 2)) == here  # what plain pickle refuses travels too


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_job_is_raised(workers: int) -> None:
    with pytest.raises(ValueError, match="thirteen"):
        list(in_order(halve_or_fail(), [1, 13, 2], workers))


def halve_or_fail():  # by value: processes cannot import this file
    def work(number: int) -> float:
        if number == 13:
            raise ValueError("thirteen")
        return number / 2

    return work


@pytest.mark.parametrize("workers", [1, 2])
def test_how_far_long_work_is_is_said(
    workers: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    list(in_order(lambda n: n, range(3), workers))
    assert capsys.readouterr().err == ""  # what takes no ten seconds needs no words
    monkeypatch.setattr(progress, "PAUSE_S", 0.0)
    list(in_order(lambda n: n, range(3), workers))
    assert capsys.readouterr().err.splitlines() == ["1 of 3 done", "2 of 3 done", "3 of 3 done"]


@pytest.mark.parametrize("threads", ["1", "3"])
def test_threads_answer_in_the_order_of_the_jobs_and_raise(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert side_by_side(halve, range(6)) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert side_by_side(halve, []) == []
    with pytest.raises(ValueError, match="thirteen"):
        side_by_side(halve, [1, 13, 2])


def test_only_the_job_that_kills_its_process_is_lost(tmp_path: Path) -> None:
    def work(number: int) -> int:
        import os
        from pathlib import Path

        if number == 3 or (number == 1 and not Path(mark).exists()):
            Path(mark).touch()
            os._exit(9)
        return number * number

    mark = str(tmp_path / "died-once")
    found = dict(as_they_come(work, range(6), 2))
    assert found == {0: 0, 1: 1, 2: 4, 3: None, 4: 16, 5: 25}
    assert "OMP_NUM_THREADS" not in os.environ or os.environ["OMP_NUM_THREADS"] != ""


def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    code = f"""
        import os, time
        from pathlib import Path
        from annofree.processes import as_they_come
        def work(number):
            Path({str(tmp_path)!r}, str(os.getpid())).touch()
            time.sleep(600)
        if __name__ == "__main__":
            list(as_they_come(work, range(2), 2))
    """
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(code))
    parent = subprocess.Popen([sys.executable, str(script)])
    while len(started := [p for p in tmp_path.iterdir() if p.name.isdigit()]) < 2:
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    while any(Path(f"/proc/{p.name}").exists() for p in started):  # the test's timeout is the limit
        time.sleep(0.05)
