"""NIfTI files: read with every check that keeps a bad file from becoming a bad result, and written atomically."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import AnnofreeError, InputError
from annofree.formats.contents import has_few_values, look_like_labels, refuse_no_picture
from annofree.formats.geometry import SHEAR_COSINE, affine_mm, geometry_notes, repeats, shear
from annofree.formats.gz import compress
from annofree.formats.outfolder import atomic_write
from annofree.formats.volume_files import open_image, verified
from annofree.scan import Grid

if TYPE_CHECKING:
    import nibabel as nib

Array = NDArray[Any]

#: More voxels than the largest clinical head scans have by far; a header that claims more is damaged.
MAX_VOXELS = 1024 * 1024 * 512
#: Header fields that say where voxels lie.
_GEOMETRY = (
    *("pixdim", "qform_code", "sform_code", "xyzt_units", "srow_x", "srow_y", "srow_z"),
    *("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
)
#: No gzip file unpacks to more than this many times its size.
_DEFLATE_LIMIT = 1032


@dataclass(frozen=True, eq=False)
class FileGrid(Grid):
    """The grid of a file, with the geometry fields of its header, so that results can repeat them to the bit.

    Attributes:
        geometry: `qform`, `sform`, their codes, `pixdim` and units as stored; None for made images.
    """

    geometry: dict[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Volume:
    """One image as it lies in its file.

    Attributes:
        array: (i, j, k) in the file's own axis order: 16-bit integers as they are stored, anything else as float32.
        grid: The file's grid.
        source: The file, or a word for an image from memory.
        notes: What a reader of the result should know about the file.
    """

    array: Array
    grid: Grid
    source: str
    notes: tuple[str, ...] = ()


def read_volume(source: str | Path | nib.Nifti1Image) -> Volume:
    """Read one 3-D image.

    Raises:
        InputError: The file is missing, damaged, not NIfTI, not 3-D, not finite, constant, or has no usable affine.
    """
    image, name = _open(source)
    grid, notes = _grid(image, name)
    with _one_sentence(name):
        kind = image.get_data_dtype()
        _refuse_odd_types(kind, name)
        image = verified(image, Path(name))
        array = image.dataobj
        if not (isinstance(array, np.ndarray) and array.dtype.kind in "iu" and array.itemsize <= 2):
            array = np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged"))
        array = array.reshape(grid.shape)
    return _picture(array, grid, name, notes)


def read_channels(source: str | Path, count: int) -> list[Volume]:
    """Read the 3-D images of a 4-D file, in their order.

    Raises:
        InputError: It holds another number of channels than `count`, or one is unusable, as in `read_volume`.
    """
    image, name = _open(source)
    grid, notes = _grid(image, name, channels=True)
    shape = _without_ones(image.shape)
    if len(shape) != 4 or shape[3] != count:
        raise InputError(
            f"{count} sequences are named for one file, and it does not hold as many",
            file=name,
            why=f"its shape is {shape}",
            fix="Name its channels in order, for instance --sequence FLAIR,T1,T1C,T2",
        )
    with _one_sentence(name):
        _refuse_odd_types(image.get_data_dtype(), name)
        values = verified(image, Path(name)).get_fdata(dtype=np.float32, caching="unchanged").reshape(shape)
    arrays = (np.ascontiguousarray(values[..., channel]) for channel in range(count))
    return [_picture(array, grid, name, notes, f"{name}, channel {n}") for n, array in enumerate(arrays, 1)]


def _picture(array: Array, grid: FileGrid, name: str, notes: tuple[str, ...], shown: str | None = None) -> Volume:
    refuse_no_picture(array, shown or name)
    if has_few_values(array):
        raise InputError(
            "An image holds a mask or a label map",
            file=shown or name,
            why=f"it has {len(np.unique(array))} different values",
            fix="Name the image itself",
        )
    return Volume(array, grid, name, notes)


def coarsest_edge_mm(source: str | Path) -> float:
    """The longest voxel edge that a file's header gives. Raises `InputError`: the file cannot be opened."""
    image, name = _open(source)
    with _one_sentence(name):
        return float(max(np.sqrt((np.asarray(image.affine, dtype=float)[:3, :3] ** 2).sum(axis=0))))


