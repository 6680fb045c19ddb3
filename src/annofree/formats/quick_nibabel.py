"""nibabel in half its time: without pydicom, which it would load for a NIfTI extension that annofree never reads."""

from __future__ import annotations

import sys
from typing import Any


def load_nibabel() -> None:
    """Import nibabel before anything else does; call it while no other thread imports.

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
