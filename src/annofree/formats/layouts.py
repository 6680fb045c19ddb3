"""The layouts that annofree reads, as data. To add one, write a module with `recognises` and `find`, and a row here."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from annofree.errors import InputError
from annofree.formats import dicom, folders, nnunet, npy, slices
from annofree.formats.case import Case, case_of_file, with_unique_ids
from annofree.formats.names import is_archive, is_volume
from annofree.formats.outfolder import is_ours
from annofree.formats.standing import refuse_unsettled

#: Asked in this order; the first that `recognises` a folder (quickly) reads it: `find` gives the cases below.
LAYOUTS: tuple[ModuleType, ...] = (nnunet, npy, slices, dicom, folders)


def find_cases(path: str | Path, dicom_settings: dicom.DicomSettings | None = None) -> dict[str, Case]:
    """The cases of a file or folder, by id.

    A path is a folder in a layout of the table above, an image file, or a DICOM file of many frames or zip archive.

    Raises:
        InputError: The path does not exist or holds no image.
    """
    source = Path(path)
    if not source.exists():
        why = "it is a link that leads nowhere" if source.is_symlink() else None
        raise InputError("There is no such file or folder", file=source, why=why, fix="Check the path")
    if source.is_file() and dicom.recognises(source):
        return with_unique_ids(dicom.find(source, dicom_settings))
    if source.is_file() and is_archive(source.name):
        raise InputError("An archive is not opened", file=source, why=_ARCHIVES, fix="Unpack it and name the folder")
    if not source.is_dir():
        return with_unique_ids([npy.case_of_file(source) if source.suffix == ".npy" else case_of_file(source)])
    refuse_unsettled(source)
    layout = next(layout for layout in LAYOUTS if layout.recognises(source))
    cases: list[Case] = dicom.find(source, dicom_settings) if layout is dicom else layout.find(source)
    if layout not in (folders, slices):  # what lies beside it must not be lost
        cases = [*cases, *folders.find(source, leave_out=nnunet.own_folders(source))]
    if not cases:
        raise InputError("No MRI was found in a folder", file=source, **_why_empty(source))
    return with_unique_ids(cases)


_ARCHIVES = "only a zip of DICOM that is named itself is"
_FIX = "Give a patient's folder with NIfTI files (.nii or .nii.gz), or a folder of such folders; see docs/formats.md"


def _why_empty(folder: Path) -> dict[str, str]:
    if is_ours(folder):
        fix = "Name the scans themselves; annofree rethreshold, evaluate, review and rerun take a folder of results"
        return {"why": "it holds results of annofree", "fix": fix}
    if (folder / "config.yaml").is_file() and (folder / "card.json").is_file():
        return {"why": "it is a model", "fix": "Give it with --model, and name the scans"}
    names = [path.name for _, path in zip(range(2000), folder.rglob("*"), strict=False) if path.is_file()]
    packed = [name for name in names if is_archive(name) or name.lower().endswith(".zip")]
    if not names:
        why = "it is empty"
    elif any(name.lower().endswith((".dcm", ".ima")) for name in names):
        why = "its .dcm files do not begin like DICOM"
    elif any(is_volume(Path(name)) for name in names):
        why = "its NIfTI files are masks or label maps by their names"
    elif packed:
        return {"why": f"it holds archives, for instance {packed[0]}; {_ARCHIVES}", "fix": "Unpack them first"}
    else:
        why = f"none of its {len(names)} files is NIfTI or .npy, for instance {sorted(names)[0]}"
    return {"why": why, "fix": _FIX}
