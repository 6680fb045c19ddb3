"""annofree: brain-tumour segmentation in MRI from data that nobody annotated.

Research software, not a medical device.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from annofree.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from annofree import methods as methods
    from annofree.formats import open_cohort as open_cohort
    from annofree.formats import open_scan as open_scan
    from annofree.methods import load as load
    from annofree.pipeline import segment as segment
    from annofree.scan import Cohort as Cohort
    from annofree.scan import Modality as Modality
    from annofree.scan import Scan as Scan
    from annofree.segmentation import Segmentation as Segmentation

_LAZY = {
    "Cohort": "annofree.scan",
    "Scan": "annofree.scan",
    "Modality": "annofree.scan",
    "Segmentation": "annofree.segmentation",
    "load": "annofree.methods",
    "methods": "annofree.methods",
    "open_cohort": "annofree.formats",
    "open_scan": "annofree.formats",
    "segment": "annofree.pipeline",
}
__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that `import annofree` stays quick."""
    if name not in _LAZY:
        raise AttributeError(f"module 'annofree' has no attribute '{name}'")
    module = import_module(_LAZY[name])
    return module if name == "methods" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
