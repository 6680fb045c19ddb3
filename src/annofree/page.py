"""What all pages share, whichever room writes them: the style sheet and the sentence that they all carry."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

DISCLAIMER = "Research software, not a medical device"


@cache
def style() -> str:
    """The style sheet, put into each page because pages load nothing."""
    return (files("annofree") / "page.css").read_text(encoding="utf-8")
