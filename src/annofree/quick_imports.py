"""Libraries in less than their usual time: without what they would load and annofree never uses."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import numpy, SciPy and nibabel, and whatever the block imports; call it while no other thread imports.

    Nothing is collected meanwhile: what an import makes stays.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        _load_scipy()
        _load_nibabel()
        yield
    finally:
        if collects:
            gc.enable()


def _load_scipy() -> None:
    """SciPy without numpy's Fortran compiler, which it would load to copy the names of numpy's rooms."""
    if "scipy.ndimage" in sys.modules or "numpy.f2py" in sys.modules:
        return
    import numpy

    numpy.f2py = ModuleType("numpy.f2py")  # type: ignore[attr-defined]
    try:
        import scipy.ndimage  # noqa: F401
    finally:
        del numpy.f2py  # whoever asks for it from now on gets the real one


def _load_nibabel() -> None:
    """Nibabel without pydicom, which it would load for a NIfTI extension that annofree never reads.

    nibabel's own way of doing without pydicom is to keep such an extension as bytes. pydicom itself stays importable.
    """
    if "nibabel" in sys.modules or "pydicom" in sys.modules:
        return
    modules: dict[str, Any] = sys.modules
    modules["pydicom"] = None
    try:
        import nibabel  # noqa: F401
    finally:
        del modules["pydicom"]
