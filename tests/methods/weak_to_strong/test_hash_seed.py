"""One seed decides a fit: Python's own random hashing, which differs from process to process, does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from annofree.phantom import write_cohort


@pytest.mark.slow
def test_a_fit_is_the_same_whatever_the_hash_seed_is(tmp_path: Path) -> None:
    scans = write_cohort(tmp_path / "in", n=3, seed=2, spacing_mm=6.0, healthy_fraction=0.0).scans
    options = [f"--set={one}" for one in ("labels=otsu", "steps=2", "batch=1", "pretrain_steps=1", "seed=3")]
    weights = []
    for seed in ("1", "2"):
        model = tmp_path / seed
        command = [
            sys.executable,
            "-m",
            "annofree",
            "fit",
            "weak-to-strong",
            "--patients",
            str(scans),
            "-o",
            str(model),
        ]
        # sums over threads differ in the last bits; that is another matter
        alone = {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, *options], check=True, env={**os.environ, **alone}, capture_output=True)
        weights.append((model / "network" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
