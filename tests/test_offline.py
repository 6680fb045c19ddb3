"""A whole run opens no socket: weights, template and atlas are in the package, and nothing is reported to anyone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from annofree.phantom import write_cohort

#: Runs the command line with every way to a network shut; an attempt is written down and refused.
GUARD = """
import sys
attempts = []
NETWORK = "socket.connect socket.getaddrinfo socket.gethostbyname socket.sendto socket.bind urllib.Request".split()

def only_asks_for_ipv6():
    # pydicom imports requests, whose urllib3 makes one unconnected socket while it is imported, to learn whether
    # this machine speaks IPv6; it is refused here like any other.
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "_has_ipv6":
        frame = frame.f_back
    return frame is not None

def audit(event, arguments):
    if event in NETWORK or (event == "socket.__new__" and arguments[1] != 1):  # 1: within this machine
        if not only_asks_for_ipv6():
            attempts.append(event)
        raise RuntimeError(f"a run reached for the network: {event} {arguments}")

sys.addaudithook(audit)
from annofree.cli.main import main
for arguments in ARGUMENTS:
    try:
        main(arguments)
    except SystemExit as stop:
        if stop.code:
            raise
print("attempts:", len(attempts))
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A guarded run of the verbs in a process of its own, and its home folder, empty before."""
    folder = tmp_path_factory.mktemp("guarded")
    made = write_cohort(folder / "in", n=3, seed=2, spacing_mm=4.0, healthy_fraction=0.0)
    home, out, scans = folder / "home", str(folder / "out"), str(made.scans)
    home.mkdir()
    commands = [
        ["segment", f"{scans}/phantom-000", "-o", out, "--quality", "fast"],
        ["evaluate", out, "--truth", str(made.truth)],
        ["rethreshold", out, "--threshold", "fixed:0.6", "-o", str(folder / "other")],
        ["review", out],
        ["fit", "intensity", "--healthy", scans, "-o", str(folder / "model")],
        ["segment", f"{scans}/phantom-001", "-o", str(folder / "own"), "--model", str(folder / "model")],
        ["reports", str(made.reports), "-o", str(folder / "texts")],
        ["methods"],
        ["doctor"],
    ]
    code = GUARD.replace("ARGUMENTS", repr(commands))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    environment = {**kept, "HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (folder / "out" / "results.tsv").is_file()
    return done, home


def test_fit_segment_evaluate_review_and_reports_open_no_socket(
    guarded: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, _ = guarded
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("attempts: 0\n")


def test_the_guard_sees_a_socket() -> None:
    code = GUARD.replace("ARGUMENTS", "()").replace(
        "print(", "import socket; socket.create_connection(('127.0.0.1', 9)); print("
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "reached for the network" in done.stderr


def test_a_run_leaves_nothing_in_the_home_folder(guarded: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Libraries that keep databases for their makers would leave them here; native code escapes the guard above."""
    assert list(guarded[1].rglob("*")) == []
