"""A zip archive gives the same scan as its folder, and no archive does harm."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError
from annofree.formats import open_cohort, open_scan
from annofree.formats.dicom import files

from ..conftest import brain_image, save_patient
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


def packed_nifti(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("P1/t1.nii.gz", "P1/flair.nii.gz", "__MACOSX/P1/._t1.nii.gz"):
            archive.writestr(name, b"x")
    return path


def test_an_archive_of_nifti_says_what_to_do_and_is_not_lost_among_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Only DICOM is read .*a\.zip\): it holds 2 NIfTI files.*Unpack it"):
        open_scan(packed_nifti(tmp_path / "a.zip"))
    save_patient(tmp_path / "many" / "P2", "t1.nii.gz")
    (tmp_path / "many" / "P3").mkdir()
    packed_nifti(tmp_path / "many" / "P1.zip"), packed_nifti(tmp_path / "many" / "P3.zip")  # P3 is unpacked beside it
    zipped(folder, tmp_path / "many" / "P4.ZIP")
    with zipfile.ZipFile(tmp_path / "many" / "code.zip", "w") as archive:
        archive.writestr("main.py", "")
    cohort = open_cohort(tmp_path / "many")
    assert set(cohort.ids) == {"P1", "P2", "P4"}
    with pytest.raises(InputError, match=r"P1\.zip\): it holds 2 NIfTI files and no DICOM\. Unpack it"):
        cohort["P1"]
    with pytest.raises(InputError, match=r"P4\.ZIP\): it holds DICOM\. Name it itself"):
        cohort["P4"]


@pytest.mark.parametrize("inside", ["many/P1/t1.nii.gz", "elsewhere/P2/t1.nii.gz"])
def test_an_archive_that_was_unpacked_one_folder_up_is_no_failure(tmp_path: Path, inside: str) -> None:
    save_patient(tmp_path / "many" / "P1", "t1.nii.gz")
    (tmp_path / "many" / "readme.txt").touch()
    with zipfile.ZipFile(tmp_path / "many" / "download.zip", "w") as archive:
        archive.writestr("elsewhere/readme.txt", b"x")
        archive.writestr(inside, b"x")
    unpacked = inside.startswith("many")
    assert set(open_cohort(tmp_path / "many").ids) == ({"P1"} if unpacked else {"P1", "download"})


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar", "a.7z", "a.rar"])
def test_other_archives_are_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / name).write_bytes(b"\x1f\x8b")
    with pytest.raises(InputError, match=rf"An archive is not opened .*{name}\).*Unpack it and name the folder"):
        open_cohort(tmp_path / "x" / name)
    with pytest.raises(InputError, match=rf"it holds archives, for instance {name}"):
        open_cohort(tmp_path / "x")


def test_the_index_of_a_disc_is_no_damaged_picture(folder: Path, tmp_path: Path) -> None:
    path = zipped(folder, tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("DICOMDIR", bytes(128) + b"DICM" + bytes(20))
    assert not any("damaged" in note for note in open_scan(path).notes)


def test_a_folder_that_is_not_there_is_a_matter_of_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(InputError, match=rf"{place.name}.*Check the path"):
            list(files.walk(place))
