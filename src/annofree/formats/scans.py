"""`open_scan` and `open_cohort`: any supported source to a `Scan` on one canonical grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.formats.bids_names import participant_of
from annofree.formats.brain_mask import is_pattern, mask_file, open_brain_mask
from annofree.formats.case import Case, case_of_file, case_of_mapping, contradiction, with_unique_ids
from annofree.formats.dicom import DicomSettings, recognises
from annofree.formats.layouts import find_cases
from annofree.formats.names import FileName
from annofree.formats.nifti import Volume, read_volume
from annofree.formats.participants import read_groups
from annofree.formats.report_texts import read_report, read_reports
from annofree.formats.study import Prepare, Study, as_it_lies, read_study, scan_of
from annofree.scan import Cohort, Modality, Origin, Scan

Masks = str | Path | Mapping[str, str | Path] | None


def open_scan(
    source: Any,
    *,
    sequence: str | None = None,
    brain_mask: str | Path | NDArray[Any] | None = None,
    report: str | Path | None = None,
    id: str | None = None,
    dicom: DicomSettings | Mapping[str, Any] | None = None,
    prepare: Prepare | None = None,
) -> Scan:
    """Open one visit of one person.

    Arrays come out in closest-canonical RAS+ order by flips and transposes only; `Scan.native` keeps the file's own
    grid. Sequences on other grids of the same world are resampled linearly onto the finest one, and `Scan.notes`
    says so.

    Args:
        source: A patient's folder, an image file, a nibabel image, `{sequence: file}`, or a `Scan` (returned as is).
        sequence: What a single file holds whose name does not say it; of a folder, the one sequence to take.
        brain_mask: A mask file (non-zero is brain), a pattern such as `"*_DLMUSE.nii.gz"` inside the patient's
            folder, or a boolean array on the scan's canonical grid. A mask on another grid is resampled (nearest).
        report: The report's text, or a file with it.
        id: A name for the scan instead of the one its files give.
        dicom: How DICOM is read: which series, and whether patients' ids are kept.
        prepare: What to do with a skull, or with sequences on other grids, such as `annofree.prepare.Recipe()`; None
            refuses the one and takes the headers' word for the other.

    Raises:
        InputError: The source cannot be used; the sentence says why and what to do.

    Example:
        >>> import nibabel, numpy
        >>> image = nibabel.Nifti1Image(numpy.arange(27, dtype="f4").reshape(3, 3, 3), numpy.diag([-1, -1, 1, 1]))
        >>> open_scan(image, sequence="FLAIR").to_native(numpy.zeros((3, 3, 3))).shape
        (3, 3, 3)
    """
    _require_a_name(source)
    if isinstance(source, Scan):
        return _with_extras(source, sequence, brain_mask, report)
    if isinstance(source, Mapping):
        case = _mapping(source, id)
    elif isinstance(source, str | Path):
        case = _one_case(Path(source), sequence, _dicom(dicom))
    else:
        case = _HeldCase(id or "scan", Path(), held=((None, source),))
    if id is not None:
        case = replace(case, id=id)
    return scan_of(read_study(case, sequence, brain_mask, read_report(report)), prepare)


def open_cohort(
    source: str | Path | Iterable[str | Path],
    *,
    reports: str | Path | Mapping[str, str] | None = None,
    sequence: str | None = None,
    brain_mask: Masks = None,
    dicom: DicomSettings | Mapping[str, Any] | None = None,
    prepare: Prepare | None = None,
) -> Cohort:
    """Find all scans of a folder, or of several folders and files; each is read when it is asked for.

    Args:
        source: A cohort's folder in any supported layout, a patient's folder, a file, or a list of these.
        reports: A folder of `<id>.txt` files, a JSON or CSV/TSV file, or `{id: text}`; PNG slices bring their own.
        sequence: As for `open_scan`, for every scan.
        brain_mask: As for `open_scan`; or `{id: file}`. A single file serves a cohort of one scan only.
        dicom: As for `open_scan`.
        prepare: As for `open_scan`, for every scan.

    Raises:
        InputError: A path does not exist, or nothing is found in it. Damaged scans fail when they are read.
    """
    paths = [source] if isinstance(source, str | Path) else list(source)
    for path in paths:
        _require_a_name(path)
    for word in sequence.split(",") if sequence is not None else ():
        Modality.parse(word)  # told once, and not for each scan; several name an array's channels
    if not paths:
        raise InputError("No input was given", fix="Name a patient's folder, an image file or a cohort's folder")
    found: list[Case] = []
    for path in paths:
        named = sequence is not None and Path(path).is_file() and not recognises(Path(path))
        found += [_one_case(Path(path), sequence)] if named else find_cases(path, _dicom(dicom)).values()
    cases = with_unique_ids(found)
    texts = read_reports(reports)
    if texts and not set(texts) & set(cases):
        raise InputError(
            "No report belongs to any of the scans",
            why=f"reports are named {', '.join(list(texts)[:3])}; scans {', '.join(list(cases)[:3])}",
            fix="Name each report after its scan's id",
        )
    if isinstance(brain_mask, str | Path) and not is_pattern(brain_mask) and len(cases) > 1:
        raise InputError(
            f"One brain mask was given for {len(cases)} scans",
            file=brain_mask,
            fix="Give a pattern inside each patient's folder, such as '*_brainmask.nii.gz', or segment one by one",
        )
    groups = {label: group for path in paths for label, group in read_groups(Path(path)).items()}

    def load(name: str, case: Case) -> _Loader:
        report = texts.get(name) or read_report(case.text)
        return _Loader(case, sequence, brain_mask, report, prepare, groups.get(participant_of(name)))

    loaders = {name: load(name, case) for name, case in cases.items()}
    opened = {
        "source": [str(Path(path).absolute()) for path in paths],
        "reports": {**reports} if isinstance(reports, Mapping) else _absolute(reports),
        "sequence": sequence,
        "brain_mask": {i: _absolute(mask) for i, mask in brain_mask.items()}
        if isinstance(brain_mask, Mapping)
        else _absolute(brain_mask),
        "dicom": None if dicom is None else _dicom(dicom).model_dump(mode="json"),
        "prepare": _settings(prepare),
    }
    return Cohort(loaders, " ".join(str(path) for path in paths[:3]), opened)


def _dicom(settings: DicomSettings | Mapping[str, Any] | None) -> DicomSettings:
    return settings if isinstance(settings, DicomSettings) else DicomSettings(**(settings or {}))


def _absolute(path: str | Path | None) -> str | None:
    return None if path is None else str(path) if is_pattern(path) else str(Path(path).absolute())


def _settings(prepare: Prepare | None) -> dict[str, Any] | None:
    return None if prepare is None else dict(cast(Any, prepare).model_dump())


@dataclass(frozen=True)
class _Loader:
    case: Case
    sequence: str | None
    brain_mask: Masks
    report: str | None
    prepare: Prepare | None = None
    group: str | None = None
    begun: list[Future[Study]] = field(default_factory=list, compare=False, repr=False)

    def begin(self) -> None:
        """Read the files in a thread: whoever asks for the scan next need not wait for all of it."""
        if not self.begun:
            with_one = ThreadPoolExecutor(1)
            self.begun.append(with_one.submit(self._read))
            with_one.shutdown(wait=False)

    @property
    def _mask(self) -> str | Path | None:
        return self.brain_mask.get(self.case.id) if isinstance(self.brain_mask, Mapping) else self.brain_mask

    @property
    def examination(self) -> tuple[str, str] | None:
        return self.case.examination

    @property
    def origin(self) -> Origin | None:
        """The files, or None where they cannot be told without reading."""
        try:
            mask = mask_file(self._mask, self.case.folder, self.case.brain_mask)
        except InputError:
            return None
        files = self.case.files
        try:
            facts = self.case.facts(self.sequence)
        except (InputError, OSError):
            return None
        if not files and not facts:
            return None
        return Origin(
            files if mask is None else (*files, ("brain mask", mask)),
            {"sequence": self.sequence, "report": self.report, "prepare": _settings(self.prepare), **facts},
        )

    def _read(self) -> Study:
        return read_study(self.case, self.sequence, self._mask, self.report)

    def __call__(self) -> Scan:
        return scan_of(self.begun.pop().result() if self.begun else self._read(), self.prepare)

    def study(self) -> Study:
        """The images as they lie; refused where reading the scan would be, short of preparing it."""
        study = self._read()
        if self.prepare is None or not study.raw:
            as_it_lies(study)
        return study


@dataclass(frozen=True)
class _HeldCase(Case):
    """Nibabel images by sequence; None where a single one's is for its file's name or the caller to say."""

    held: tuple[tuple[Modality | None, Any], ...] = ()

    def read(self, sequence: str | None = None) -> tuple[dict[Modality, Volume], tuple[str, ...]]:
        wanted = None if sequence is None else Modality.parse(sequence)
        found: dict[Modality, Volume] = {}
        for name, image in self.held:
            if name is not None and wanted not in (None, name):
                continue
            volume = read_volume(image)
            said = Modality.guess(volume.source) if name is None else name
            if wanted is not None and said is not None and wanted != said:
                raise contradiction(Path(volume.source).name, [said], wanted, volume.source)
            if (known := wanted or said) is None:
                raise InputError("The sequence of an image in memory is not known", fix="Say it: sequence='FLAIR'")
            if known in found:
                raise InputError(f"Two images in memory are {known}", fix="Give one image of each sequence")
            found[known] = volume
        return found, ()


def _mapping(source: Mapping[str, Any], scan_id: str | None) -> Case:
    if all(isinstance(value, str | Path) for value in source.values()):
        return case_of_mapping(source, scan_id)
    return _HeldCase(scan_id or "scan", Path(), held=tuple((Modality.parse(n), image) for n, image in source.items()))


def _require_a_name(source: Any) -> None:
    """A path of nothing would be the current folder."""
    if isinstance(source, str) and not source.strip():
        raise InputError("An empty text was given instead of a path", fix="Name a patient's folder, a file or a cohort")


def _one_case(path: Path, sequence: str | None, dicom: DicomSettings | None = None) -> Case:
    if sequence is not None and path.is_file() and path.suffix != ".npy" and not recognises(path):
        if FileName(path).map_certainty == "yes":
            return Case(path.name.split(".")[0], path.absolute().parent, unnamed=(path,))
        return case_of_file(path)
    cases = find_cases(path, dicom)
    if len(cases) > 1:
        shown = ", ".join(list(cases)[:3])
        raise InputError(
            f"The folder holds {len(cases)} scans, and one was asked for",
            file=path,
            why=f"{shown}{' and more' if len(cases) > 3 else ''}",
            fix="Name one patient's folder or file, or open all with open_cohort",
        )
    return next(iter(cases.values()))


def _with_extras(scan: Scan, sequence: str | None, brain_mask: Any, report: str | Path | None) -> Scan:
    if sequence is not None:
        wanted = Modality.parse(sequence)
        scan.require(wanted, why="the choice of --sequence")
        scan = scan.replace(images={wanted: scan.images[wanted]})
    if brain_mask is not None:
        mask: Any = brain_mask if isinstance(brain_mask, np.ndarray) else mask_file(brain_mask, Path(), None)
        scan = scan.replace(brain=open_brain_mask(mask, scan.id, scan.grid, scan.images)[0])
    return scan if report is None else scan.replace(report=read_report(report))
