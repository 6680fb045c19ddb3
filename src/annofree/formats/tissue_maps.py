"""Label maps of tissues, as fMRIPrep and sMRIPrep call them by BIDS names (`sub-01_dseg`): no truth for a tumour."""

from __future__ import annotations

import json
import re
from pathlib import Path

from annofree.errors import InputError
from annofree.formats.names import stem_of
from annofree.formats.outfolder import read_table

_TISSUE = re.compile(
    r"csf|gm|wm|.*(gr[ae]y|white)[-_ ]?matter|cerebro[-_ ]?spinal.*|.*(ventricles?|cortex|thalamus|hippocampus)",
    flags=re.IGNORECASE,
)
#: So many folders up a label table of BIDS may lie: session, subject, data set.
_ABOVE = 4


def tissues_of(path: Path) -> str:
    """What a label map is where its label table, or maps of the same tissues beside it, say tissues; else nothing.

    Example:
        >>> tissues_of(Path("sub-01_dseg.nii.gz"))
        ''
    """
    stem = stem_of(path.name)
    for table in label_tables(path):
        tissues = [name for name in _names(table) if _TISSUE.fullmatch(name)]
        if len(tissues) > 1:
            return f"a map of tissues by {table.name} ({', '.join(tissues[:3])}{', ...' if len(tissues) > 3 else ''})"
    beside = [f"{stem.removesuffix('_dseg')}_label-{tissue}_probseg" for tissue in ("CSF", "GM", "WM")]
    if stem.endswith("_dseg") and all(path.with_name(f"{name}.nii.gz").exists() for name in beside):
        return "a map of tissues by those of CSF, GM and WM beside it"
    return ""


def label_tables(path: Path) -> list[Path]:
    """The label tables of a map that are there: its own, and those of BIDS in the folders above."""
    stem = stem_of(path.name)
    described = re.search(r"_(desc-[A-Za-z0-9]+_)?dseg$", stem)
    names = [f"{described[1] or ''}dseg", "dseg"] if described else []
    above = list(path.absolute().parents)[:_ABOVE]
    found = [path.with_name(stem), *(folder / name for folder in above for name in names)]
    return [file for place in found for end in (".tsv", ".json") if (file := Path(f"{place}{end}")).is_file()]


def _names(table: Path) -> list[str]:
    try:
        if table.suffix == ".tsv":
            return [str(row.get("name", "")) for row in read_table(table)]
        stated = json.loads(table.read_text(encoding="utf-8")).get("LabelMap") or {}
        return [str(part) for pair in stated.items() for part in pair]
    except (OSError, ValueError, AttributeError, InputError):
        return []
