"""A DICOM study as a case, and the layout that finds such cases."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from annofree.errors import InputError, OptionalDependency
from annofree.extras import explained
from annofree.formats.case import Case
from annofree.formats.dicom.choose import choose, said_of_several
from annofree.formats.dicom.files import holds_dicom, is_dicom_file, is_zip, read_headers, unpack, zip_holds
from annofree.formats.dicom.header import quiet
from annofree.formats.dicom.kind import Verdict, classify_study
from annofree.formats.dicom.pixels import read_stack
from annofree.formats.dicom.study import Study, find_studies, frame_name, person_key
from annofree.formats.nifti import Volume
from annofree.scan import Modality
from annofree.settings import Settings


class DicomSettings(Settings):
    """How DICOM is read.

    Attributes:
        series: Series to take instead of the guess: "5", or "T1C=5".
        keep_ids: Whether the patient's id names the scan; without it no personal detail leaves the headers.
    """

    series: tuple[str, ...] = ()
    keep_ids: bool = False


@dataclass(frozen=True)
class DicomCase(Case):
    """One DICOM study."""

    study: Study | None = None
    settings: DicomSettings = field(default_factory=DicomSettings)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """What each series was taken for."""
        assert self.study is not None
        with quiet():
            return classify_study(self.study)

    @property
    def examination(self) -> tuple[str, str] | None:
        """A key of the person and the day of the study; shown to nobody."""
        assert self.study is not None
        frame = self.study.series[0].first
        person = person_key(frame)
        return (person, frame.day[:8]) if person.strip("|") else None

    def chosen(self, sequence: str | None = None) -> dict[Modality, Verdict]:
        """The series that are taken, by kind."""
        assert self.study is not None
        wanted = None if sequence is None else Modality.parse(sequence)
        return choose(self.study, self.verdicts, series=self.settings.series, sequence=wanted)

    def facts(self, sequence: str | None = None) -> Mapping[str, Any]:
        """What the scan will be made from: a hash of each chosen series' files, by kind. Holds no path and no name."""
        found = {}
        for kind, verdict in self.chosen(sequence).items():
            assert verdict.series.stack is not None
            digest = hashlib.sha256()
            for path in dict.fromkeys(frame.path for frame in verdict.series.stack.frames):
                with path.open("rb") as handle:
                    digest.update(hashlib.file_digest(handle, "sha256").digest())
            found[str(kind)] = f"series {verdict.series.key}, sha256 {digest.hexdigest()}"
        return found

    def read(self, sequence: str | None = None) -> tuple[dict[Modality, Volume], tuple[str, ...]]:
        """Read the chosen series; notes say why each was taken and what was done to stack it.

        A damaged one that nobody named is left out, and a note says so.

        Raises:
            InputError: A series that was named is damaged, or all are.
            OptionalDependency: A decoder is not installed.
        """
        assert self.study is not None
        chosen = self.chosen(sequence)
        notes = list(self.study.notes)
        for kind, verdict in chosen.items():
            doubt = "" if verdict.sure else " (unsure)"
            notes.append(f"{kind} is DICOM series {verdict.series.key}{doubt}: {'; '.join(verdict.reasons)}.")
            several = None if self.settings.series else said_of_several(self.verdicts, verdict)
            notes += [] if several is None else [several]
        passed = [v for v in self.verdicts if v not in chosen.values()]
        broken = [v for v in passed if v.reasons == (v.series.problem,)]  # not by what it is, but as it lies
        notes += [f"DICOM series {v.series.key} cannot be taken: {v.series.problem}." for v in broken[:3]]
        if left := [v.series.key for v in passed if v not in broken[:3]]:
            notes.append(f"DICOM series not taken: {', '.join(left[:12])}{' and more' if len(left) > 12 else ''}.")
        # Silenced here and not in the threads: Python's filters of warnings belong to the whole process.
        with quiet(), ThreadPoolExecutor(min(len(chosen), 2)) as pool:
            read = dict(zip(chosen, pool.map(partial(_volume, self.study.id), chosen.values()), strict=True))
        volumes = {kind: found for kind, found in read.items() if isinstance(found, Volume)}
        for kind, why in read.items():
            if isinstance(why, InputError):
                if self.settings.series or not volumes:  # what was asked for by name is needed
                    raise why
                others = [v.series.key for v in self.verdicts if v.modality == kind and v is not chosen[kind]]
                other = f", or take another with --series {kind}={others[0]}" if others else ""
                notes.append(f"{kind} was left out: {str(why).rstrip('.')}{other}.")
        return volumes, tuple(notes)


