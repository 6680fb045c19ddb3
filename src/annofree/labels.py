"""What label numbers mean; plain data that needs no numpy."""

from __future__ import annotations

#: BraTS 2023 labels: 0 background, 1 core (NCR/NET), 2 oedema, 3 enhancing; regions are unions of labels.
REGIONS: dict[str, tuple[int, ...]] = {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}
#: Each region lies inside the one before it; the label that is written where it is the innermost.
NESTED = (("WT", 2), ("TC", 1), ("ET", 3))
LABEL_NAMES = {0: "background", 1: "core", 2: "oedema", 3: "enhancing"}
