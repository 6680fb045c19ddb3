"""Fingerprints of what goes in and what comes out: input files, model files, arrays, software, machine."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.formats.network_folder import file_hash
from annofree.pipeline import DEFAULT_METHOD, Choice
from annofree.processes import cores, side_by_side, threads
from annofree.scan import Origin, Scan
from annofree.segmentation import Segmentation

#: Packages whose versions may change a number.
PACKAGES = ("numpy", "scipy", "onnxruntime", "SimpleITK", "nibabel")
#: What tells one content of a file from another without reading it.
_STAMP = ("path", "size", "mtime_ns", "ctime_ns", "inode")
#: Clocks of file systems tick as seldom as every two seconds.
_YOUNG_NS = 2_000_000_000


def array_hash(array: NDArray[Any]) -> str:
    """SHA-256 of an array's type, shape and bytes in C order."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def origin_hashes(origin: Origin, known: Iterable[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """Role, path, size, time and SHA-256 of the files of a scan.

    Args:
        origin: Where the scan comes from.
        known: What an earlier call returned; a file of the same size, times and inode is not read again, unless it was
            so young then that a later change could carry the same time.

    Raises:
        OSError: A file is gone or unreadable.
    """
    before = {
        tuple(entry[name] for name in _STAMP): str(entry["sha256"])
        for entry in known
        if all(name in entry for name in (*_STAMP, "read_ns")) and entry["ctime_ns"] < entry["read_ns"] - _YOUNG_NS
    }
    found = []
    for role, file in origin.files:
        status = file.stat()
        stamp = (os.path.realpath(file), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        read = {"read_ns": time.time_ns(), "sha256": before.get(stamp) or file_hash(file)}
        found.append({"role": role, **dict(zip(_STAMP, stamp, strict=True)), **read})
    return found


def scan_hashes(scan: Scan) -> list[dict[str, Any]]:
    """The same for a scan that is in memory: its arrays, whatever files they came from."""
    arrays: list[tuple[str, NDArray[Any]]] = [(str(name), image) for name, image in scan.images.items()]
    arrays += [] if scan.brain is None else [("brain mask", scan.brain)]
    return [
        {
            "role": role,
            "path": str(scan.files.get(role, "")),
            "size": array.nbytes,
            "mtime_ns": 0,
            "sha256": array_hash(array),
        }
        for role, array in [*arrays, ("affine", scan.affine)]
    ]


def model_folder(choice: Choice) -> Path | None:
    """The folder of the model that a choice loads; None for a method that needs none."""
    from annofree.methods import WEIGHTS

    if choice.method is not None and not isinstance(choice.method, str):
        return None
    folder = Path(choice.model) if choice.model else WEIGHTS / (choice.method or DEFAULT_METHOD)
    return folder if folder.is_dir() else None


def model_hashes(choice: Choice) -> dict[str, str]:
    """SHA-256 of every file of the model, by its name inside the model folder; a SAM's files are among them."""
    if choice.method is not None and not isinstance(choice.method, str):
        with TemporaryDirectory() as temporary:  # a method from memory is known by what it would save
            choice.method.save(temporary)
            return model_hashes(replace(choice, method=None, model=temporary))
    folders = {"": model_folder(choice), "sam/": None if choice.sam is None else Path(choice.sam)}
    return {
        before + path.relative_to(folder).as_posix(): file_hash(path)
        for before, folder in folders.items()
        if folder is not None
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def result_hashes(result: Segmentation) -> dict[str, Any]:
    """SHA-256 of the labels and of each score map, on the scan's canonical grid."""
    arrays: list[NDArray[Any]] = [result.labels, *(score.values for score in result.scores.values())]
    labels, *scores = side_by_side(array_hash, arrays)
    return {"labels": labels, "scores": dict(zip(result.scores, scores, strict=True))}


def software() -> dict[str, Any]:
    """Versions of annofree, Python and every package that computes."""
    from annofree.version import VERSION

    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return {"annofree": VERSION, "python": platform.python_version(), "packages": found}


def machine() -> dict[str, Any]:
    """Where this process runs: host, system, processor, threads of the networks."""
    return {
        "host": platform.node(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "threads": threads(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine()
