"""Methods: every way from a scan to a segmentation, behind one interface. `annofree.methods()` lists them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from annofree.errors import AnnofreeError, InputError
from annofree.methods.registry import METHODS, MethodInfo, method_class
from annofree.registry import callable_room

if TYPE_CHECKING:
    from annofree.methods.base import Method

__all__ = ["METHODS", "MethodInfo", "create", "info", "load", "shipped"]

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"


def info(name: str) -> MethodInfo:
    """The row of a method.

    Raises:
        SettingsError: No method has that name; the nearest is named.
    """
    return METHODS[name]


def create(name: str, **options: Any) -> Method:
    """A method by name, not fitted, with the given settings."""
    return method_class(name)(**options)


def load(folder: str | Path) -> Method:
    """A fitted model from its folder.

    Raises:
        InputError: The folder is no model folder.
    """
    from annofree.methods.model_folder import read_model

    config, _ = read_model(folder)
    try:
        method = method_class(config["method"]).load(folder)
    except AnnofreeError as error:
        raise type(error)(error.what, file=error.file or folder, why=error.why, fix=error.fix) from None
    except Exception as error:  # whatever a foreign or damaged folder makes the readers raise
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}".rstrip(": ")
        raise InputError(
            "A model cannot be loaded",
            file=folder,
            why=why,
            fix="Copy the folder again, or fit the model anew: something in it is missing, damaged or of another model",
        ) from None
    computes = getattr(method.settings, "reconstruction", "network") == "network"
    if computes and (getattr(method, "network", method) is None or not getattr(method, "networks", [method])):
        fix = "Copy the folder again, or fit the model to its end"
        raise InputError("A model has no network", file=folder, why="its network folder is missing", fix=fix)
    return method


def shipped(name: str) -> Method:
    """A method with the fitted weights that come with the package, or as it is where it needs no fit.

    Raises:
        InputError: The method has to be fitted first.
    """
    row = info(name)
    folder = WEIGHTS / name
    if (folder / "config.yaml").is_file():
        return load(folder)
    if row.ships:
        return create(name)
    raise InputError(
        f"Method '{name}' ships no fitted model",
        fix=f"Fit it first: annofree fit {name} --healthy DIR -o MODEL, then segment with --model MODEL",
    )


def __getattr__(name: str) -> Any:
    """Method classes by name: `annofree.methods.Intensity`."""
    for row in METHODS.values():
        if row.cls == name:
            return row.load()
    raise AttributeError(f"module 'annofree.methods' has no attribute '{name}'")


callable_room(__name__, lambda: tuple(METHODS.values()))
