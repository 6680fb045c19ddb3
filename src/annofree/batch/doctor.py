"""Checks of the installation, each with its remedy."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

#: Optional packages and what each enables.
EXTRAS = {
    "transformers": "SAM as a refiner: pip install transformers",
    "dask_jobqueue": "cohorts on SLURM and other clusters: pip install dask-jobqueue",
    "openpyxl": "region tables as .xlsx: pip install openpyxl",
}


@dataclass(frozen=True)
class Check:
    """One line of `annofree doctor`."""

    state: Literal["ok", "note", "bad"]
    what: str
    fix: str = ""


def examine() -> Iterator[Check]:
    """Run all checks, one after the other."""
    yield _python()
    yield from _packages()
    yield from _torch()
    yield _torchvision()
    yield _memory()
    yield _writing()
    for name, enables in EXTRAS.items():
        there = find_spec(name) is not None
        yield Check(
            "ok" if there else "note",
            f"extra {name}: {'there' if there else 'not installed'}",
            "" if there else f"It would enable {enables}.",
        )
    yield _self_test()


def _python() -> Check:
    text = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return Check("ok", text)


def _packages() -> Iterator[Check]:
    for name in ("numpy", "scipy", "nibabel", "SimpleITK", "scikit-image", "nilearn", "monai"):
        try:
            yield Check("ok", f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Check("bad", f"{name} is missing", f"pip install {name}")


def _torch() -> Iterator[Check]:
    try:
        torch = import_module("torch")
    except Exception as error:  # a broken torch fails in many ways, each of which is worth a line here
        yield Check("bad", f"torch cannot be imported: {error}", "Reinstall it: pip install --force-reinstall torch")
        return
    device = "cuda: " + torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    yield Check("ok", f"torch {torch.__version__}, device {device}")


def _torchvision() -> Check:
    if find_spec("torchvision") is None:
        return Check("ok", "torchvision: not installed (annofree does not need it)")
    try:
        import_module("torchvision")
    except Exception as error:  # an unfit build raises RuntimeError, OSError or AttributeError
        return Check(
            "bad",
            f"torchvision is broken: {error}",
            "It does not fit this torch; pip uninstall torchvision, or SAM fails.",
        )
    return Check("ok", f"torchvision {version('torchvision')}")


def _memory() -> Check:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError, AttributeError):
        return Check("note", "memory: this system does not say how much there is")
    text = f"memory {total:.0f} GiB"
    return Check("ok", text) if total >= 4 else Check("note", text, "Use --quality fast and --workers 1.")


def _writing() -> Check:
    try:
        with tempfile.TemporaryDirectory() as folder:
            free = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        return Check("bad", f"no temporary folder can be written: {error}", "Set TMPDIR to a folder you may write to.")
    return Check("ok" if free > 2 else "note", f"temporary folder can be written, {free:.0f} GiB free")


def _self_test() -> Check:
    started = time.monotonic()
    try:
        from annofree.phantom import phantom_subject
        from annofree.pipeline import segment

        result = segment(phantom_subject(seed=3).scan, method="intensity-published", locate=False)
    except Exception as error:  # whatever breaks here is what the user came to learn
        return Check("bad", f"self-test failed: {type(error).__name__}: {error}", "Report this line with your version.")
    return Check(
        "ok", f"self-test: {result.volumes_ml['WT']:.0f} ml found in a phantom, {time.monotonic() - started:.1f} s"
    )
