"""What the numbers of a label map mean, in the form that each program reads."""

from __future__ import annotations

from pathlib import Path

from annofree.formats.outfolder import atomic_write
from annofree.segmentation import LABEL_NAMES

#: Colours of the labels, red, green, blue: those of BraTS.
COLOURS = {0: (0, 0, 0), 1: (255, 0, 0), 2: (0, 255, 0), 3: (255, 255, 0)}
_ABBREVIATIONS = {0: "BG", 1: "NCR", 2: "ED", 3: "ET"}


def write_label_table(dseg: Path) -> Path:
    """Write the BIDS table beside a label map: index, name, abbreviation, colour."""
    lines = ["index\tname\tabbreviation\tcolor"]
    for index, name in LABEL_NAMES.items():
        red, green, blue = COLOURS[index]
        lines.append(f"{index}\t{name}\t{_ABBREVIATIONS[index]}\t#{red:02x}{green:02x}{blue:02x}")
    path = dseg.with_name(dseg.name.removesuffix(".nii.gz") + ".tsv")
    atomic_write(path, "\n".join(lines) + "\n")
    return path
