"""The DICOM files of a folder or of a zip archive, and their headers."""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from annofree.errors import InputError
from annofree.formats.dicom.header import Frame, begins_like_dicom, looks_like_dicom, quiet, read_frames
from annofree.formats.names import is_volume
from annofree.formats.outfolder import is_ours

#: What an archive may unpack to: more than any study, less than a disk.
MAX_ZIP_BYTES = 16 * 1024**3
MAX_ZIP_MEMBERS = 200_000
#: DICOM pictures shrink to a third by deflate; an all-black one to a hundredth.
MAX_ZIP_RATIO = 200
#: Files that are looked at to tell whether a folder holds DICOM.
_GLANCES = 200
_ENDINGS = (".dcm", ".ima", ".dicom")
_OTHER_ENDINGS = tuple(".txt .json .tsv .csv .xml .html .pdf .png .jpg .zip .gz .npy .nii".split())  # noqa: SIM905


@dataclass(frozen=True)
class Found:
    """The headers below a folder.

    `without_picture` counts files that cannot be read, are damaged, or hold no picture.
    """

    frames: tuple[Frame, ...]
    without_picture: int


def is_zip(path: Path) -> bool:
    """Whether a path is a zip archive by its name and its beginning."""
    return path.name.lower().endswith(".zip") and path.is_file() and zipfile.is_zipfile(path)


def zip_holds(path: Path, *, unpacked_beside: bool = True) -> str | None:
    """What scans a zip archive holds by the names in it, in words; None for an archive without any.

    Without `unpacked_beside` nothing either where what it unpacks to lies beside it already.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            members = [PurePosixPath(name) for name in opened.namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, OSError):
        return None
    here, tops = path.absolute().parent, {path.stem, *(top for member in members for top in member.parts[:1])}
    shown = [member for member in members if not member.name.startswith(".")]
    dicom = [m for m in shown if m.name.lower().endswith(_ENDINGS) or m.name.lower() == "dicomdir"]
    volumes = [member for member in shown if is_volume(Path(member.name))]
    scans = dicom or volumes
    if not unpacked_beside and (
        any((here / top).exists() for top in tops)
        or all((here / scan.name).exists() for scan in scans)
        or all((here.parent / scan).exists() for scan in scans)
    ):
        return None
    if dicom:
        return "DICOM"
    return f"{len(volumes)} NIfTI file{'s' if len(volumes) > 1 else ''} and no DICOM" if volumes else None


def is_dicom_file(path: Path) -> bool:
    """Whether a path is a DICOM file, or a zip archive, which may hold some."""
    return is_zip(path) or (path.is_file() and may_be_dicom(path) and looks_like_dicom(path))


def may_be_dicom(path: Path) -> bool:
    """Whether a file's name leaves it open that it is one picture or object of DICOM."""
    return not path.name.lower().endswith(_OTHER_ENDINGS) and not is_volume(path)


def holds_dicom(folder: Path) -> bool:
    """Whether a folder holds DICOM, by a quick look at its first files; a BIDS data set keeps its own as sources."""
    if (folder / "dataset_description.json").is_file():
        return False
    for path in islice(walk(folder, tolerant=True), _GLANCES):
        name = path.name.lower()
        if name == "dicomdir" or (not name.endswith(_OTHER_ENDINGS) and looks_like_dicom(path)):
            return True
    return False


def read_headers(folder: Path) -> Found:
    """Read the header of every DICOM file below a folder, or of one file; no pixel is read."""
    frames: list[Frame] = []
    lost = 0
    with quiet():
        for path in [folder] if folder.is_file() else walk(folder):
            name = path.name.lower()
            if name == "dicomdir" or name.endswith(_OTHER_ENDINGS):
                continue
            try:
                with path.open("rb") as handle:
                    if not begins_like_dicom(handle):
                        continue
                    read = read_frames(path, handle)
            except OSError:
                read = None
            if read:
                frames += read
            else:
                lost += 1
    return Found(tuple(frames), lost)


def walk(folder: Path, *, tolerant: bool = False) -> Iterator[Path]:
    """The files below a folder, the shallow ones first, in the order of their names.

    Links to folders are not followed, and our own output, which may hold DICOM SEG, is passed over.

    Raises:
        InputError: A folder cannot be read, unless `tolerant`.
    """
    todo = deque([folder])
    while todo:
        try:
            entries = sorted(os.scandir(todo.popleft()), key=lambda entry: entry.name)
        except OSError as error:
            if tolerant:
                continue
            fix = (
                "Check the path"
                if isinstance(error, FileNotFoundError | NotADirectoryError)
                else "Check its permissions"
            )
            raise InputError("A folder cannot be read", file=folder, why=error.strerror, fix=fix) from None
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if not is_ours(Path(entry.path)):
                    todo.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False) or Path(entry.path).is_file():  # not where links lead nowhere
                yield Path(entry.path)


def unpack(archive: Path) -> Path:
    """Unpack the files of a zip archive under numbers into a folder that goes when the process ends.

    No name of the archive becomes a name on this machine, so nothing can be written elsewhere, and names of patients
    in its folders are left behind.

    Raises:
        InputError: It is damaged, encrypted, or unpacks to more than a study has.
    """
    folder = Path(tempfile.mkdtemp(prefix="annofree-dicom-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            _refuse_unsafe(archive, members)
            pictures = [member for member in members if PurePosixPath(member.filename).name.lower() != "dicomdir"]
            for number, member in enumerate(pictures):
                ending = PurePosixPath(member.filename).suffix.lower()
                target = folder / f"{number:06d}{ending if ending in _ENDINGS + _OTHER_ENDINGS else ''}"
                with opened.open(member) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, zlib.error) as error:
        shutil.rmtree(folder, ignore_errors=True)
        why = "the disk is full" if getattr(error, "errno", None) == 28 else "it is damaged or cut short"
        raise InputError("An archive cannot be unpacked", file=archive, why=why, fix="Copy it again") from None
    except InputError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _refuse_unsafe(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    size, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    why = None
    if any(_leaves(member.filename) for member in members):
        why = "a path inside it leads out of the folder"
    elif any(stat.S_ISLNK(member.external_attr >> 16) for member in members):
        why = "it holds links"
    elif any(member.flag_bits & 1 for member in members):
        why = "it is encrypted"
    elif len(members) > MAX_ZIP_MEMBERS:
        why = f"it holds {len(members)} files"
    elif size > MAX_ZIP_BYTES or (size > 1 << 28 and size > MAX_ZIP_RATIO * max(packed, 1)):
        why = f"it would unpack to {size / 1e9:.1f} GB from {packed / 1e9:.3f} GB"
    if why is not None:
        raise InputError(
            "An archive is not unpacked", file=archive, why=why, fix="Unpack it yourself and name the folder"
        )


def _leaves(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return not parts or parts[0] == "/" or ".." in parts or ":" in parts[0]
