"""A report in a hospital's own encoding is read right or refused; it is never read as "no tumour"."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from annofree.errors import InputError
from annofree.formats.encoding import read_text
from annofree.formats.report_texts import read_reports
from annofree.reports import Certainty, Side
from annofree.reports.cohort import read_and_write
from annofree.reports.rules import read_report

CHINESE = "右侧额叶见环形强化肿块,大小约4.2cm×3.1cm×2.8cm,周围水肿明显。中线左移5mm。"
SHORT = "右侧额叶占位，考虑胶质瘤。"
TRADITIONAL = "右側額葉見環形強化腫塊,大小約4.2cm×3.1cm×2.8cm,周圍水腫明顯。"
WESTERN = "A 4.2 × 3.1 × 2.8 cm mass in the right frontal lobe – no œdema’s. Dr Müller, 37 °C ± 2"


@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "gb18030", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [CHINESE, SHORT, SHORT.replace("，", "\r\n") + "\r\n"])
def test_chinese_is_read_in_every_encoding(tmp_path: Path, text: str, encoding: str, mark: bool) -> None:
    marks = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    file = tmp_path / "p1.txt"
    file.write_bytes((marks.get(encoding, b"") if mark else b"") + text.encode(encoding))
    assert read_text(file) == text
    reading = read_report(read_reports(tmp_path)["p1"])
    assert (reading.tumour, reading.side, reading.regions) == (Certainty.PRESENT, Side.RIGHT, ("frontal",))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (TRADITIONAL, "big5"),
        (TRADITIONAL, "utf-16-le"),
        (WESTERN, "cp1252"),
        (WESTERN, "utf-16-be"),
        (CHINESE, "utf-32"),
    ],
)
def test_other_encodings_are_read(tmp_path: Path, text: str, encoding: str) -> None:
    text = text.replace("œ", "e")
    (tmp_path / "p1.txt").write_bytes(text.encode(encoding))
    assert read_text(tmp_path / "p1.txt") == text


@pytest.mark.parametrize(
    "content",
    [
        "右前頭葉に腫瘤を認める。".encode("shift_jis"),
        "Объёмное образование правой лобной доли".encode("koi8-r"),
        CHINESE.encode("utf-8")[:-2],  # cut within a character
        codecs.BOM_UTF16_LE + CHINESE.encode("utf-16-le")[:-1],
        b"%PDF-1.7 ...",
        b"PK\x03\x04 a word processor's file",
        bytes(range(256)),
    ],
)
def test_what_cannot_be_told_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p1.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"p1\.txt.*UTF-8"):
        read_reports(tmp_path)


@pytest.mark.parametrize("name", ["reports.csv", "reports.json"])
@pytest.mark.parametrize("encoding", ["gbk", "utf-16"])
def test_tables_and_json_are_read_in_the_same_encodings(tmp_path: Path, name: str, encoding: str) -> None:
    content = f'id,text\np1,"{SHORT}"\n' if name.endswith("csv") else f'{{"p1": "{SHORT}"}}'
    (tmp_path / name).write_bytes(content.encode(encoding))
    assert read_reports(tmp_path / name) == {"p1": SHORT}


@pytest.mark.parametrize(
    "text", ["Lésion expansive frontale droite.", "ÓÒ²à¶îÒ¶¼û»·ÐÎÇ¿»¯Ö×¿é", "Объёмное образование"]
)
def test_a_text_of_unknown_words_is_not_called_free_of_tumour(tmp_path: Path, text: str) -> None:
    reading = read_report(text)
    assert "not understood" in reading.flags
    assert not reading.understood
    (tmp_path / "p1.txt").write_text(text, encoding="utf-8")
    (row,) = read_and_write(tmp_path, tmp_path / "out", maps=False)
    assert row["tumour"] == "n/a"


def test_traditional_characters_read_like_simplified_ones() -> None:
    one, other = read_report(TRADITIONAL), read_report(CHINESE)
    assert [lesion.size for lesion in one.lesions] == [lesion.size for lesion in other.lesions]
    assert one.regions == ("frontal",)
    assert one.text == TRADITIONAL
