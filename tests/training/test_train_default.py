"""The recipe of the default network, from files to weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from annofree.phantom import write_cohort

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "train_default.py"


@pytest.mark.slow
def test_the_recipe_trains_goes_on_and_writes_small_weights(tmp_path: Path) -> None:
    write_cohort(tmp_path / "phantoms", n=1, seed=2, spacing_mm=4.0, healthy_fraction=1.0)
    out = tmp_path / "out"
    cohort = ["--healthy", str(tmp_path / "phantoms" / "scans"), "--brain-mask", ""]
    for steps in (2, 3):
        command = [sys.executable, str(SCRIPT), str(out), *cohort, "--steps", str(steps), "--batch", "2"]
        command += ["--workers", "2", "--validation-cases", "1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert f"step {steps}, best score" in done.stdout
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if "loss" in record] == [2, 3]
    for kind in ("best", "last"):
        file = out / kind / "model.safetensors"
        assert file.stat().st_size <= 16e6
        assert {value.dtype for value in load_file(file).values()} == {torch.float16}
