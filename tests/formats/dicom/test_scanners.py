"""Headers as scanners, technologists and anonymisers fill them: Dixon series, agents not given, lost UIDs, bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annofree.formats.dicom import DicomCase, find
from annofree.formats.dicom.pixels import read_stack
from annofree.phantom import phantom_subject

from .made import header, save, slices


@pytest.fixture(scope="module")
def phantom() -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
    scan = phantom_subject(3, kind="glioblastoma", spacing_mm=4.0).scan
    return {str(kind): np.rint(image).astype(np.int32) for kind, image in scan.images.items()}, scan.affine


def test_of_a_dixon_series_water_is_taken_and_never_fat(tmp_path: Path, phantom: Any) -> None:
    """Fat is the last of the four series, and of equal ones the last is taken."""
    images, affine = phantom
    for number, part in enumerate(("in", "opp", "W", "F"), 10):
        common = header("T1C", number, SeriesDescription=f"t1_vibe_dixon_tra_KM_{part}")
        save(tmp_path / part, slices(images["T1C"], affine, common))
    (case,) = find(tmp_path)
    assert isinstance(case, DicomCase)
    assert {str(kind): verdict.series.key for kind, verdict in case.chosen().items()} == {"T1C": "12"}


@pytest.mark.parametrize(
    ("agent", "given"),
    [
        *((words, True) for words in ("Gadovist", "0.1 mmol/kg Dotarem", "IV", "YES", "multihance 10 ml")),
        *((words, False) for words in ("NO CONTRAST", "Non", "no gad", "NOT GIVEN", "None given", "NA", "n/a", "nil")),
        *((words, False) for words in ("0", "0 ml", "0.0", "keine", "ohne KM", "sin contraste", "w/o", "native")),
        *((words, None) for words in ("-", "UNKNOWN", "?")),
    ],
)
def test_the_agent_in_a_header_may_say_that_there_was_none(
    tmp_path: Path, phantom: Any, agent: str, given: bool | None
) -> None:
    images, affine = phantom
    folder = save(tmp_path, slices(images["T1"], affine, header("T1", 1, ContrastBolusAgent=agent)))
    (case,) = find(folder)
    assert isinstance(case, DicomCase)
    assert str(case.verdicts[0].modality) == ("T1C" if given else "T1")
    assert ("nothing says contrast agent" in case.verdicts[0].reasons) == (given is None)


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        ({"ContrastBolusAgent": "Gadovist", "ContrastBolusVolume": "0"}, None),
        ({"ContrastBolusAgent": "Gadovist", "ContrastBolusVolume": "7.5"}, True),
        ({"ContrastBolusAgent": "Gadovist", "ContrastBolusVolume": ""}, True),
        ({"ContrastBolusAgent": "NONE", "ContrastBolusVolume": "0"}, False),
        ({"ContrastBolusAgent": "NONE", "ContrastBolusVolume": "7.5"}, False),
        ({"ContrastBolusAgent": "", "ContrastBolusVolume": "0"}, False),
        ({"ContrastBolusVolume": "0"}, False),
        ({"ContrastBolusVolume": "15"}, True),
    ],
)
def test_an_agent_that_is_named_with_no_volume_says_both(
    tmp_path: Path, phantom: Any, fields: dict[str, str], given: bool | None
) -> None:
    images, affine = phantom
    (case,) = find(save(tmp_path, slices(images["T1"], affine, header("T1", 1, **fields))))
    assert isinstance(case, DicomCase)
    assert case.verdicts[0].series.first.contrast is given
    assert str(case.verdicts[0].modality) == ("T1C" if given else "T1")


def test_two_visits_under_one_study_uid_are_two_scans(tmp_path: Path, phantom: Any) -> None:
    """Some anonymisers leave one UID, or none; an examination past midnight stays one."""
    images, affine = phantom
    for number, (day, kind) in enumerate((("20210523", "T1"), ("20210524", "FLAIR"), ("20220601", "FLAIR")), 1):
        common = header(kind, number, StudyInstanceUID=None, StudyDate=day)
        save(tmp_path / str(number), slices(images[kind], affine, common))
    found = [(set(map(str, case.read()[0])), case.study.days) for case in find(tmp_path) if isinstance(case, DicomCase)]
    assert found == [({"T1", "FLAIR"}, 0), ({"FLAIR"}, 374)]


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_grey_levels_do_not_count(tmp_path: Path, phantom: Any, signed: bool) -> None:
    """Old scanners kept a drawing there, and a negative number of 12 bits may have zeros there."""
    images, affine = phantom
    array = images["T2"] % 1000 - (500 if signed else 0)
    datasets = slices(array, affine, header("T2", 1))
    for one in datasets:
        one.BitsStored, one.HighBit = 12, 11
        stored = np.frombuffer(one.PixelData, np.uint16) & 0xFFF
        one.PixelData = (stored if signed else stored | 0x1000).astype(np.uint16).tobytes()
    (case,) = find(save(tmp_path, datasets))
    assert isinstance(case, DicomCase)
    stack = case.verdicts[0].series.stack
    assert stack is not None
    read = read_stack(stack, "series 1")
    assert (read.min(), read.max()) == (array.min(), array.max())
