"""The files that pages are made of: styles, scripts, skeletons and the viewer, all inside the package."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from string import Template

from annofree.page import style

NIIVUE = "niivue-0.69.0.umd.js.gz"


@cache
def text(name: str) -> str:
    """A text file of the package."""
    return (files("annofree.review") / "assets" / name).read_text(encoding="utf-8")


@cache
def viewer() -> str:
    """The gzipped viewer in base64."""
    return base64.b64encode((files("annofree.review") / "assets" / NIIVUE).read_bytes()).decode()


def fill(name: str, **parts: str) -> str:
    """A skeleton with its parts put in; every part must be HTML already."""
    return Template(text(name)).substitute(parts)


@cache
def stamp() -> str:
    """A digest of everything that decides how a page looks: pages made with another one are made again."""
    parts = [style(), *(text(name) for name in ("patient.html", "patient.js"))]
    return hashlib.sha256("\0".join([*parts, NIIVUE]).encode()).hexdigest()[:12]
