"""What all pages share, whichever room writes them: the style sheet and the sentence that they all carry."""

from __future__ import annotations

import base64
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

DISCLAIMER = "Research software, not a medical device"


@cache
def style() -> str:
    """The style sheet, put into each page because pages load nothing."""
    return (files("annofree") / "page.css").read_text(encoding="utf-8")


def data_address(picture: Image, kind: str = "PNG", **options: Any) -> str:
    """A picture as an address that holds it: pages load nothing."""
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def document(title: str, what: str, body: str, *, closing: str, css: str = "", main: str = "") -> str:
    """A whole offline page around a body; all parts are HTML already.

    Args:
        title: In the browser's tab.
        what: Which page of annofree it is, in the bar on top.
        body: What stands in `<main>`.
        closing: Sentences behind the disclaimer, at the end.
        css: Rules beside the common ones.
        main: Attributes of `<main>`, a blank in front.
    """
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style()}{css}</style></head><body>"
        f'<header class="bar"><strong>annofree</strong>{what}<span class="caution">{DISCLAIMER}</span></header>'
        f"<main{main}>{body}</main>"
        f"<footer><p>{DISCLAIMER}. {closing}</p></footer></body></html>\n"
    )
