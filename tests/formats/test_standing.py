"""Nothing that stands is lost: not the input of `synth`, not a plan, not a model or somebody's notes."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError, OutputError
from annofree.formats import open_cohort
from annofree.formats.outfolder import claim_folder
from annofree.formats.standing import (
    MARK,
    listed,
    listed_folder,
    ordered,
    refuse_filled,
    refuse_standing,
    settle,
    unfinished_fit,
    whole_or_nothing,
)
from annofree.pipeline import fit
from annofree.prepare.folder import prepared_before
from annofree.synthesis.synthesise import synthesise_one

from .conftest import brain_image, save


def test_the_healthy_image_is_never_the_output(tmp_path: Path) -> None:
    source = save(tmp_path / "flair.nii.gz", brain_image())
    before = source.read_bytes()
    linked = tmp_path / "linked.nii.gz"
    linked.hardlink_to(source)
    soft = tmp_path / "soft.nii.gz"
    soft.symlink_to(source)
    new = tmp_path / "new.nii.gz"
    for image, labels in ((source, new), (new, source), (linked, new), (soft, new), (new, new)):
        for overwrite in (False, True):
            with pytest.raises(OutputError, match="named twice"):
                synthesise_one([source, image, labels], overwrite=overwrite)
    assert source.read_bytes() == before
    assert not new.exists()


def test_what_stands_is_replaced_only_when_asked(tmp_path: Path) -> None:
    source = save(tmp_path / "flair.nii.gz", brain_image())
    image, labels = tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz"
    labels.write_text("my labels")
    with pytest.raises(OutputError, match=r"stands there already.*labels\.nii\.gz.*--overwrite"):
        synthesise_one([source, image, labels])
    assert labels.read_text() == "my labels"
    assert not image.exists()
    refuse_standing(image, labels, inputs=(source,), overwrite=True)
    with pytest.raises(OutputError, match="is a folder"):
        refuse_standing(tmp_path, overwrite=True)


def test_a_plan_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from annofree.cli.main import main

    save(tmp_path / "data" / "p" / "flair.nii.gz", brain_image())
    plan = tmp_path / "plan.yaml"
    plan.write_text("my plan")
    with pytest.raises(SystemExit) as stop:
        main(["plan", str(tmp_path / "data"), "-o", str(plan)])
    assert stop.value.code == 2
    assert "stands there already" in capsys.readouterr().err
    assert plan.read_text() == "my plan"


def test_a_fit_goes_on_only_in_its_own_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with suppress(KeyboardInterrupt), unfinished_fit(folder, "dae"):
        (folder / "last").mkdir()
        raise KeyboardInterrupt
    assert (folder / MARK).is_file()
    with pytest.raises(OutputError, match=r"another method.*unfinished run of 'dae'"), unfinished_fit(folder, "ae"):
        pass
    with unfinished_fit(folder, "dae"), pytest.raises(OutputError, match="Another run"), unfinished_fit(folder, "dae"):
        pass
    assert sorted(path.name for path in folder.iterdir()) == ["last"]


def test_a_fit_replaces_nothing_that_stands(tmp_path: Path) -> None:
    for name in ("h1", "h2", "h3"):
        save(tmp_path / "healthy" / name / "flair.nii.gz", brain_image())
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    for out, words in (("notes", "for instance thesis.txt"), ("notes/thesis.txt", "it is a file")):
        with pytest.raises(OutputError, match=words):
            fit("intensity", out=tmp_path / out, healthy=tmp_path / "healthy")
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["thesis.txt"]


def test_a_run_goes_on_with_the_same_files_wherever_they_lie(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "data" / name / "flair.nii.gz", brain_image())
    before = listed(open_cohort(tmp_path / "data"))
    with suppress(KeyboardInterrupt), unfinished_fit(tmp_path / "fit", "dae", {"patients": before}):
        (tmp_path / "fit" / "last").mkdir()
        raise KeyboardInterrupt
    (tmp_path / "data").rename(tmp_path / "moved")
    assert listed(open_cohort(tmp_path / "moved")) == before
    save(tmp_path / "moved" / "b" / "flair.nii.gz", brain_image() * 2)
    asked = {"patients": listed(open_cohort(tmp_path / "moved"))}
    with (
        pytest.raises(OutputError, match="patients: the same names, other files"),
        unfinished_fit(tmp_path / "fit", "dae", asked),
    ):
        pass


def test_a_folder_that_a_setting_names_is_known_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from annofree.methods.weak_to_strong.tune import TuneSettings

    for seed, place in enumerate("ab"):
        save(tmp_path / place / "out" / "p_mask.nii.gz", brain_image(seed))
    file = tmp_path / "a" / "out" / "p_mask.nii.gz"

    def order(place: str, labels: str) -> object:
        monkeypatch.chdir(tmp_path / place)
        return ordered(TuneSettings(labels=labels))["labels"]

    mine = order("a", "out")
    assert isinstance(mine, list)
    assert [entry.split()[0] for entry in mine] == ["p_mask.nii.gz"]
    assert mine == order("b", str(tmp_path / "a" / "out")) == order("b", "../a/out")
    assert mine != order("b", "out")
    (tmp_path / "a" / "out" / "page.html").write_text("looked at")
    with suppress(KeyboardInterrupt), unfinished_fit(tmp_path / "a" / "out" / "tuned", "weak tune"):
        save(tmp_path / "a" / "out" / "tuned" / "made.nii.gz", brain_image())
        raise KeyboardInterrupt
    assert order("a", "out") == mine
    os.utime(file, ns=(2, 2))
    assert order("a", "out") == mine
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-1] + b"\x07", 6))
    assert order("a", "out") != mine
    (tmp_path / "a" / "otsu").mkdir()
    assert order("a", "otsu") == "otsu"


def test_contents_tell_files_apart_and_times_do_not(tmp_path: Path) -> None:
    plain = np.arange(4000, dtype=np.uint8).tobytes()
    other = plain[:2000] + b"x" + plain[2001:]
    name = "map.nii.gz"
    for number, pack in enumerate((lambda raw: raw, lambda raw: gzip.compress(raw, 0, mtime=0), _in_blocks)):
        file, copy, changed = (tmp_path / f"{number}{word}" / name for word in "abc")
        for path, raw in ((file, plain), (copy, plain), (changed, other)):
            path.parent.mkdir()
            path.write_bytes(pack(raw))
            os.utime(path, ns=(1, 1) if path == changed else (number + 2, number + 2))
        os.utime(file, ns=(1, 1))
        assert changed.stat().st_size == file.stat().st_size
        assert listed_folder(file.parent) == listed_folder(copy.parent)
        assert listed_folder(file.parent) != listed_folder(changed.parent)


def _in_blocks(raw: bytes) -> bytes:
    """The form that bgzip writes: many gzip files in a row, the last one empty."""
    parts = (gzip.compress(part, 0, mtime=0) for part in (raw[:2500], raw[2500:], b""))
    return b"".join(part[:3] + bytes([4]) + part[4:10] + b"\x02\x00ab" + part[10:] for part in parts)


def test_a_finished_run_is_called_one(tmp_path: Path) -> None:
    with unfinished_fit(tmp_path / "out", "weak tune"):
        (tmp_path / "out" / "chosen.json").write_text("1")
    with (
        pytest.raises(OutputError, match=r"a finished run or other files.*for instance chosen\.json"),
        unfinished_fit(tmp_path / "out", "weak tune"),
    ):
        pass


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    for root in (tmp_path / "new", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        stood = root.exists()
        with suppress(KeyboardInterrupt), whole_or_nothing(root, "folder"):
            (root / ".annofree-half" / "a").write_text("half")
            raise KeyboardInterrupt
        assert root.exists() == stood
        (root / ".annofree-half").mkdir(parents=True)  # as a process leaves it that is killed
        (root / ".annofree-half" / "b").write_text("half")
        with whole_or_nothing(root, "folder") as half:
            (half / "a").write_text("whole")
        assert [path.name for path in root.iterdir()] == ["a"]
        with pytest.raises(OutputError, match="folder is not empty"), whole_or_nothing(root, "folder"):
            pass
        assert [path.name for path in root.iterdir()] == ["a"]


def test_a_second_run_takes_nothing_from_a_folder_that_is_being_made(tmp_path: Path) -> None:
    root = tmp_path / "new"
    with whole_or_nothing(root, "folder") as half:
        (half / "a").write_text("first")
        for second in (lambda: settle(root), lambda: refuse_filled(root, "folder"), lambda: made_at_once(root)):
            with pytest.raises(OutputError, match="Another run is writing"):
                second()
        assert (half / "a").is_file()
    assert [path.name for path in root.iterdir()] == ["a"]


def made_at_once(root: Path) -> None:
    with whole_or_nothing(root, "folder"):
        pass


def test_what_stands_in_the_way_of_a_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes").write_text("years of work")
    claims: list[Callable[[Path], object]] = [claim_folder, lambda out: refuse_filled(out, "folder"), made_at_once]
    for claim in claims:
        with pytest.raises(OutputError, match=r"cannot be made .*notes\): it is a file"):
            claim(tmp_path / "notes")
        with pytest.raises(OutputError, match=r"cannot be made .*new\): notes is a file"):
            claim(tmp_path / "notes" / "sub" / "new")
    monkeypatch.setattr("os.access", lambda *_: False)
    for claim in claims:
        with pytest.raises(OutputError, match=r"cannot be made .*new\): nothing may be written in "):
            claim(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_run_that_was_killed_as_it_put_its_files_in_place_is_ended_by_the_next(tmp_path: Path) -> None:
    root = tmp_path / "new"
    program = """
