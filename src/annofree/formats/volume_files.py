"""Opening a file that holds one volume, whatever its kind: NIfTI (one file or a pair), NRRD, MetaImage, FreeSurfer.

Everything comes out as a nibabel NIfTI image whose voxels are not read yet. Compressed files are read to their end
before their voxels are believed, so that a wrong checksum is found.
"""

from __future__ import annotations

import re
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from annofree.errors import InputError
from annofree.formats.geometry import LONGEST_QUATERNION, UNPLACED, stored_header
from annofree.formats.gz import open_gz
from annofree.formats.names import no_volume

_CONVERT = "Convert it to NIfTI first, for instance with dcm2niix (DICOM)"
DICOM_MASKS = (
    "Convert pictures with dcm2niix, an RTSTRUCT with plastimatch; a DICOM SEG is read as truth, and has to be "
    "converted with segimage2itkimage (dcmqi) for other uses"
)
_AGAIN = "Copy or export the file again"
#: Unpacked bytes beyond what the header claims that are still believed to be padding.
_SLACK = 1 << 20
#: The unit of a NRRD file's directions and origin, and its length.
_NRRD_UNIT = re.compile(rb'^space units: *"([^"]+)"', re.MULTILINE)
_MM = {"cm": 10.0, "m": 1000.0, "um": 0.001, "nm": 1e-6}
#: What tells where left and right are in NRRD (spaces such as scanner-xyz do not) and in MetaImage.
_PLACED = re.compile(
    rb"^space: *(?:right-anterior|left-anterior|left-posterior)-superior|^space: *(?:ras|las|lps)"
    rb"|^(?:transformmatrix|rotation|orientation) *=",
    re.MULTILINE,
)
_ITK_ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")
#: How files of gzip and of FreeSurfer begin.
_PACKED, _MGH = b"\x1f\x8b", b"\0\0\0\1"


def open_image(path: Path, *, layers: bool = False) -> Any:
    """Open a file as a nibabel image; voxels are read later.

    `layers` are those of 3-D Slicer's segmentations, along a fourth axis; without them they are laid together.

    Raises:
        InputError: It is missing, empty, or none of the kinds that are read.
    """
    import nibabel

    nib: Any = nibabel
    start = _beginning(path)
    name = path.name.lower()
    _require_its_own_ending(path, start)
    if name.endswith(_ITK_ENDINGS):
        return _with_itk(path, layers)
    packed = start[:2] == _PACKED
    if name.endswith(".gz") and not packed:
        why = "it ends in .gz but is not compressed"
        raise InputError(
            "A file is not NIfTI", file=path, why=why, fix="Rename it to .nii" if _is_nifti(start) else _CONVERT
        )
    if packed and name.endswith((".nii", ".hdr", ".mgh")):
        why = f"it is gzip-compressed and does not end in .gz, but in {path.suffix}"
        raise InputError("A file has the wrong ending", file=path, why=why, fix="Rename it to end in .nii.gz")
    refuse_no_image(path)
    try:
        image = _loaded(path)
    except nib.filebasedimages.ImageFileError:
        if packed and (inside := _packed_inside(path)):
            raise InputError(
                "A file is not NIfTI", file=path, why=f"it is {inside}", fix="Unpack it once more"
            ) from None
        fix = DICOM_MASKS if start[128:132] == b"DICM" else _CONVERT
        raise InputError("A file is not NIfTI", file=path, why=_kind(start), fix=fix) from None
    except FileNotFoundError as error:
        missing = Path(str(getattr(error, "filename", "") or "its .img file")).name
        raise InputError(
            "A pair of files is not complete", file=path, why=f"{missing} is missing", fix=_AGAIN
        ) from None
    if isinstance(image, nib.MGHImage):
        _require_ras(path)
        return _in_mm(nib.Nifti1Image(image.dataobj, image.affine))
    if not isinstance(image, nib.Nifti1Pair):
        kind = type(image).__name__.removesuffix("Image")
        if kind.startswith(("Analyze", "Spm")):
            why = "it is an Analyze 7.5 pair, which does not say where left and right are"
            raise InputError(
                "A file is not NIfTI", file=path, why=why, fix="Convert the original DICOM with dcm2niix instead"
            )
        raise InputError("A file is not NIfTI", file=path, why=f"it is {kind}", fix=_CONVERT)
    return image


