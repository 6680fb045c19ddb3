"""A data set that was stopped goes on with the same command, and ends as if nobody had stopped it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annofree.errors import OutputError
from annofree.synthesis import LabelMapBank, SynthesisSettings, export, export_cases
from annofree.synthesis.bank import BrainMap
from annofree.synthesis.dataset import case_seeds
from annofree.synthesis.settings import Tumours
from command_line import call


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_stopped_data_set_goes_on(mni_bank: LabelMapBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = export_cases(tmp_path / "whole", 3, mni_bank, seed=1)
    made: list[int] = []
    real = export.make_case

    def watched(bank: LabelMapBank, settings: SynthesisSettings, seed: int, **more: Any) -> Any:
        made.append(seed)
        if seed == stop_at:
            raise KeyboardInterrupt
        return real(bank, settings, seed, **more)

    monkeypatch.setattr(export, "make_case", watched)
    stop_at = case_seeds(1, 3)[2]
    with pytest.raises(KeyboardInterrupt):
        export_cases(tmp_path / "stopped", 3, mni_bank, seed=1)
    assert not (tmp_path / "stopped" / "cases.csv").exists()
    before, stop_at = len(made), -1
    with pytest.raises(OutputError, match=r"unfinished run of other settings.*seed was 1 and is now 2"):
        export_cases(tmp_path / "stopped", 3, mni_bank, seed=2)
    other = SynthesisSettings(tumours=Tumours(healthy_share=0.5))
    with pytest.raises(OutputError, match=r"healthy_share was 0\.25 and is now 0\.5"):
        export_cases(tmp_path / "stopped", 3, mni_bank, other, seed=1)
    brain = mni_bank.maps[0]
    tissue = np.where(np.arange(160)[:, None, None] == 80, brain.tissue[::-1], brain.tissue)
    with pytest.raises(OutputError, match="maps: the same names, other files"):
        export_cases(tmp_path / "stopped", 3, LabelMapBank((BrainMap(brain.name, tissue, brain.depth),)), seed=1)
    export_cases(tmp_path / "stopped", 3, mni_bank, seed=1)
    assert not set(made[: before - 1]) & set(made[before:])  # what was done is not made again
    assert tree(tmp_path / "stopped") == tree(whole)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("years of work")
    assert call("synth", "-o", tmp_path, "--n", 1) == 2
    assert "for instance notes.txt" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
