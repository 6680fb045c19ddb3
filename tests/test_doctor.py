"""What the doctor says of installations that are not well."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from annofree import doctor


def test_missing_extras_are_notes_that_say_what_they_would_enable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    checks = list(doctor._extras())
    assert {check.state for check in checks} == {"note"}
    said = " ".join(check.fix for check in checks)
    for words in ("annofree[xlsx]", "annofree[sam]", "annofree[cluster]", "SLURM", "SAM as a refiner"):
        assert words in said


def test_an_extra_of_which_a_package_is_missing_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name in ("dask_jobqueue", "libjpeg") else object())
    said = {check.what: check.state for check in doctor._extras() if check.state != "ok"}
    assert said == {
        "extra cluster: not whole, dask_jobqueue missing": "note",
        "extra dicom: not whole, libjpeg missing": "note",
    }


def test_every_extra_for_users_is_known_to_the_doctor() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert set(doctor.EXTRAS) == set(project["optional-dependencies"]) - {"test", "lint", "docs"}


def test_a_broken_torchvision_is_bad_and_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(doctor, "find_spec", lambda name: object())
    monkeypatch.setattr(doctor, "import_module", broken)
    check = doctor._torchvision()
    assert check.state == "bad"
    assert "nms" in check.what
    assert "pip uninstall torchvision" in check.fix
    assert next(doctor._torch()).state == "bad"


def test_folders_that_cannot_be_written_are_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    checks = list(doctor._writing())
    assert [check.state for check in checks] == ["bad", "bad"]
    assert all("Permission denied" in check.what and check.fix for check in checks)


def test_a_model_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "intensity").mkdir()
    (tmp_path / "intensity" / "config.yaml").write_text("cut sho")
    monkeypatch.setattr("annofree.methods.WEIGHTS", tmp_path)
    check = doctor._weights()
    assert check.state == "bad"
    assert "intensity (" in check.what


def test_a_self_test_that_breaks_is_a_line_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("annofree.phantom.phantom_subject", broken)
    check = doctor._self_test()
    assert check.state == "bad"
    assert "ZeroDivisionError: of all things" in check.what
