"""What a cohort page needs to know of a patient's page; stored in that page's head, so pages are the only store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_OPEN, _CLOSE = '<script type="application/json" id="annofree-summary">', "</script>"
#: A summary is a few kB, its thumbnail included; it stands at the beginning of the page.
_HEAD_BYTES = 65536

#: What says how sure an answer is, the best first, and what each is.
CERTAINTIES = {
    "expected_dice": "what the whole tumour's Dice is expected to be, learned on made tumours",
    "confidence": "mean probability inside the largest finding",
    "steadiness": "what is left of the volume when the threshold moves from a tenth below to a tenth above its place",
}


def certainty_of(rows: Iterable[Summary]) -> str:
    """The best kind of certainty that any of the scans has; one for all, so that they can be compared."""
    known = list(rows)
    return next((kind for kind in CERTAINTIES if any(row.certainty(kind) is not None for row in known)), "steadiness")


def title_of(kind: str) -> str:
    """The kind of certainty in words, such as "expected Dice"."""
    return kind.replace("_dice", " Dice")


def headline_of(kind: str) -> str:
    """The same with a capital, as a heading."""
    return f"{title_of(kind)[:1].upper()}{title_of(kind)[1:]}"


def in_figures(sure: float, kind: str) -> str:
    """A certainty as pages print it: Dice as a number, shares in percent."""
    return f"{sure:.2f}" if kind == "expected_dice" else f"{sure:.0%}"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One row of the cohort page.

    `source` is a digest of what the page was made from. Volumes are by region; side and lobe (`where`) and confidence,
    0..1, are those of the largest finding; steadiness, 0..1, is how little the volume hangs on the threshold; the
    thumbnail is a data address. None is what the method or the model does not tell.
    """

    scan_id: str
    source: str = ""
    method: str = ""
    tier: str = ""
    volumes_ml: dict[str, float] = field(default_factory=dict)
    lesions: int = 0
    where: str = ""
    expected_dice: float | None = None
    confidence: float | None = None
    steadiness: float | None = None
    notes: tuple[str, ...] = ()
    thumbnail: str = ""

    def certainty(self, kind: str) -> float | None:
        """The number of that kind, one of `CERTAINTIES`."""
        value: float | None = getattr(self, kind)
        return value

    def to_html(self) -> str:
        """The element that a page carries."""
        return f"{_OPEN}{script_json(asdict(self))}{_CLOSE}"


def read_summary(page: Path) -> Summary | None:
    """The summary of a patient's page; None where there is no page, or none of ours."""
    try:
        with page.open("rb") as file:
            head = file.read(_HEAD_BYTES).decode("utf-8", errors="replace")
        content = json.loads(head.split(_OPEN, 1)[1].split(_CLOSE, 1)[0])
        return Summary(**{**content, "notes": tuple(content["notes"])})
    except (OSError, IndexError, ValueError, KeyError, TypeError):
        return None


def script_json(content: Any) -> str:
    """JSON that can stand inside a script element whatever its strings hold."""
    return json.dumps(content, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
