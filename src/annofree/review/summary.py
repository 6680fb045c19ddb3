"""What a cohort page needs to know of a patient's page; stored in that page's head, so pages are the only store."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_OPEN, _CLOSE = '<script type="application/json" id="annofree-summary">', "</script>"
#: A summary is a few kB, its thumbnail included; it stands at the beginning of the page.
_HEAD_BYTES = 65536


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One row of the cohort page.

    Attributes:
        scan_id: The scan's id.
        source: Digest of what the page was made from.
        method: Method name.
        tier: Supervision tier.
        volumes_ml: By region.
        lesions: Number of findings.
        where: Side and lobe of the largest.
        confidence: Of the largest finding, 0..1.
        steadiness: How little the volume hangs on the threshold, 0..1.
        notes: Warnings and remarks.
        thumbnail: Data address of a small picture.
    """

    scan_id: str
    source: str = ""
    method: str = ""
    tier: str = ""
    volumes_ml: dict[str, float] = field(default_factory=dict)
    lesions: int = 0
    where: str = ""
    confidence: float | None = None
    steadiness: float | None = None
    notes: tuple[str, ...] = ()
    thumbnail: str = ""

    @property
    def certainty(self) -> float | None:
        """Confidence where the method gives one, else steadiness."""
        return self.confidence if self.confidence is not None else self.steadiness

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