def refuse_no_image(path: Path) -> None:
    """Refuse by an `InputError` tables, pages, records and the like, told by their names, with what takes them."""
    if (held := no_volume(path.name)) is not None:
        raise InputError("This is no image", file=path, why=f"it is {held[0]}", fix=held[1])


def _require_its_own_ending(path: Path, start: bytes) -> None:
    """Endings choose the reader: NRRD called `.nii`, NIfTI called `.nrrd`, and MGH, packed or not, called otherwise."""
    inside = b""
    if start[:2] == _PACKED:
        with suppress(zlib.error):  # reading the whole says so
            inside = zlib.decompressobj(31).decompress(start, 4)
    kinds = (
        (start.startswith(b"NRRD"), "NRRD", ".nrrd", (*_ITK_ENDINGS[2:], ".nii", ".hdr", ".mgh", ".mgz")),
        (_is_nifti(start), "NIfTI", ".nii", (*_ITK_ENDINGS, ".mgh", ".mgz")),
        (_is_nifti(inside), "compressed NIfTI", ".nii.gz", (*_ITK_ENDINGS, ".mgh", ".mgz")),
        (start[:4] == _MGH, "MGH and not compressed", ".mgh", (*_ITK_ENDINGS, ".nii", ".mgz")),
        (inside == _MGH, "compressed MGH", ".mgz", (*_ITK_ENDINGS, ".nii", ".nii.gz", ".mgh")),
    )
    for holds, kind, right, wrong in kinds:
        if holds and path.name.lower().endswith(wrong):
            why = f"it is {kind} and ends in {path.suffix}"
            raise InputError("A file has the wrong ending", file=path, why=why, fix=f"Rename it to end in {right}")


