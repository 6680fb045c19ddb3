"""Tables that tell each program what the numbers of a label map mean, and in which colours to show them."""

from __future__ import annotations

from pathlib import Path

from annofree.formats.outfolder import atomic_write, write_table
from annofree.segmentation import LABEL_NAMES

#: Colours of the labels, red, green, blue: those of BraTS.
COLOURS = {0: (0, 0, 0), 1: (255, 0, 0), 2: (0, 255, 0), 3: (255, 255, 0)}
_ABBREVIATIONS = {0: "BG", 1: "NCR", 2: "ED", 3: "ET"}


def write_label_table(dseg: Path) -> None:
    """Write the BIDS table beside a label map: index, name, abbreviation, colour."""
    rows = [
        (index, name, _ABBREVIATIONS[index], f"#{bytes(COLOURS[index]).hex()}") for index, name in LABEL_NAMES.items()
    ]
    columns = ("index", "name", "abbreviation", "color")
    write_table(dseg.with_name(dseg.name.removesuffix(".nii.gz") + ".tsv"), rows, columns)


def write_viewer_tables(folder: Path) -> None:
    """Write the colours and names of the labels for ITK-SNAP (`.label`) and for 3D Slicer (`.ctbl`) into a folder.

    Both programs then show the label maps in the colours and under the names that the pages use.
    """
    snap = ["################################################", "# ITK-SnAP Label Description File"]
    snap += ["# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL", "################################################"]
    slicer = ["# Color table file", f"# {len(LABEL_NAMES)} values"]
    for index, name in LABEL_NAMES.items():
        red, green, blue = COLOURS[index]
        seen = int(index > 0)
        shown = "Clear Label" if index == 0 else name
        snap.append(f'{index:5d} {red:5d} {green:4d} {blue:4d} {seen:8.2f} {seen:2d} {seen:2d}    "{shown}"')
        slicer.append(f"{index} {name} {red} {green} {blue} {255 * seen}")
    atomic_write(folder / "labels.label", "\n".join(snap) + "\n")
    atomic_write(folder / "labels.ctbl", "\n".join(slicer) + "\n")
