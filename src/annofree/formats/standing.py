"""What stands already is not written over: files, folders, and the folder of a fit or data set while it is made.

And what an order was made of, which must be the same for it to go on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, OutputError, some
from annofree.formats.lock import LOCK, only_run
from annofree.formats.names import is_volume
from annofree.formats.network_folder import file_hash, text_hash
from annofree.formats.outfolder import leaving_nothing, read_json, refuse_no_folder, write_json
from annofree.scan import Cohort
from annofree.settings import Settings

#: Stands in a model folder from the beginning of a fit to its end.
MARK = ".annofree-fit.json"
#: Hold the content of a folder of `whole_or_nothing` while it is made, and while it moves up.
_HALF, _WHOLE = ".annofree-half", ".annofree-whole"


def refuse_standing(*outputs: str | Path, inputs: tuple[str | Path, ...] = (), overwrite: bool | None = None) -> None:
    """Refuse by an `OutputError` output files that are inputs, that are one another, or that stand already.

    `overwrite` lets files that stand be replaced; inputs never are. None is for verbs that have no such option.
    """
    seen = {Path(os.path.realpath(path)): "is read as well" for path in inputs}
    for path in map(Path, outputs):
        place = Path(os.path.realpath(path))
        twin = next((told for other, told in seen.items() if other == place or _same(other, place)), None)
        if twin is not None:
            raise OutputError("A file to write is named twice", file=path, why=f"it {twin}", fix="Name another file")
        seen[place] = "is written as well"
        if path.is_dir():
            raise OutputError("A file to write is a folder", file=path, fix="Name a file")
        if path.exists() and not overwrite:
            fix = "Name another file" + ("" if overwrite is None else ", or allow it with --overwrite")
            raise OutputError("A file stands there already", file=path, fix=fix)


def refuse_filled(folder: Path, what: str) -> None:
    """Refuse by an `OutputError` a folder to write that holds something, cannot be, or is written into by another run.

    `what` names it, such as "folder for the masks".
    """
    refuse_no_folder(folder)
    _refuse_filled(folder, what, settle(folder))


def _refuse_filled(folder: Path, what: str, stopped: bool) -> None:
    if folder.exists() and any(path.name != LOCK for path in folder.iterdir()):
        why = "a run before was stopped at its very end, and what it made is whole now" if stopped else None
        raise OutputError(f"The {what} is not empty", file=folder, why=why, fix="Name a new folder with -o")


def settle(folder: Path) -> bool:
    """Put right what a process that was killed left of `whole_or_nothing`: half goes, what was whole moves up.

    Returns whether anything moved up.

    Raises:
        OutputError: It cannot be moved, or the process is at work still.
    """
    if not (folder / _HALF).is_dir() and not (folder / _WHOLE).is_dir():
        return False
    with only_run(folder):
        return _settle(folder)


def _settle(folder: Path) -> bool:
    shutil.rmtree(folder / _HALF, ignore_errors=True)
    whole = folder / _WHOLE
    if not whole.is_dir():
        return False
    try:
        for path in sorted(whole.iterdir()):
            path.replace(folder / path.name)
        whole.rmdir()
    except OSError as error:
        why = f"what a run before made cannot be moved up from {_WHOLE}: {error.strerror}"
        raise OutputError("A folder cannot be written", file=folder, why=why, fix="Move it yourself") from None
    return True


def refuse_unsettled(folder: Path) -> None:
    """Refuse by an `InputError` to read a folder whose making was killed before all had moved up (`settle`)."""
    if (folder / _WHOLE).is_dir():
        why, fix = "the run that made it was stopped as it put its files in place", "Run the same command again"
        raise InputError("A folder is not whole", file=folder, why=why, fix=fix)


@contextmanager
def whole_or_nothing(root: Path, what: str) -> Iterator[Path]:
    """A folder inside `root` whose content moves up when all went well, and goes when anything did not.

    Where the process is killed as it moves up, `settle` ends that, and until then nothing is read of the folder. `root`
    must be absent or empty; `what` names it, as for `refuse_filled`.

    Raises:
        OutputError: It holds something, cannot be written, or another run is writing into it.
    """
    refuse_no_folder(root)
    made, half = not root.exists(), root / _HALF
    try:
        root.mkdir(parents=True, exist_ok=True)
        with only_run(root):
            _refuse_filled(root, what, _settle(root))
            try:
                half.mkdir()
                yield half
                half.replace(root / _WHOLE)
                _settle(root)
            finally:
                shutil.rmtree(half, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"The {what} cannot be written", file=root, why=error.strerror) from None
    finally:
        if made:
            with suppress(OSError):  # it holds what was made
                root.rmdir()


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def listed(cohort: Cohort | None) -> list[str]:
    """Each scan of a cohort with a digest of what it is read from: what an order names, wherever the files lie."""
    origins = {} if cohort is None else {scan_id: cohort.origin(scan_id) for scan_id in cohort.ids}
    return [
        stamped(scan_id, () if own is None else own.files, None if own is None else own.options)
        for scan_id, own in origins.items()
    ]


def stamped(name: str, files: Iterable[tuple[str, Path]], more: Any = None) -> str:
    """A name with a digest of its files' roles, names and contents, and of `more`; a copy of them is the same."""
    told = []
    for role, path in files:
        try:
            told.append(f"{role} {path.name} {_content(path)}")
        except OSError:  # a link that leads nowhere: whoever reads it says so
            told.append(f"{role} {path.name}")
    return f"{name} {text_hash(sorted(told), more)}"


