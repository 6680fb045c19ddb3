"""Arguments and options that several verbs have: one name, one meaning, one sentence of help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from typer import Argument, Option

Results: TypeAlias = Annotated[Path, Argument(help="Folder that 'annofree segment' wrote.", show_default=False)]
WhoseAnswers: TypeAlias = Annotated[str | None, Option(help="Whose answers, where the folder holds several.")]

Out: TypeAlias = Annotated[Path, Option("-o", "--out", help="Output folder.", show_default=False)]
Workers: TypeAlias = Annotated[int, Option(min=1, help="Processes.")]
Locate: TypeAlias = Annotated[bool, Option(help="Name side and lobe of each lesion (a few seconds).")]
Setting: TypeAlias = Annotated[
    list[str] | None, Option("--set", help="A setting, as key=value (group.key=value); may be repeated.")
]

Healthy: TypeAlias = Annotated[Path | None, Option(help="Healthy scans.")]
Patients: TypeAlias = Annotated[Path | None, Option(help="Patients' scans, without masks.")]
Sequence: TypeAlias = Annotated[
    str | None, Option(help="What the images are (T1, T1C, T2, FLAIR), where their names do not say it.")
]
BrainMask: TypeAlias = Annotated[
    str | None, Option(help="Brain mask of the image, or name pattern of masks beside the scans.")
]
PatientsMask: TypeAlias = Annotated[str | None, Option(help="Name pattern of brain masks beside the patients' scans.")]

Brain: TypeAlias = Annotated[
    str, Option(help="Raw heads: auto, network, hd-bet or synthstrip (where that program is installed).")
]
Coregister: TypeAlias = Annotated[
    str, Option(help="Sequences on other grids: rigid, or headers (nothing is registered).")
]
Bias: TypeAlias = Annotated[str, Option(help="Raw heads: off, or n4 (slow shading is divided out).")]

Series: TypeAlias = Annotated[
    list[str] | None,
    Option(help="DICOM: the series to take, such as 5 or T1C=5; may be repeated (see 'annofree dicom list')."),
]
