"""A zip archive gives the same scan as its folder, and no archive does harm."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError
from annofree.formats import open_cohort, open_scan
from annofree.formats.dicom import files

from ..conftest import brain_image
from .made import header, save, slices


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    array = np.asarray(brain_image(), np.int32)
    datasets = slices(array, np.diag([4.5, 4.5, 4.5, 1]), header("FLAIR", 1))
    return save(tmp_path_factory.mktemp("study") / "DOE JOHN", datasets)


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, f"{folder.name}/{file.name}")
    return path


def test_an_archive_is_its_folder(folder: Path, tmp_path: Path) -> None:
    path = zipped(folder, tmp_path / "a.zip")
    one, other = open_scan(folder), open_scan(path)
    assert one.id == other.id
    assert np.array_equal(one.images[one.sequences[0]], other.images[other.sequences[0]])
    cohort = open_cohort(path)
    assert cohort.origin(one.id) is not None
    assert cohort.origin(one.id) == open_cohort(folder).origin(one.id)


@pytest.mark.parametrize(
    "name", ["../escaped.dcm", "/tmp/escaped.dcm", "a/../../escaped.dcm", "..\\escaped.dcm", "C:\\x"]
)
def test_paths_out_of_the_folder_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    path = zipped(folder, tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(InputError, match="leads out of the folder"):
        open_scan(path)
    assert not (tmp_path / "escaped.dcm").exists()
    assert not (tmp_path.parent / "escaped.dcm").exists()


def test_links_are_refused(folder: Path, tmp_path: Path) -> None:
    path = zipped(folder, tmp_path / "a.zip")
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="it holds links"):
        open_scan(path)


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ZIP_BYTES", 1 << 20)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2 << 20))
    with pytest.raises(InputError, match="would unpack to"):
        open_scan(path)


def test_a_damaged_archive_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    path = zipped(folder, tmp_path / "a.zip")
    content = bytearray(path.read_bytes())
    content[2000:4000] = bytes(2000)
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="damaged or cut short"):
        open_scan(path)


def test_an_archive_without_dicom(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match="No DICOM picture was found"):
        open_scan(tmp_path / "a.zip")
