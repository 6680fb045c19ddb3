"""What to cite for a method, as BibTeX: the software first, then the published work that its route is taken from."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from string import Template

from annofree.methods.registry import METHODS
from annofree.version import VERSION

#: Keys in `citations.bib` beside the software's own.
WORKS: dict[str, tuple[str, ...]] = {
    "synthtumour": ("zhang2025synthtumour", "billot2023synthseg"),
    "weak-to-strong": ("otsu1979", "hatamizadeh2022unetr"),
    "atlas-z": ("fonov2011template",),
    "dae": ("kascenas2022dae",),
    "ae": ("baur2021autoencoders",),
    "vae": ("baur2021autoencoders",),
    "vq-vae": ("vandenoord2017vqvae",),
    "f-anogan": ("schlegl2019fanogan",),
    "blogrr": ("blogrr2025", "kascenas2022dae"),
    "mvit-ae": ("comasquiles2025mvitae",),
    "mvit-ae-published": ("comasquiles2025mvitae",),
    "intensity": ("meissen2022challenging",),
    "intensity-published": ("meissen2022challenging",),
}


def bibtex(method: str) -> str:
    """BibTeX of a method.

    Raises:
        SettingsError: No method has that name; the nearest is named.

    Example:
        >>> print(bibtex("dae").count("@"))
        2
    """
    entries = _entries()
    return "\n\n".join(entries[key] for key in ("annofree", *WORKS[METHODS[method].name])) + "\n"


@cache
def _entries() -> dict[str, str]:
    text = Template(Path(__file__).with_name("citations.bib").read_text(encoding="utf-8")).safe_substitute(
        version=VERSION
    )
    found = (entry.strip() for entry in re.split(r"\n(?=@)", text))
    return {entry[entry.index("{") + 1 : entry.index(",")]: entry for entry in found}