def _volume(study: str, verdict: Verdict) -> Volume | InputError:
    series = verdict.series
    assert series.stack is not None
    name = f"series {series.key}"
    within = f" in {frame}" if (frame := frame_name(series.first.frame_uid)) else ""
    inverse = ("values were turned over, because the smallest is white",) * (series.first.photometric == "MONOCHROME1")
    notes = tuple(f"DICOM {name}: {note}." for note in (*series.notes, *series.stack.notes, *inverse))
    try:
        return Volume(read_stack(series.stack, name), series.stack.grid, f"DICOM {name} of {study}{within}", notes)
    except InputError as damaged:
        return damaged


def recognises(source: Path) -> bool:
    """Whether a folder, a file or an archive holds DICOM."""
    return is_dicom_file(source) if source.is_file() else holds_dicom(source)


def require_dicom(sources: Iterable[Path]) -> None:
    """Refuse sources that are no DICOM, before any work is done for a DICOM SEG.

    Raises:
        InputError: A source is no DICOM folder or archive.
        OptionalDependency: highdicom, which writes the SEG, is not installed.
    """
    if find_spec("highdicom") is None:
        with explained("DICOM SEG"):
            import_module("highdicom")
    for source in sources:
        if source.exists() and not recognises(source):
            fix = "Leave out --dicom-seg and --dicom-sr"
            raise InputError("DICOM SEG and SR can be made of DICOM only", file=source, fix=fix)


def find(source: Path, settings: DicomSettings | None = None) -> list[Case]:
    """A case for each study of a folder or archive that has MR pictures.

    Raises:
        InputError: There is no DICOM picture, or no MR among them.
    """
    settings = settings or DicomSettings()
    studies = open_studies(source)
    with_mr = [study for study in studies if any(series.first.modality == "MR" for series in study.series)]
    if not with_mr:
        others = sorted({series.first.modality for study in studies for series in study.series} & _KNOWN_MODALITIES)
        raise InputError(
            "A DICOM folder holds no MR pictures",
            file=source,
            why=f"its pictures are {', '.join(others)}" if others else "it holds no pictures at all",
            fix="annofree segments MRI of the head; name the folder of the MR series",
        )
    return [DicomCase(_id(study, settings), source, study=study, settings=settings) for study in with_mr]


_KNOWN_MODALITIES = frozenset("CT PT NM US XA CR DX MG OT SC SEG RTSTRUCT RTDOSE RTPLAN SR PR KO".split())  # noqa: SIM905


def _id(study: Study, settings: DicomSettings) -> str:
    if not settings.keep_ids:
        return study.id
    number = study.person[0] or study.id
    return number if study.visit == 1 else f"{number}_visit-{study.visit}"


def open_studies(source: Path) -> list[Study]:
    """The studies of a folder, a zip archive or a file of many frames, from the headers alone.

    Raises:
        InputError: Nothing there is a DICOM picture.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError:
        raise OptionalDependency(
            "DICOM needs pydicom", file=source, fix="Install it with: pip install 'annofree[dicom]'"
        ) from None
    found = read_headers(unpack(source) if is_zip(source) else source)
    if source.is_file() and not is_zip(source) and [frame.modality for frame in found.frames] == ["MR"]:
        raise InputError("A DICOM file holds one slice only", file=source, fix="Name the folder of its series or study")
    if not found.frames:
        if is_zip(source) and (held := zip_holds(source)) not in (None, "DICOM"):
            what, fix = "Only DICOM is read from an archive", "Unpack it and name the folder"
            raise InputError(what, file=source, why=f"it holds {held}", fix=fix)
        lost = f"; {found.without_picture} files are damaged or hold no picture" if found.without_picture else ""
        raise InputError(
            "No DICOM picture was found", file=source, why=f"none of its files has one{lost}", fix="Check the folder"
        )
    with quiet():
        return find_studies(found, source)
