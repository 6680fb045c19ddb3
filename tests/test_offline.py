"""A whole run opens no socket: weights, template and atlas are in the package, and nothing is reported to anyone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def guarded(*commands: list[str]) -> subprocess.CompletedProcess[str]:
    code = GUARD.replace("ARGUMENTS", repr(commands))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_fit_segment_evaluate_review_and_reports_open_no_socket(tmp_path: Path) -> None:
    made = write_cohort(tmp_path / "in", n=3, seed=2, spacing_mm=4.0, healthy_fraction=0.0)
    out, scans = str(tmp_path / "out"), str(made.scans)
    done = guarded(
        ["segment", f"{scans}/phantom-000", "-o", out, "--quality", "fast"],
        ["evaluate", out, "--truth", str(made.truth)],
        ["rethreshold", out, "--threshold", "fixed:0.6", "-o", str(tmp_path / "other")],
        ["review", out],
        ["fit", "intensity", "--healthy", scans, "-o", str(tmp_path / "model")],
        ["segment", f"{scans}/phantom-001", "-o", str(tmp_path / "own"), "--model", str(tmp_path / "model")],
        ["reports", str(made.reports), "-o", str(tmp_path / "texts")],
        ["methods"],
        ["doctor"],
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("attempts: 0\n")


def test_the_guard_sees_a_socket() -> None:
    code = GUARD.replace("ARGUMENTS", "()").replace(
        "print(", "import socket; socket.create_connection(('127.0.0.1', 9)); print("
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "reached for the network" in done.stderr


def test_a_run_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    """Libraries that keep databases for their makers would leave them here; native code escapes the guard above."""
    made = write_cohort(tmp_path / "in", n=1, seed=2, spacing_mm=4.0, healthy_fraction=0.0)
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    command = ["segment", str(made.scans), "-o", str(tmp_path / "out"), "--quality", "fast", "--no-locate"]
    subprocess.run([sys.executable, "-m", "annofree", *command], check=True, env={**kept, "HOME": str(home)})
    assert (tmp_path / "out" / "results.tsv").is_file()
    assert list(home.rglob("*")) == []
