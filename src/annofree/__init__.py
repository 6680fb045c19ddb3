"""annofree: brain-tumour segmentation in MRI from data that nobody annotated.

Research software, not a medical device.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from annofree.hooks import HOOKS
from annofree.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from annofree import methods as methods
    from annofree import prepare as prepare
    from annofree.evaluation.compare import compare as compare
    from annofree.evaluation.evaluate import evaluate as evaluate
    from annofree.formats import open_cohort as open_cohort
    from annofree.formats import open_scan as open_scan
    from annofree.methods import load as load
    from annofree.pipeline import fit as fit
    from annofree.review import review as review
    from annofree.scan import Cohort as Cohort
    from annofree.scan import Modality as Modality
    from annofree.scan import Scan as Scan
    from annofree.segmentation import Segmentation as Segmentation
    from annofree.segmenter import Segmenter as Segmenter
    from annofree.segmenter import open as open
    from annofree.segmenter import segment as segment

#: The face: name, module, and the name there; rooms that can be called have none.
_FACE = {
    "Cohort": ("annofree.scan", "Cohort"),
    "Modality": ("annofree.scan", "Modality"),
    "Scan": ("annofree.scan", "Scan"),
    "Segmentation": ("annofree.segmentation", "Segmentation"),
    "Segmenter": ("annofree.segmenter", "Segmenter"),
    "compare": ("annofree.evaluation.compare", "compare"),
    "evaluate": ("annofree.evaluation.evaluate", "evaluate"),
    "fit": ("annofree.pipeline", "fit"),
    "load": ("annofree.methods", "load"),
    "methods": ("annofree.methods", ""),
    "open": ("annofree.segmenter", "open"),
    "open_cohort": ("annofree.formats", "open_cohort"),
    "open_scan": ("annofree.formats", "open_scan"),
    "prepare": ("annofree.prepare", ""),
    "review": ("annofree.review", ""),
    "segment": ("annofree.segmenter", "segment"),
}
__all__ = ["__version__", *_FACE]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that `import annofree` stays quick."""
    if name not in _FACE:
        raise AttributeError(f"module 'annofree' has no attribute '{name}'")
    module, inside = _FACE[name]
    loaded = import_module(module)
    return getattr(loaded, inside) if inside else loaded


def __dir__() -> list[str]:
    return sorted(__all__)


def _save(result: Any, out: Any, page: bool) -> Path:
    from annofree.formats.derivatives import write_segmentation

    written = write_segmentation(result, out)
    if result.scan is not None:
        from annofree.prepare.natives import write_natives

        write_natives(result, result.scan, out)
    from annofree.review.remake import drop_page, write_own_page

    drop_page(result, out)
    if page:
        write_own_page(result, out)
    return written


def _html(result: Any) -> str:
    from annofree.review.notebook import notebook_html

    return notebook_html(result)


HOOKS.save, HOOKS.html = _save, _html
