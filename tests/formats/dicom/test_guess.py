"""Series are taken for what they are, with reasons; what is none of the four is passed over by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annofree.errors import InputError, MissingSequence
from annofree.formats import open_scan
from annofree.formats.dicom import DicomCase, DicomSettings, find
from annofree.formats.dicom.header import looks_like_dicom, quiet, read_frames
from annofree.formats.dicom.table import rows
from annofree.formats.dicom.words import read_words
from annofree.phantom import phantom_subject
from annofree.scan import Modality

from .made import WORDS, header, save, slices, uid, write_study


@pytest.fixture(scope="module")
def phantom() -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
    scan = phantom_subject(3, kind="glioblastoma", spacing_mm=6.0).scan
    return {str(kind): np.rint(image).astype(np.int32) for kind, image in scan.images.items()}, scan.affine


def guesses(folder: Path, **settings: Any) -> dict[str, str | None]:
    (case,) = find(folder, DicomSettings(**settings))
    assert isinstance(case, DicomCase)
    return {v.series.key: None if v.modality is None else str(v.modality) for v in case.verdicts}


def reason(folder: Path, key: str = "1") -> str:
    (case,) = find(folder)
    assert isinstance(case, DicomCase)
    return "; ".join(next(v for v in case.verdicts if v.series.key == key).reasons)


def test_four_sequences_by_words_and_times(tmp_path: Path, phantom: Any) -> None:
    images, affine = phantom
    folder = write_study(tmp_path / "a", images, affine)
    assert guesses(folder) == {str(n): kind for n, kind in enumerate(images, 1)}


def test_series_converted_to_multi_frame_are_taken_for_what_they_were(tmp_path: Path, phantom: Any) -> None:
    """The converter calls each series "(enhanced conversion)", and puts the times into groups of its own."""
    legacy = pytest.importorskip("highdicom.legacy")
    images, affine = phantom
    (tmp_path / "a").mkdir()
    with quiet():
        for number, (kind, array) in enumerate(images.items(), 1):
            classic = slices(array, affine, header(kind, number))
            series, instance = classic[0].SeriesInstanceUID, uid("converted", number)
            made = legacy.LegacyConvertedEnhancedMRImage(classic, series, number, instance, 1)
            made.save_as(tmp_path / "a" / f"{number}.dcm")
    assert guesses(tmp_path / "a") == {str(n): kind for n, kind in enumerate(images, 1)}
    assert "TR 1900, TE 2, TI 900 ms" in reason(tmp_path / "a", "1")


def test_of_two_echoes_the_late_one_is_t2(tmp_path: Path, phantom: Any) -> None:
    """The early one is proton density, although both are called T2 and its slices come first."""
    images, affine = phantom
    early = slices(images["T2"] // 2, affine, header("T2", 1, EchoTime=20))
    late = slices(images["T2"], affine, header("T2", 1, EchoTime=95))
    for number, dataset in enumerate(late):
        dataset.InstanceNumber = len(early) + number + 1
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid("late", number)
    found, notes = find(save(tmp_path / "a", [*early, *late]))[0].read()
    assert found[Modality.T2].array.max() == images["T2"].max()
    assert any(note.startswith("T2 is DICOM series 1.2") for note in notes)
    assert any(note.startswith("Of several T2 series 1.2 was taken, not 1: it is of a late echo;") for note in notes)


def test_four_sequences_without_a_word(tmp_path: Path, phantom: Any) -> None:
    """Only times and picture are left, and nothing tells of contrast agent but the bright rim."""
    images, affine = phantom
    folder = write_study(tmp_path / "a", images, affine, SeriesDescription="")
    assert guesses(folder) == {str(n): kind for n, kind in enumerate(images, 1)}
    _, notes = find(folder)[0].read()
    (told,) = (note for note in notes if note.startswith("T1C is DICOM series 2 (unsure)"))
    spots = re.search(r"brighter spots .*in medians, series 2: ([\d.]+), series 1: ([\d.]+)\)", told)
    assert spots is not None
    assert float(spots[1]) > 1.15 * float(spots[2])


def test_a_wrong_word_loses_against_times_and_picture(tmp_path: Path, phantom: Any) -> None:
    images, affine = phantom
    common = header("T2", 1, SeriesDescription="t1 se tra")
    folder = save(tmp_path / "a", slices(images["T2"], affine, common))
    assert guesses(folder) == {"1": "T2"}


def test_no_times_and_no_words_is_no_guess(tmp_path: Path, phantom: Any) -> None:
    images, affine = phantom
    nothing = {"SeriesDescription": "", "RepetitionTime": None, "EchoTime": None, "InversionTime": None}
    folder = save(tmp_path / "a", slices(images["FLAIR"], affine, header("FLAIR", 1, **nothing)))
    assert guesses(folder) == {"1": None}
    assert "neither headers nor picture tell" in reason(folder)
    with pytest.raises(InputError, match=r"looks like T1, T1C, T2 or FLAIR.*neither headers.*--series FLAIR=NUMBER"):
        find(folder)[0].read()
    volumes, _ = find(folder, DicomSettings(series=("FLAIR=1",)))[0].read()
    assert list(volumes) == [Modality.FLAIR]


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "CT": ({"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "is CT, not MR"),
    "adc": ({"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]}, "is diffusion"),
    "b1000": ({"DiffusionBValue": 1000.0}, "is diffusion (b = 1000)"),
    "dwi by its name": ({"SeriesDescription": "ep2d_diff_3scan_trace"}, "is diffusion"),
    "localiser": ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "is a localiser"),
    "mosaic": ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "is a mosaic"),
    "mip": ({"ImageType": ["DERIVED", "SECONDARY", "MIP"]}, "is a projection"),
    "subtraction": ({"SeriesDescription": "t1 sub"}, "is a subtraction"),
    "tof": ({"SeriesDescription": "TOF 3D multi-slab"}, "is angiography"),
    "swi": ({"SeriesDescription": "SWI_Images"}, "is susceptibility-weighted"),
    "perfusion": ({"SeriesDescription": "dsc perfusion"}, "is perfusion"),
    "spine": ({"BodyPartExamined": "CSPINE"}, "another part of the body"),
    "orbits": ({"SeriesDescription": "t2 orbita cor"}, "does not show the whole head"),
    "screen capture": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "is a screen capture"),
    "phase": ({"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}, "is a phase picture"),
    "fat by Siemens": ({"ImageType": ["DERIVED", "PRIMARY", "DIXON", "FAT"]}, "the fat or the opposed phase"),
    "fat by Philips": ({"ImageType": ["ORIGINAL", "PRIMARY", "F", "F"]}, "the fat or the opposed phase"),
    "opposed phase": ({"SeriesDescription": "t1_vibe_dixon_tra_KM_opp"}, "the fat or the opposed phase"),
    "T2 by gradient echo": ({"SeriesDescription": "AX T2 GRE"}, "is susceptibility-weighted or a gradient echo"),
    "STIR by TIRM": ({"SeriesDescription": "t2_tirm_cor", "InversionTime": 150}, "inversion recovery (TI 150 ms)"),
    "colour table": ({"PhotometricInterpretation": "PALETTE COLOR"}, "in colour"),
    "pd": ({"SeriesDescription": "", "RepetitionTime": 3000, "EchoTime": 14}, "is proton-density-weighted"),
    "t2star": (
        {"SeriesDescription": "", "ScanningSequence": "GR", "RepetitionTime": 800, "EchoTime": 20},
        "T2*-weighted gradient echo",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_others_are_passed_over_by_name(tmp_path: Path, phantom: Any, what: str) -> None:
    images, affine = phantom
    changes, said = OTHERS[what]
    made = slices(images["T2"], affine, header("T2", 1, **changes))
    for dataset in made:
        dataset.PhotometricInterpretation = changes.get("PhotometricInterpretation", "MONOCHROME2")
    folder = save(tmp_path / "a", made)
    save(tmp_path / "a" / "9", slices(images["FLAIR"], affine, header("FLAIR", 9)))
    found = guesses(folder)
    assert found == {"1": None, "9": "FLAIR"}
    assert said in reason(folder)


def test_a_folder_of_ct_alone_is_refused_by_name(tmp_path: Path, phantom: Any) -> None:
    images, affine = phantom
    folder = save(tmp_path / "a", slices(images["T2"], affine, header("T2", 1, Modality="CT")))
    with pytest.raises(InputError, match=r"holds no MR pictures.*its pictures are CT"):
        find(folder)


def test_a_series_that_lost_slices_is_left_out_with_the_reason(tmp_path: Path, phantom: Any) -> None:
    folder = write_study(tmp_path / "study", *phantom)
    for number, file in enumerate(sorted((folder / "s4").iterdir())):
        if number % 2:
            file.unlink()  # names are no order: what is left lies unevenly
    scan = open_scan(folder)
    assert scan.sequences == ("T1", "T1C", "T2")
    (said,) = (note for note in scan.notes if note.startswith("DICOM series 4 "))
    assert re.fullmatch(r"DICOM series 4 cannot be taken: .*slices.*\.", said)
    assert not any("not taken: 4" in note for note in scan.notes)


def test_the_finer_of_two_is_taken_and_a_number_says_otherwise(tmp_path: Path, phantom: Any) -> None:
    images, affine = phantom
    coarse = affine @ np.diag([1, 1, 2, 1])
    save(tmp_path / "a" / "fine", slices(images["FLAIR"], affine, header("FLAIR", 5)))
    save(tmp_path / "a" / "thick", slices(images["FLAIR"][:, :, ::2], coarse, header("FLAIR", 4)))
    volumes, notes = find(tmp_path / "a")[0].read()
    assert volumes[Modality.FLAIR].array.shape[2] == images["FLAIR"].shape[2]
    assert any(note.startswith("FLAIR is DICOM series 5: ") for note in notes)
    assert "DICOM series not taken: 4." in notes
    volumes, _ = find(tmp_path / "a", DicomSettings(series=("4",)))[0].read()
    assert volumes[Modality.FLAIR].array.shape[2] == len(range(0, images["FLAIR"].shape[2], 2))
    with pytest.raises(InputError, match=r"has no series 77.*it has 4, 5"):
        find(tmp_path / "a", DicomSettings(series=("77",)))[0].read()
    with pytest.raises(InputError, match=r"Two series of study-.* were named for FLAIR"):
        find(tmp_path / "a", DicomSettings(series=("4", "FLAIR=5")))[0].read()


def test_of_a_repeated_series_the_last_is_taken_and_a_note_says_so(tmp_path: Path, phantom: Any) -> None:
    images, affine = phantom

    def written(kind: str, number: int, time: str, **changes: Any) -> None:
        made = header(kind, number, AcquisitionTime=time, SeriesDescription=f"{kind[:2].lower()} tra", **changes)
        save(tmp_path / f"s{number}", slices(images[kind] + number, affine, made))

    def series(note_of: str = "") -> dict[str, str]:
        case = find(tmp_path)[0]
        assert isinstance(case, DicomCase)
        assert any(note_of in note for note in case.read()[1])
        return {str(kind): verdict.series.key for kind, verdict in case.chosen().items()}

    written("T2", 3, "110500")
    written("T2", 9, "100500")  # the number of a series that was moved in the list says nothing against its time
    assert series("Of several T2 series 3 was taken, not 9: it is the last;") == {"T2": "3"}
    written("T1", 5, "101500")
    written("T1", 8, "102500")
    said = "Of several T1 series 5 was taken, not 8: it is the first, for later ones may be after contrast agent;"
    assert series(said)["T1"] == "5"  # nothing says which of them is after contrast agent
    written("T1C", 7, "102000", ContrastBolusAgent="Gadovist")
    assert series("Of several T1 series 5 was taken, not 8: it is from before contrast agent;")["T1"] == "5"
    written("T1", 6, "101800")
    assert series("Of several T1 series 6 was taken, not 5, 8: it is the last;")["T1"] == "6"


def test_two_visits_and_two_patients_are_cases_of_their_own(tmp_path: Path, phantom: Any) -> None:
    images, affine = phantom
    flair = {"FLAIR": images["FLAIR"]}
    write_study(tmp_path / "a" / "1", flair, affine, study="one")
    write_study(tmp_path / "a" / "2", flair, affine, study="two", StudyDate="20220523")
    write_study(tmp_path / "a" / "3", flair, affine, study="three", PatientID="other", StudyDate="20200101")
    cases = find(tmp_path / "a")
    found = {(case.study.patient, case.study.visit, case.study.days) for case in cases if isinstance(case, DicomCase)}
    assert found == {(1, 1, 0), (2, 1, 0), (2, 2, 365)}
    assert len({case.id for case in cases}) == 3


def test_the_table_keeps_the_decimals_of_times(
    phantom: tuple[dict[str, NDArray[Any]], NDArray[Any]], tmp_path: Path
) -> None:
    (case,) = find(write_study(tmp_path, {"T1": phantom[0]["T1"]}, phantom[1]))
    assert isinstance(case, DicomCase)
    assert "1900/2.5/900" in {row["TR/TE/TI ms"] for row in rows(case)}


def test_words_never_hold_what_the_table_does_not(tmp_path: Path) -> None:
    words = read_words("MILLER^ANNA 12345 post OP t1w_flair TIRM dark-fluid St. Mary")
    assert set(words.shown) <= {"contrast", "t1", "flair", "t1 flair"}
    for text in WORDS.values():
        assert read_words(text).against is None
    assert read_words("FA | 3T T1").against == "is diffusion"  # no flip angle: the numbers of another field


#: Languages whose word in front of contrast agent was passed over, so that a native T1 became T1C.
_WITHOUT = (
    *("bez kontrastu", "przed kontrastem", "před kontrastem", "brez kontrasta", "fără contrast", "tanpa kontrast"),
    *("uden kontrast", "geen contrast", "ilman kontrastia", "prä KM", "prae KM", "pré contraste", "contrast-free"),
    *("KM-frei", "kontrastsiz", "kontrastsız", "kontrast öncesi", "kontrastfrei", "contrast none", "造影前", "s/gd"),
)


@pytest.mark.parametrize(
    ("text", "contrast"),
    [
        ("T1 NO CONTRAST", False),
        ("T1 sin contraste", False),
        ("T1 sans gado", False),
        ("T1 GD-", False),
        ("AX T1 W/O CON", False),
        ("T1 pre gd", False),
        ("t1 nativ", False),
        ("T1平扫", False),
        ("T1+C", True),
        ("T1 VIBE KM free-breathing", True),
        ("T1 pre-op KM", True),
        ("sT1W_TSE_GD", True),
        ("T1CE", True),
        ("AX T1 POST | BRAIN W/WO CONTRAST", True),
        ("AX T1 | BRAIN W/WO CONTRAST", None),
        ("T1 o. KM", False),
        ("T1 S/CONTRASTE", False),
        ("T1 W/OUT CONTRAST", False),
        ("AX_T1_W_O_CONTRAST", False),
        ("T1 contrastado", True),
        ("AX T1 | BRAIN_W_WO_CONTRAST", None),
        ("AX T1 | BRAIN +/- CONTRAST", None),
        ("AX T1 | MR BRAIN WWO CONTRAST", None),
        ("AX T1 | KOPF MIT UND OHNE KM", None),
        ("AX T1 | Kopf nativ und KM", None),
        ("T1 post-op", None),
        *((f"T1 {words}", False) for words in _WITHOUT),
        ("T1 kontrastlı", None),
        ("T1 kontrastli", True),
        ("T1 造影後", True),
        ("T1 med kontrast", True),
        ("AX T1 -C", None),
    ],
)
def test_a_description_says_whether_contrast_agent_was_given(text: str, contrast: bool | None) -> None:
    words = read_words(text)
    assert (words.sequences, words.contrast) == (("T1",), contrast)
    assert [word for word in words.shown if word in ("contrast", "native")] == {
        True: ["contrast"],
        False: ["native"],
        None: [],
    }[contrast]


@pytest.mark.parametrize(
    ("text", "sequences", "against"),
    [
        ("t2_tse_tra_restore", ("T2",), None),
        ("T2 FLAIR ASSET", ("FLAIR",), None),
        ("ASSET", (), "calibration"),
        ("T1 MPRAGE PLANNING", ("T1",), None),
        ("PLAN SCAN", (), "localiser"),
        ("T1 head coil", ("T1",), None),
        ("T1 FA 15", ("T1",), None),
        ("DTI FA", (), "diffusion"),
        ("PROPELLER T1", ("T1",), None),
        ("PROPELLER T2", ("T2",), None),
        ("T2压水", ("FLAIR",), None),
        ("T2 水抑制", ("FLAIR",), None),
        ("t2_swi3d_tra_p2", ("T2",), "susceptibility"),
        ("t2_ciss3d", ("T2",), "nerves"),
        ("relCBV", (), "perfusion"),
        ("isoADC", (), "diffusion"),
        ("mp2rage_INV1", ("T1",), "one inversion"),
        ("mp2rage_T1_Images", ("T1",), "map"),
        ("T1 mapping", ("T1",), "map"),
        ("t2_space_DIR", ("T2",), "double inversion"),
        ("t2_spc_da-fl_sag_p2_iso", ("FLAIR",), None),
        ("t1_tirm_tra", ("T1",), None),
        ("T2W_3D_FFE", ("T2",), "gradient echo"),
        ("t2_fl2d_tra", ("T2",), "gradient echo"),
        ("T1 GRE", ("T1",), None),
        ("t1_vibe_dixon_tra_W", ("T1",), None),
        ("t1_vibe_dixon_tra_F", ("T1",), "fat"),
        ("FAT: Ax T1 FLEX", ("T1",), "fat"),
        ("AX T1 FLEX FAT SAT", ("T1",), None),
        ("T1 mDIXON PRE OP", ("T1",), None),
        ("T1 FLEX POST-OP", ("T1",), None),
        ("T1 DIXON F/U", ("T1",), None),
        ("T1 POST OP DIXON OP", ("T1",), "opposed phase"),
    ],
)
def test_a_word_is_no_other_that_it_contains(text: str, sequences: tuple[str, ...], against: str | None) -> None:
    words = read_words(text)
    assert words.sequences == sequences
    assert (words.against is None) == (against is None)
    assert (against or "") in (words.against or "")


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
@pytest.mark.parametrize("kind", ["T1C", "FLAIR"])
def test_the_quick_way_through_a_header_reads_what_pydicom_reads(
    tmp_path: Path, phantom: Any, monkeypatch: pytest.MonkeyPatch, syntax: str, kind: str
) -> None:
    """Implicit and explicit, little and big endian; letters beyond ASCII, several values, odd spaces, escapes."""
    images, affine = phantom
    words = {"SpecificCharacterSet": "ISO_IR 192", "SeriesDescription": "t1 Schädel nach KM ", "PatientName": "Ä^B"}
    numbers = {"EchoTime": " 2.50", "PixelSpacing": ["1.50 ", "1.5"], "InstanceNumber": "+7", "RescaleSlope": "2e-1"}
    more = {"ImageType": ["ORIGINAL", "PRIMARY ", "M"], "ScanningSequence": ["GR", "IR"], "DiffusionBValue": 0.0}
    made = slices(images["T2"][:, :, 5:6], affine, header(kind, 3, **words, **numbers, **more))
    japanese = slices(images["T2"][:, :, 6:7], affine, header(kind, 4))[0]
    japanese.SpecificCharacterSet, japanese.ProtocolName = ["", "ISO 2022 IR 87"], "頭部"
    for number, dataset in enumerate([*made, japanese]):
        path = tmp_path / f"{number}.dcm"
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(
            path,
            implicit_vr=syntax == "1.2.840.10008.1.2",
            little_endian=not syntax.endswith("1.2.2"),
            force_encoding=True,
        )

        def read(path: Path = path) -> Any:
            with quiet(), path.open("rb") as handle:
                return read_frames(path, handle)

        quick = read()
        assert quick[0].series_number == 3 + number
        assert ("頭部" if number else "Schädel") in quick[0].text
        with monkeypatch.context() as patched:
            patched.setattr("annofree.formats.dicom.elements._plain", lambda dataset, name: None)
            assert read() == quick


def test_damaged_headers_never_crash(tmp_path: Path, phantom: Any) -> None:
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    images, affine = phantom
    source = slices(images["T2"][:, :, 5:6], affine, header("T2", 1))[0]
    path = tmp_path / "x.dcm"
    source.save_as(path, enforce_file_format=True)
    content = path.read_bytes()

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.tuples(st.integers(132, 1400), st.integers(0, 255)), min_size=1, max_size=12))
    def check(changes: list[tuple[int, int]]) -> None:
        damaged = bytearray(content)
        for place, value in changes:
            damaged[place] = value
        path.write_bytes(bytes(damaged))
        with quiet(), path.open("rb") as handle:
            frames = read_frames(path, handle) if looks_like_dicom(path) else None
        assert frames is None or frames[0].rows >= 0
        if frames:
            folder = tmp_path
            try:
                cases = find(folder)
                cases[0].read()
            except InputError:
                pass

    check()


@pytest.mark.parametrize("name", ["SliceThickness", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"])
@pytest.mark.parametrize("value", ["", "abc", "nan", "0", "1\\2\\3\\4\\5\\6\\7", "1e400"])
def test_nonsense_values_are_refused_or_read_never_guessed(tmp_path: Path, phantom: Any, name: str, value: str) -> None:
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    images, affine = phantom
    datasets = slices(images["T2"], affine, header("T2", 1))
    tag = Tag(tag_for_keyword(name) or 0)
    for dataset in datasets:
        dataset[tag] = RawDataElement(tag, "DS", len(value), value.encode() + b" " * (len(value) % 2), 0, False, True)
    folder = save(tmp_path / "a", datasets)
    if name == "SliceThickness":  # never used for the geometry
        assert guesses(folder) == {"1": "T2"}
    else:
        assert guesses(folder) == {"1": None}
        assert "give no" in reason(folder)


def test_a_uid_shared_by_two_persons_stays_two_scans(tmp_path: Path, phantom: Any) -> None:
    images, affine = phantom
    write_study(tmp_path / "a" / "1", {"FLAIR": images["FLAIR"]}, affine)
    other = slices(images["FLAIR"], affine, header("FLAIR", 1, PatientID="B"))
    for number, dataset in enumerate(other):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid("b", number)
    save(tmp_path / "a" / "2", other)
    assert len({case.id for case in find(tmp_path / "a")}) == 2


def test_a_damaged_series_is_left_out_and_refused_where_it_is_needed(tmp_path: Path, phantom: Any) -> None:
    images, affine = phantom
    folder = write_study(tmp_path / "a", images, affine)
    whole = open_scan(folder)
    (victim,) = folder.glob("s3/IM0004.dcm")
    victim.write_bytes(victim.read_bytes()[:-900])
    scan = open_scan(folder)
    assert scan.sequences == ("T1", "T1C", "FLAIR")
    for name in scan.sequences:
        assert np.array_equal(scan.images[name], whole.images[name])
    (said,) = (note for note in scan.notes if note.startswith("T2 was left out"))
    assert re.search(r"Slice \d+ of DICOM series 3 \(IM0004.dcm\) cannot be read: its pixels are damaged or", said)
    with pytest.raises(MissingSequence, match=r"T2, which it needs: it has .*; T2 was left out: Slice"):
        scan.require(Modality.T2, why="it")
    for dicom in ({"series": ("FLAIR=4", "T2=3")}, {"series": ("3",)}):
        with pytest.raises(InputError, match=r"Slice \d+ of DICOM series 3"):
            open_scan(folder, dicom=dicom)
    with pytest.raises(InputError, match=r"Slice \d+ of DICOM series 3"):
        open_scan(folder, sequence="T2")
    victim.rename(victim.with_name("Doe_Jane.dcm"))
    (said,) = (note for note in open_scan(folder).notes if note.startswith("T2 was left out"))
    assert "Doe" not in said


def test_files_that_cannot_be_opened_are_counted(tmp_path: Path, phantom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    images, affine = phantom
    folder = write_study(tmp_path / "a", {"FLAIR": images["FLAIR"]}, affine)
    opened = Path.open

    def locked(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name == "IM0005.dcm":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", locked)
    (case,) = find(folder)
    assert isinstance(case, DicomCase)
    assert case.study is not None
    assert case.study.notes == ("1 DICOM files cannot be read, are damaged or hold no picture",)