def _content(path: Path) -> str:
    """What a file holds: size and checksum as gzip states them at its end, so that no image is read; else SHA-256."""
    with path.open("rb") as file:
        head = file.read(4)
        if head[:3] != b"\x1f\x8b\x08" or head[3] & 4:  # or one of the forms that have many such ends
            return file_hash(path)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 8))
        return f"{size} {file.read().hex()}"


def held(name: str, *arrays: NDArray[Any]) -> str:
    """A name with a digest of arrays that are in memory."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return f"{name} {digest.hexdigest()[:16]}"


def listed_folder(place: Path) -> list[str]:
    """A file, or each volume below a folder, or each file where it holds none, with a digest.

    What unfinished work has written into a folder below it does not count.
    """
    if place.is_file():
        return [stamped(place.name, [("", place)])]
    begun = {mark.parent for mark in place.rglob(MARK)}
    files = [path for path in sorted(place.rglob("*")) if path.is_file() and begun.isdisjoint(path.parents)]
    files = [path for path in files if is_volume(path)] or files
    return [stamped(str(path.relative_to(place)), [("", path)]) for path in files]


def ordered(settings: Settings, exclude: Set[str] = frozenset()) -> dict[str, Any]:
    """Settings as plain values for an order; files and folders that they name stand there with a digest."""
    told = settings.model_dump(mode="json", exclude=set(exclude))
    for name, words in settings.places.items():
        if told.get(name) is not None and told[name] not in words:
            told[name] = listed_folder(Path(told[name]))
    return told


@contextmanager
def unfinished_fit(folder: Path, method: str, asked: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Within this context a folder belongs to a fit of one method, or other long work of that name, and to one run.

    The folder must be absent, empty, or hold an unfinished fit of the same method with the same settings and scans,
    which goes on. A mark says so until the fit has ended well. `asked` is what else must be the same for the fit to go
    on, as plain values.

    Raises:
        OutputError: It holds something else, or another run is writing into it.
    """
    wanted = json.loads(json.dumps({"method": method, "asked": asked or {}}))
    if os.environ.get("RANK", "0") not in ("", "0"):  # torchrun starts a process a card; the first one asks for all
        yield
        return
    with leaving_nothing(folder, {MARK}):
        _refuse_other_fit(folder, method, wanted)
        with only_run(folder):
            write_json(folder / MARK, wanted)
            yield
            (folder / MARK).unlink(missing_ok=True)


def _refuse_other_fit(folder: Path, method: str, wanted: Mapping[str, Any]) -> None:
    """Make the folder, or see that what lies in it is an unfinished fit of the same."""
    fix = "Name another folder with -o"
    refuse_no_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in folder.iterdir() if path.name not in (LOCK, MARK, ".DS_Store"))
    except OSError as error:
        raise OutputError("The output folder cannot be made", file=folder, why=error.strerror, fix=fix) from None
    begun = _begun(folder)
    if others and begun is None:
        why = f"for instance {others[0]}"
        raise OutputError("The output folder holds a finished run or other files", file=folder, why=why, fix=fix)
    if others and begun is not None and begun != wanted:
        if begun["method"] != method:
            why = f"it holds an unfinished run of '{begun['method']}'"
            raise OutputError("The output folder belongs to another method", file=folder, why=why, fix=fix)
        raise OutputError(
            "The output folder holds an unfinished run of other settings or scans",
            file=folder,
            why="; ".join(_differences(begun.get("asked", {}), wanted["asked"])),
            fix="Give the same again to go on, or name another folder with -o",
        )


def _begun(folder: Path) -> dict[str, Any] | None:
    begun = read_json(folder / MARK)
    return begun if isinstance(begun, dict) and "method" in begun else None


def _differences(begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """What differs, one clause each: "steps was 400 and is now 300"."""
    for key in sorted(begun.keys() | wanted.keys()):
        before, now = begun.get(key), wanted.get(key)
        if before == now:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            yield from _differences(before, now)
        elif isinstance(before, list) and isinstance(now, list) and _names(before) == _names(now):
            yield f"{key}: the same names, other files"
        elif isinstance(before, list) or isinstance(now, list):
            yield f"other {key} ({_count(before)} before, {_count(now)} now)"
        else:
            yield f"{key} was {before} and is now {now}"


def _names(entries: list[Any]) -> list[Any]:
    """What `stamped` named, without the digests."""
    return [entry.rpartition(" ")[0] if isinstance(entry, str) else entry for entry in entries]


def _count(entries: Any) -> int:
    return len(entries) if isinstance(entries, list) else int(entries is not None)


def refuse_shared(healthy: Cohort | None, patients: Cohort | None) -> None:
    """Refuse by an `InputError` files of both a healthy scan and a patient: a tumour would be taken for healthy.

    A DICOM study is known by its id, which is made from the study's UID.
    """

    def sources(cohort: Cohort | None) -> dict[Path | str, str]:
        origins = {} if cohort is None else {scan_id: cohort.origin(scan_id) for scan_id in cohort.ids}
        found: dict[Path | str, str] = {}
        for scan_id, own in origins.items():
            if own is not None:
                images = [path.resolve() for role, path in own.files if role != "brain mask"]
                found |= dict.fromkeys(images, scan_id) if images else {scan_id: scan_id}
        return found

    well, ill = sources(healthy), sources(patients)
    if both := sorted({well[source] for source in well.keys() & ill.keys()}):
        what = f"{some(both)} {'is' if len(both) == 1 else 'are'} among the healthy scans and among the patients"
        raise InputError(what, why="who has a tumour must not teach what is healthy", fix="Give two folders")
