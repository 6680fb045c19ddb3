"""`--set`: what is misspelt, unreadable or said twice is refused at once, by every verb that takes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import call

VERBS = {
    "fit": ("fit", "weak-to-strong", "--healthy", "SCANS"),
    "weak foreground": ("weak", "foreground", "SCANS"),
    "weak tumour": ("weak", "tumour", "SCANS"),
    "weak tune": ("weak", "tune", "SCANS"),
    "synth": ("synth", "--n", "1"),
    "synth published": ("synth", "--preset", "published", "--healthy", "SCANS"),
    "synth mix": ("synth", "mix", "--images", "SCANS", "--labels", "SCANS", "--healthy", "SCANS"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("steppes=1",), "'steppes' is not a setting"),
        (("seed=[1,",), "The value of the setting 'seed' cannot be read: [1,"),
        (("seed=1", "seed=2"), "The setting 'seed' is given twice"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_read(
    verb: str, given: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tmp_path / "nowhere") if word == "SCANS" else word for word in VERBS[verb]]
    settings = [part for text in given for part in ("--set", text)]
    assert call(*words, "-o", tmp_path / "out", *settings) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