def holds_channels(source: str | Path) -> bool:
    """Whether a file's header gives it a fourth axis. Raises `InputError`: the file cannot be opened."""
    return len(_without_ones(_open(source)[0].shape)) > 3


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape without axes of one past the third: ITK and TorchIO write channels as a fifth axis behind one time."""
    return (*shape[:3], *(size for size in shape[3:] if size != 1))


def read_labels(source: str | Path | nib.Nifti1Image, *, layers: bool = False) -> tuple[Array, Grid]:
    """Read a mask or label map, 3-D or one-hot 4-D, with its exact values; `layers` as for `open_image`.

    Returns:
        The array in the file's axis order, (i, j, k) or (i, j, k, channels), and the grid.

    Raises:
        InputError: The file cannot be read.
    """
    image, name = _open(source, layers)
    grid, _ = _grid(image, name, channels=True)
    with _one_sentence(name):
        _refuse_odd_types(image.get_data_dtype(), name)
        array = np.asanyarray(verified(image, Path(name)).dataobj)
    if not np.isfinite(array).all():
        raise InputError("A label map holds values that are not numbers", file=name, fix="Export the map again")
    return array.reshape(_without_ones(array.shape)), grid


def _refuse_odd_types(kind: np.dtype[Any], name: str) -> None:
    if kind.kind not in "biuf":
        raise InputError(
            "An image does not hold plain numbers",
            file=name,
            why="its voxels are colours or complex numbers",
            fix="Export magnitude grey levels",
        )


@contextmanager
def _one_sentence(name: str) -> Iterator[None]:
    # nibabel, zlib and numpy raise some fifteen different classes on damaged files, struct.error among them.
    try:
        yield
    except AnnofreeError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(
            "A file is damaged or cut short", file=name, why=reason, fix="Copy or export the file again"
        ) from None


def _open(source: Any, layers: bool = False) -> tuple[Any, str]:
    import nibabel as nib

    if isinstance(source, nib.Nifti1Pair):
        return source, source.get_filename() or "image in memory"
    if not isinstance(source, str | Path):
        raise InputError(
            f"A {type(source).__name__} is not an image", fix="Give a path, a nibabel NIfTI image, or a dictionary"
        )
    path = Path(source)
    with _one_sentence(str(path)):
        image = open_image(path, layers=layers)
    if isinstance(image, nib.Nifti1Image) and getattr(image.dataobj, "offset", None) == 0:
        why = "its voxels begin at byte 0, where its header lies"
        raise InputError("A file's header is damaged", file=path, why=why, fix="Export the file again")
    return image, str(path)


def _grid(image: Any, name: str, channels: bool = False) -> tuple[FileGrid, tuple[str, ...]]:
    shape = tuple(int(n) for n in image.shape)
    if any(n < 1 for n in shape) or int(np.prod(shape, dtype=object)) > MAX_VOXELS:
        raise InputError(
            "A file's header is damaged", file=name, why=f"it claims the shape {shape}", fix="Export the file again"
        )
    _refuse_more_than_the_file_holds(image, name, shape)
    shape = _without_ones(shape)
    if len(shape) > (4 if channels else 3):
        raise InputError(
            f"An image is {len(shape)}-D",
            file=name,
            why=f"its shape is {shape}; one sequence is one 3-D volume",
            fix="Split it (for instance with fslsplit)"
            + (", or name its channels in order, as --sequence FLAIR,T1,T1C,T2" if len(shape) == 4 else ""),
        )
    if len(shape) < 3 or min(shape[:3]) < 2:
        raise InputError(
            "An image is flat", file=name, why=f"its shape is {shape}", fix="annofree needs the whole 3-D volume"
        )
    with _one_sentence(name):
        affine = np.zeros((4, 4)) if image.affine is None else affine_mm(image, name)
    directions = affine[:3, :3]
    lengths = np.sqrt((directions**2).sum(axis=0)) if np.isfinite(affine).all() else np.zeros(3)
    if lengths.min() < 1e-6 or lengths.max() > 1e4 or abs(np.linalg.det(directions / lengths)) < 1e-3:
        why = "it is singular or not finite" if directions.any() else "it is all zero"
        why = "it has none" if image.affine is None else why
        raise InputError(
            "An image has no usable affine",
            file=name,
            why=f"{why}, so voxels have no place in the world",
            fix="Repair the header (for instance with fslorient or nibabel) or convert the original DICOM again",
        )
    geometry = None
    if repeats(image.header, affine, shape[:3]):
        geometry = {field: np.array(image.header[field]) for field in _GEOMETRY}
    return FileGrid(shape[:3], affine, geometry), geometry_notes(image, name, affine)


def _refuse_more_than_the_file_holds(image: Any, name: str, shape: tuple[int, ...]) -> None:
    """Before any memory is taken: a header may claim gigabytes in a file of kilobytes."""
    path = Path(name)
    if not path.is_file() or not path.name.lower().endswith((".nii", ".nii.gz")):
        return
    claimed = int(np.prod(shape, dtype=object)) * int(image.header["bitpix"]) // 8
    held = path.stat().st_size * (_DEFLATE_LIMIT if path.name.lower().endswith(".gz") else 1)
    if claimed > held:
        raise InputError(
            "A file is damaged or cut short",
            file=name,
            why=f"its header claims {claimed} bytes of voxels, and it is {path.stat().st_size} bytes long",
            fix="Copy or export the file again",
        )


def write_volume(
    path: str | Path, array: Array, grid: Grid, *, slope: float | None = None, description: str = "annofree"
) -> None:
    """Write an array atomically, repeating the geometry fields of the file that `grid` came from.

    Args:
        path: A `.nii.gz` (or `.nii`) file.
        array: (i, j, k) in the grid's own axis order; an integer or float type, stored as it is.
        grid: Where the voxels lie; a `FileGrid` brings its header fields along.
        slope: Stored values times this are the real ones.
        description: Free text for the header, at most 79 characters.

    Raises:
        OutputError: The file cannot be written.
    """
    import nibabel

    nib: Any = nibabel
    image = nib.Nifti1Image(array, np.asarray(grid.affine), dtype=array.dtype)
    header = image.header
    if isinstance(grid, FileGrid) and grid.geometry is not None:
        for field, value in grid.geometry.items():
            header[field] = value
        header["pixdim"][4:] = 1.0
    else:
        image.set_sform(grid.affine, code="scanner")
        # A qform cannot say a shear, and programs that prefer it would straighten the file without a word.
        image.set_qform(grid.affine, code="scanner" if shear(grid.affine) <= SHEAR_COSINE else 0)
        header.set_xyzt_units("mm")
    header["descrip"] = description[:79].encode("ascii", "replace")
    if slope is not None:
        header.set_slope_inter(slope, 0.0)
    content = _bytes(image, array, slope)
    if str(path).endswith(".gz"):
        content = compress(content)
    atomic_write(Path(path), content)


def _bytes(image: Any, array: Array, slope: float | None) -> bytes:
    # Written by hand because nibabel would divide by the slope; the values given are the stored ones already.
    header = image.header.copy()
    header.set_data_offset(352)
    header["magic"] = b"n+1"
    header["scl_slope"], header["scl_inter"] = (1.0 if slope is None else slope), 0.0
    stored = np.asarray(array, dtype=header.get_data_dtype())
    return bytes(header.binaryblock) + b"\0" * 4 + stored.tobytes(order="F")


def holds_labels(path: Path, *, unreadable: bool = False) -> bool:
    """Whether a file's voxels look like a mask, a label map or a map of probabilities; `unreadable` if it has none."""
    try:
        array, _ = read_labels(path)
    except InputError:
        return unreadable
    return look_like_labels(array)
