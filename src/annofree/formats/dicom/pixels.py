"""The voxels of a stack: decoded, rescaled, in (column, row, slice) order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, OptionalDependency
from annofree.formats.contents import refuse_no_picture
from annofree.formats.dicom.header import Frame, quiet
from annofree.formats.dicom.stack import Stack
from annofree.formats.nifti import MAX_VOXELS

_INSTALL = "Install the decoders with: pip install 'annofree[dicom]'"


def decode(path: Path, index: int | None) -> NDArray[Any]:
    """The stored values of one picture, (rows, columns), or of all in a multi-frame file where `index` is None."""
    import pydicom
    from pydicom import pixels

    read: Any = pixels.pixel_array  # type: ignore[attr-defined]
    with quiet():
        try:
            return np.asarray(read(path, index=index))
        except AttributeError:  # it steps through the bytes of the file, which in a deflated one are packed as a whole
            dataset = pydicom.dcmread(path)
            if dataset.file_meta.TransferSyntaxUID != pydicom.uid.DeflatedExplicitVRLittleEndian:
                raise
        stored = np.asarray(dataset.pixel_array)
    return stored if index is None or stored.ndim < 3 else stored[index]


def without_padding(stored: NDArray[Any], frame: Frame) -> NDArray[Any]:
    """Stored values in which those that the header calls padding are 0, or as dark as the darkest of the others."""
    if frame.padding is None:
        return stored
    low, high = frame.padding
    outside = (stored >= low) & (stored <= high)
    if not outside.any() or outside.all():
        return stored
    rest = stored[~outside]
    dark = rest.max() if frame.photometric == "MONOCHROME1" else min(0, rest.min())
    return np.where(outside, np.asarray(dark, stored.dtype), stored)


def read_stack(stack: Stack, name: str) -> NDArray[np.float32]:
    """The values of a stack, (column, row, slice), slopes applied and missing slices interpolated.

    Raises:
        InputError: A slice cannot be decoded, or holds colours or values that are no numbers.
        OptionalDependency: A slice's decoder is not installed.
    """
    if int(np.prod(stack.grid.shape, dtype=object)) > MAX_VOXELS:
        raise InputError(f"DICOM {name} claims {stack.grid.shape} voxels", why="its headers are damaged")
    array = np.zeros(stack.grid.shape[::-1], np.float32)  # slice by slice in memory, as they come
    files: dict[Any, NDArray[Any]] = {}
    for number, frame in enumerate(stack.slots):
        if frame is None:
            continue
        array[number] = _slice(frame, name, number, files)
        if (frame.slope, frame.intercept) != (1, 0):
            array[number] = array[number] * np.float32(frame.slope) + np.float32(frame.intercept)
    present = [number for number, frame in enumerate(stack.slots) if frame is not None]
    for number, frame in enumerate(stack.slots):
        if frame is None:
            before = max(n for n in present if n < number)
            after = min(n for n in present if n > number)
            part = np.float32((number - before) / (after - before))
            array[number] = (1 - part) * array[before] + part * array[after]
    if stack.frames[0].photometric == "MONOCHROME1":  # the smallest value is white
        array = array.max() + array.min() - array
    refuse_no_picture(array, f"DICOM {name}")
    return array.T


def _slice(frame: Frame, name: str, number: int, files: dict[Any, NDArray[Any]]) -> NDArray[Any]:
    """The stored values of a slice, (rows, columns)."""
    if frame.low_bit:  # pydicom reads the lower bits, which hold something else or the wrong part of the numbers
        raise InputError(
            f"The grey levels of DICOM {name} cannot be told",
            why=f"its header says that they begin at bit {frame.low_bit} of a number and not at the first",
            fix="Export it again, so that HighBit is one less than BitsStored",
        )
    try:
        if frame.index is None:
            stored = decode(frame.path, None)
        else:  # a multi-frame file is decoded once
            if frame.path not in files:
                files.clear()
                files[frame.path] = decode(frame.path, None)
            stored = files[frame.path][frame.index]
    except Exception as error:  # pydicom and its decoders raise a dozen classes, and their texts may hold names
        what = f"Slice {number + 1} of DICOM {name}{_named(frame)} cannot be read"
        if _lacks_decoder(error):
            why = "its compression needs a decoder that is not installed"
            raise OptionalDependency(what, why=why, fix=_INSTALL) from None
        raise InputError(what, why=_why(error), fix="Export the series again") from None
    if stored.shape != (frame.rows, frame.columns):
        raise InputError(
            f"Slice {number + 1} of DICOM {name} does not hold grey levels", why=f"its shape is {stored.shape}"
        )
    return without_padding(stored, frame)


def _named(frame: Frame) -> str:
    """The file of a slice, unless its name may tell of the person."""
    name, words = frame.path.name.lower(), re.split(r"\W+", " ".join(frame.person).lower())
    tells = not _PLAIN_NAME.fullmatch(name) or any(len(word) > 2 and word in name for word in words)
    return "" if tells else f" ({frame.path.name})"


#: Names of files that scanners and archives give: numbers and these words.
_PLAIN_NAME = re.compile(r"(?:[\W\d_]|image|img|im|i|mr|slice|dicom|dcm|ima)*")


def _lacks_decoder(error: Exception) -> bool:
    text = str(error).lower()
    return "plugin" in text or "missing dependencies" in text or isinstance(error, ImportError | NotImplementedError)


def _why(error: Exception) -> str:
    if isinstance(error, AttributeError | KeyError):
        return "it has no pixels, or lacks what describes them"
    if isinstance(error, OSError) and error.strerror:  # gone, or not to be read
        return error.strerror
    return "its pixels are damaged or cut short"
