"""What the command line says of itself: uncut, alike on both levels, in words, and with advice."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from annofree.cli.main import VERBS
from annofree.errors import SettingsError
from annofree.methods.citations import WORKS, bibtex
from annofree.methods.describe import settings_of
from annofree.methods.registry import METHODS
from command_line import call


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_help_is_uncut_at_every_width(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert call("--help") == 0
    text = capsys.readouterr().out
    assert "..." not in text.split("Commands:")[1]
    told = " ".join(text.split())
    for verb, words in VERBS.items():
        assert f"{verb} {words}" in told


@pytest.mark.parametrize("verb", VERBS)
def test_both_levels_look_alike_and_name_types_in_words(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(verb, "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: annofree {verb} [OPTIONS]")
    assert "-h, --help" in text
    assert not re.search(r"[╭│{}]|<(str|path|int|bool|list)|\b(INTEGER|BOOLEAN|FLOAT)\b", text)


def test_misspelt_names_get_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("segmnt") == 2
    assert "There is no command 'segmnt'; did you mean 'segment'?" in capsys.readouterr().err
    for word in ("nosuch", "foo", "rebuild", "phantom"):  # like none of them: "bench" would be no advice
        assert call(word) == 2
        assert f"There is no command '{word}'; 'annofree --help' lists them." in capsys.readouterr().err
    assert call("segment", "x", "--metod", "dae", "-o", "y") == 2
    assert "--method" in capsys.readouterr().err
    for verb in ("cite", "methods"):
        assert call(verb, "blogr") == 2
        told = capsys.readouterr().err
        assert told.startswith("annofree: There is no method 'blogr'")
        assert "id you mean 'blogrr'?" in told
        assert "?." not in told


def test_the_shell_completes_verbs_and_options() -> None:
    def completed(words: str) -> list[str]:
        asked = {"_ANNOFREE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        command = [sys.executable, "-m", "annofree"]
        done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
        return done.stdout.split()

    assert completed("annofree re") == ["review", "rerun", "rethreshold", "reports"]
    assert completed("annofree segment --qu") == ["--quality"]


def test_completion_can_be_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    assert "--install-completion" in capsys.readouterr().out


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_has_kind_default_and_meaning(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = settings_of(method)
    assert rows
    for row in rows:
        assert row.meaning, f"{row.name} has no meaning"
        assert row.kind
        assert row.default
    assert call("fit", method, "--help-settings") == 0
    by_fit = capsys.readouterr().out
    assert call("methods", method) == 0
    assert by_fit == capsys.readouterr().out
    assert all(f"\n  {row.name}  (" in by_fit for row in rows)


def test_settings_tell_units_choices_and_defaults() -> None:
    steps = next(row for row in settings_of("dae") if row.name == "steps")
    assert (steps.kind, steps.unit, steps.default) == ("whole number", "steps", "3000")
    quality = next(row for row in settings_of("synthtumour") if row.name == "quality")
    assert quality.kind == "one of fast, default, best"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_cited(method: str) -> None:
    text = bibtex(method)
    assert text.startswith("@software{annofree,")
    assert len(re.findall(r"^@", text, re.MULTILINE)) == 1 + len(WORKS[method])
    for entry in re.split(r"\n\n(?=@)", text.strip()):
        assert entry.count("{") == entry.count("}")
        assert re.search(r"^  title +=", entry, re.MULTILINE)
        assert re.search(r"^  author +=", entry, re.MULTILINE)


def test_an_unknown_method_cannot_be_cited() -> None:
    with pytest.raises(SettingsError, match="vq-vae"):
        bibtex("vqvae")


def test_segment_says_what_a_failed_scan_does_and_its_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("segment", "--help") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "stops no other" in told
    assert "3: some failed or got no page; 2: all failed" in told