def _is_nifti(start: bytes) -> bool:
    return bool({int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")} & {348, 540})


def _loaded(path: Path) -> Any:
    import nibabel

    nib: Any = nibabel
    try:
        return nib.load(path)
    except ValueError:  # nibabel refuses a quaternion that rounding made longer than 1; the standard normalises it
        header = stored_header(path)
        if header is None:
            raise
        pair = not path.name.lower().endswith((".nii", ".nii.gz"))
        return _normalising(int(header["sizeof_hdr"]) == 540, pair).from_filename(path)


@cache
def _normalising(second: bool, pair: bool) -> Any:
    """The class of NIfTI-1 or -2 files, with headers that normalise quaternions."""
    import nibabel

    kind = getattr(nibabel, f"Nifti{1 + second}{'Pair' if pair else 'Image'}")
    limit = {"quaternion_threshold": 1 - LONGEST_QUATERNION**2}
    return type(kind.__name__, (kind,), {"header_class": type("Header", (kind.header_class,), limit)})


def verified(image: Any, path: Path) -> Any:
    """The image of a compressed file with its bytes in memory, read to the end: a wrong checksum raises.

    Raises:
        OSError, EOFError, zlib.error: The file is damaged.
        InputError: It holds far more than its header claims.
    """
    import nibabel

    nib: Any = nibabel
    if not nib.is_proxy(image.dataobj):
        return image
    if not path.name.lower().endswith(".nii.gz") or not path.is_file():
        for name in {str(path), *(str(holder.filename) for holder in image.file_map.values())}:
            _read_to_the_end(Path(name))
        return image
    claimed = int(image.dataobj.offset) + int(np.prod(image.shape, dtype=object)) * image.get_data_dtype().itemsize
    content = bytearray()
    with open_gz(path) as file:
        while block := file.read(1 << 22):
            content += block
            if len(content) > claimed + _SLACK:
                why = f"the header claims {claimed} bytes, and there are at least {_SLACK} more"
                raise InputError("A file holds more than its header claims", file=path, why=why, fix=_AGAIN)
    proxy = image.dataobj
    if (proxy.slope, proxy.inter) != (1.0, 0.0):
        return type(image).from_bytes(content)
    # nibabel would copy the bytes twice on the way to the array
    stored = np.frombuffer(content, proxy.dtype, int(np.prod(proxy.shape)), int(proxy.offset))
    return nib.Nifti1Image(stored.reshape(proxy.shape, order="F"), image.affine, dtype=proxy.dtype)


def _read_to_the_end(path: Path) -> None:
    if path.name.lower().endswith((".gz", ".mgz")) and path.is_file():
        with open_gz(path) as file:
            while file.read(1 << 22):
                pass


def _beginning(path: Path) -> bytes:
    if not path.exists():
        why = "it is a link that leads nowhere" if path.is_symlink() else None
        raise InputError("There is no such file", file=path, why=why, fix="Check the path")
    if path.is_dir():
        raise InputError("This is a folder, not an image file", file=path, fix="Name the file")
    if not path.is_file():
        raise InputError("This is no ordinary file", file=path, fix="Name an image file")
    try:
        with path.open("rb") as handle:
            start = handle.read(256)
    except OSError as error:
        raise InputError("A file cannot be read", file=path, why=error.strerror, fix="Check its permissions") from None
    if not start:
        raise InputError("A file is empty", file=path, why="it has 0 bytes", fix=_AGAIN)
    return start


def _packed_inside(path: Path) -> str | None:
    """What a compressed file holds where that is packed itself."""
    with suppress(OSError, EOFError), open_gz(path) as file:
        start = file.read(512)
        if start[:2] == b"\x1f\x8b":
            return "it is gzip-compressed twice"
        return "it is a tar archive" if start[257:262] == b"ustar" else None
    return None


def _kind(start: bytes) -> str:
    kinds = {b"\x89PNG": "PNG", b"\xff\xd8": "JPEG", b"PK": "zip", b"%PDF": "PDF", b"\x89HDF": "HDF5"}
    for sign, kind in kinds.items():
        if start.startswith(sign):
            return f"it is {kind}"
    return "it is DICOM" if start[128:132] == b"DICM" else "its beginning is no NIfTI header"


def _with_itk(path: Path, layers: bool) -> Any:
    """NRRD and MetaImage: LPS in the file, RAS+ here."""
    import nibabel
    import SimpleITK

    sitk: Any = SimpleITK
    nib: Any = nibabel
    head = _text_header(path)
    _require_spacing(path, head)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        size = tuple(int(n) for n in reader.GetSize())
        drawn = reader.HasMetaDataKey("Segment0_ID")  # by 3-D Slicer, in layers where segments overlap
        if len(size) != 3:
            raise InputError(
                f"An image is {len(size)}-D",
                file=path,
                why=f"its shape is {size}; one sequence is one 3-D volume",
                fix="Split it into one file a sequence",
            )
        read = reader.Execute()
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise InputError("A file is damaged or cut short", file=path, why=lines[-1][:160], fix=_AGAIN) from None
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(read.GetDirection(), (3, 3)) * np.asarray(read.GetSpacing())
    affine[:3, 3] = read.GetOrigin()
    affine[:2] *= -1
    if (unit := _NRRD_UNIT.search(head)) is not None:  # which ITK passes over
        affine[:3] *= _MM.get(unit[1].decode("latin-1"), 1.0)
    array = sitk.GetArrayFromImage(read)
    array = array.max(axis=-1) if array.ndim == 4 and drawn and not layers else array
    array = array.transpose(2, 1, 0, *range(3, array.ndim))
    return _in_mm(nib.Nifti1Image(_plain(array), affine, extra={UNPLACED: not _PLACED.search(head)}))


def _plain(array: Any) -> Any:
    """An array of a type that NIfTI knows: 64-bit integers become 32-bit ones."""
    if array.dtype.kind in "iu" and array.itemsize == 8:
        return array.astype(np.int32 if array.min() < 0 else np.uint32)
    return array


def _text_header(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(8192).split(b"\n\n")[0].lower()
    return b""


def _require_spacing(path: Path, head: bytes) -> None:
    """A header without voxel sizes is read as 1 mm by ITK, which nobody stated."""
    nrrd = path.suffix.lower() in (".nrrd", ".nhdr")
    words = (b"space directions", b"spacings") if nrrd else (b"elementspacing", b"elementsize")
    if not any(word in head for word in words):
        raise _no_size(path, f"its header has no {words[0].decode()}")


def _require_ras(path: Path) -> None:
    """Without a good RAS flag FreeSurfer and nibabel take 1 mm and coronal slices, which nobody stated."""
    with open_gz(path) if path.name.lower().endswith((".mgz", ".gz")) else path.open("rb") as file:
        flag = int.from_bytes(file.read(30)[28:], "big", signed=True)
    if flag <= 0:
        raise _no_size(path, f"its header has no geometry (goodRASFlag is {flag})")


def _no_size(path: Path, why: str) -> InputError:
    said = "An image does not say how large its voxels are"
    return InputError(said, file=path, why=why, fix="Export it again with its geometry")


def _in_mm(image: Any) -> Any:
    image.header.set_xyzt_units("mm")
    image.set_sform(image.affine, code="scanner")
    image.set_qform(image.affine, code="scanner")
    return image
