"""Checks of the installation, each with its remedy."""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from annofree.extras import EXTRAS

#: Seconds that the self-test may take before the machine is called slow.
SELF_TEST_S = 10.0
#: Memory below which one scan at a time, and the quick setting, are advised, GiB.
SMALL_GIB = 4.0


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
    yield from _engine()
    yield from _torch()
    yield _torchvision()
    yield _memory()
    yield from _writing()
    yield _weights()
    yield from _extras()
    yield _self_test()


def _python() -> Check:
    from annofree.processes import cores
    from annofree.version import VERSION

    system = f"{platform.system()} {platform.machine()}, {cores()} cores"
    return Check("ok", f"annofree {VERSION}, Python {platform.python_version()}, {system}")


def _packages() -> Iterator[Check]:
    for name in ("numpy", "scipy", "nibabel", "SimpleITK", "onnxruntime"):
        try:
            yield Check("ok", f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Check("bad", f"{name} is missing", f"pip install {name}")


def _engine() -> Iterator[Check]:
    """What computes the networks of a segmentation."""
    try:
        from annofree.inference.network import PROVIDERS, providers
        from annofree.processes import threads

        found = providers("auto")
    except Exception as error:  # a runtime for another processor fails in as many ways as there are systems
        yield Check("bad", f"onnxruntime cannot be used: {error}", "pip install --force-reinstall onnxruntime")
        return
    names = {provider: name for name, provider in PROVIDERS.items()}
    yield Check("ok", f"networks are computed on {names[found[0]]}, threads: {threads()}")


def _torch() -> Iterator[Check]:
    """Torch, which only fitting needs."""
    if find_spec("torch") is None:
        return
    try:
        torch = import_module("torch")
    except Exception as error:  # a broken torch fails in many ways, each of which is worth a line here
        yield Check("bad", f"torch cannot be imported: {error}", "Reinstall it: pip install --force-reinstall torch")
        return
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    yield Check("ok", f"torch {torch.__version__} ({build} build), threads: {torch.get_num_threads()}")
    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        yield Check("ok", f"device cuda: {device.name}, {device.total_memory / 2**30:.0f} GiB")
    elif torch.version.cuda and shutil.which("nvidia-smi"):
        fix = "The driver does not fit this build: update it, or install another build of torch"
        yield Check("note", "device cpu, though there is an NVIDIA driver", fix)
    else:
        yield Check("ok", "device cpu")


def _torchvision() -> Check:
    if find_spec("torchvision") is None:
        return Check("ok", "torchvision: not installed (annofree does not need it)")
    try:
        import_module("torchvision")
    except Exception as error:  # an unfit build raises RuntimeError, OSError or AttributeError
        fix = "It does not fit this torch; pip uninstall torchvision, or SAM fails."
        return Check("bad", f"torchvision is broken: {error}", fix)
    return Check("ok", f"torchvision {version('torchvision')}")


def _memory() -> Check:
    memory = import_module("psutil").virtual_memory()
    total, free = memory.total / 2**30, memory.available / 2**30
    text = f"memory {total:.1f} GiB, {free:.1f} GiB available"
    return Check("ok", text) if total >= SMALL_GIB else Check("note", text, "Use --quality fast and --workers 1.")


def _writing() -> Iterator[Check]:
    for name, folder, fix in (
        ("this folder", Path.cwd(), "Give -o a folder that you may write to."),
        ("the temporary folder", Path(tempfile.gettempdir()), "Set TMPDIR to a folder that you may write to."),
    ):
        try:
            with tempfile.TemporaryFile(dir=folder):
                free = shutil.disk_usage(folder).free / 2**30
        except OSError as error:
            yield Check("bad", f"{name} cannot be written: {error.strerror} ({folder})", fix)
            continue
        text = f"{name} can be written, {free:.0f} GiB free"
        yield Check("ok", text) if free > 2 else Check("note", text, "A scan with its scores and page takes 20 MB.")


def _weights() -> Check:
    """The models that come with the package: each has to be whole."""
    from annofree.methods import METHODS, shipped

    broken = []
    for name in (row.name for row in METHODS.values() if row.ships):
        try:
            shipped(name)
        except Exception as error:  # a file cut short fails in as many ways as there are readers
            broken.append(f"{name} ({' '.join(str(error).split())[:80] or type(error).__name__})")
    if broken:
        return Check("bad", f"models that do not load: {', '.join(broken)}", "Install annofree again")
    return Check("ok", "all models that come with the package load")


def _extras() -> Iterator[Check]:
    for extra, (packages, enables) in EXTRAS.items():
        if missing := [package for package in packages if find_spec(package) is None]:
            state = "not installed" if packages[0] in missing else f"not whole, {', '.join(missing)} missing"
            fix = f"It would enable {enables}. pip install 'annofree[{extra}]'"
            yield Check("note", f"extra {extra}: {state}", fix)
        else:
            yield Check("ok", f"extra {extra}: there, for {enables}")


def _self_test() -> Check:
    """The default method on a coarse phantom, from scan to lesions."""
    started = time.monotonic()
    try:
        from annofree.phantom import phantom_subject
        from annofree.pipeline import DEFAULT_METHOD
        from annofree.segmenter import segment

        scan = phantom_subject(seed=3, spacing_mm=4.0).scan
        result = segment(scan, method=DEFAULT_METHOD, locate=False, quality="fast")
    except Exception as error:  # whatever breaks here is what the user came to learn
        return Check("bad", f"self-test failed: {type(error).__name__}: {error}", "Report this line with your version.")
    seconds = time.monotonic() - started
    found = f"{result.volumes_ml['WT']:.0f} ml found in a phantom by {DEFAULT_METHOD}, {seconds:.1f} s"
    if seconds > SELF_TEST_S:
        return Check("note", f"self-test: {found}", "This machine is slow or busy: use --quality fast")
    return Check("ok", f"self-test: {found}")