import os, sys
from pathlib import Path
from annofree.formats.standing import whole_or_nothing

def killed(path, target, replace=Path.replace):
    if path.name == "b":
        os._exit(9)
    return replace(path, target)

Path.replace = killed
with whole_or_nothing(Path(sys.argv[1]), "folder") as half:
    for name in "abc":
        (half / name).write_text(name)
"""
    done = subprocess.run([sys.executable, "-c", program, str(root)], check=False)
    assert done.returncode == 9
    assert (root / "a").is_file()
    assert not (root / "b").exists()
    with pytest.raises(InputError, match=r"A folder is not whole.*Run the same command again"):
        open_cohort(root)
    assert open_cohort(tmp_path).ids == ("new",)
    with pytest.raises(InputError, match="A folder is not whole"):
        open_cohort(tmp_path)["new"]
    with pytest.raises(OutputError, match=r"not empty.*what it made is whole now"), whole_or_nothing(root, "folder"):
        pass
    assert {path.name: path.read_text() for path in root.iterdir()} == {"a": "a", "b": "b", "c": "c"}


def test_a_prepared_scan_that_was_stopped_in_between_is_not_taken_for_whole(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    (folder / ".annofree-half").mkdir(parents=True)
    assert not prepared_before("x", tmp_path, ["order"])
    (folder / ".annofree-whole").mkdir(parents=True)
    (folder / "preparation.json").write_text('{"order": ["order"]}')
    (folder / ".annofree-whole" / "x_t1.nii.gz").write_text("image")
    assert prepared_before("x", tmp_path, ["order"])
    assert sorted(path.name for path in folder.iterdir()) == ["preparation.json", "x_t1.nii.gz"]
