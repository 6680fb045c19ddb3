"""The page and the table are what a person checks a cohort with: nothing may be lost or shown on the wrong side."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from annofree.errors import InputError, OutputError
from annofree.formats.outfolder import read_table
from annofree.page import DISCLAIMER, style
from annofree.reports import Certainty, Side, read_report
from annofree.reports.audit import audit_page, planes
from annofree.reports.cohort import read_and_write, write_readings
from annofree.reports.prior import report_prior
from annofree.reports.regions import AtlasRegions
from command_line import call

TEXTS = {
    "p1": "Glioma in the left frontal lobe, 3 x 3 x 2 cm. No hemorrhage. Midline shift to the right.",
    "p2": "No mass. Normal brain.",
    "p3": "Possible mass in the right temporal lobe.",
    "p4": "Lesion in the left parietal lobe. Necrosis in the right parietal lobe.",
    "p5": "",
    "p6": "左侧额叶占位，大小约3×2cm。",
}


def test_page_shows_every_step_and_loads_nothing(regions: AtlasRegions) -> None:
    reading = read_report(TEXTS["p1"] + " Size < 4 cm & <b>bold</b>.", "a<b>")
    page = audit_page(reading, regions, report_prior(reading, regions))
    assert '<mark class="tumour" title="tumour: present">Glioma</mark>' in page
    assert '<mark class="absent" title="haemorrhage: absent">hemorrhage</mark>' in page
    assert page.count("data:image/png;base64,") == 6
    assert "<b>bold</b>" not in page
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)
    text = re.sub(r"<[^>]+>", "", page[page.index('class="text">') + 13 : page.index("</div><h2>Findings")])
    assert text == reading.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_table_flags_empty_contradictory_and_uncertain_reports(tmp_path: Path) -> None:
    rows = {row["id"]: row for row in write_readings([read_report(t, i) for i, t in TEXTS.items()], tmp_path / "out")}
    assert rows["p1"]["flags"] == "n/a"
    assert rows["p2"]["flags"] == "no lesion"
    assert rows["p3"]["flags"] == "uncertain"
    assert rows["p4"]["flags"] == "contradictory side"
    assert rows["p5"]["flags"] == "no text"
    assert rows["p6"]["side"] == "left"
    with (tmp_path / "out" / "reports.tsv").open(newline="") as stream:
        assert [row["id"] for row in csv.DictReader(stream, delimiter="\t")] == list(TEXTS)
    index = (tmp_path / "out" / "index.html").read_text()
    assert index.index("sub-p4") < index.index("sub-p1")


def test_maps_lie_in_the_atlas_space_and_hold_the_volume(tmp_path: Path, regions: AtlasRegions) -> None:
    write_readings([read_report(TEXTS["p1"], "p1")], tmp_path, regions=regions)
    folder = tmp_path / "sub-p1" / "anat"
    prior = nib.load(next(folder.glob("*probseg.nii.gz")))
    mask = nib.load(next(folder.glob("*label-lesion*mask.nii.gz")))
    assert np.allclose(prior.affine, regions.affine)
    assert prior.get_fdata().sum() * regions.grid.voxel_ml == pytest.approx(9.42, rel=0.03)
    assert np.array_equal(np.asarray(mask.dataobj) > 0, regions.mask("frontal", Side.LEFT))
    findings = json.loads((tmp_path / "sub-p1" / "findings.json").read_text())
    assert findings["side"] == "left"
    assert findings["findings"][0]["span"] == {"start": 0, "end": 6}


@pytest.mark.parametrize("form", ["txt", "csv", "json"])
def test_reports_come_as_folder_table_or_json(tmp_path: Path, form: str) -> None:
    source = tmp_path / "in"
    source.mkdir()
    if form == "txt":
        for name, text in TEXTS.items():
            (source / f"{name}.txt").write_text(text, encoding="utf-8")
    elif form == "csv":
        source /= "reports.csv"
        with source.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("id", "text"), *TEXTS.items()])
    else:
        source /= "reports.json"
        records = {name: {"brats2021": f"other_{name}", "text": text} for name, text in TEXTS.items()}
        source.write_text(json.dumps(records), encoding="utf-8")
    rows = read_and_write(source, tmp_path / "out", maps=False)
    assert {row["id"]: row["side"] for row in rows if row["id"] != "p5"} == {
        "p1": "left",
        "p2": "n/a",
        "p3": "right",
        "p4": "left",
        "p6": "left",
    }


def test_command_line_reads_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from annofree.cli.main import main

    (tmp_path / "p1.txt").write_text(TEXTS["p1"])
    with pytest.raises(SystemExit) as ended:
        main(["reports", str(tmp_path), "-o", str(tmp_path / "out"), "--no-maps"])
    assert ended.value.code in (0, None)
    assert "left" in capsys.readouterr().out
    assert (tmp_path / "out" / "sub-p1" / "report.html").exists()


def test_half_an_atlas_and_a_foreign_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p1.txt").write_text(TEXTS["p1"])
    with pytest.raises(InputError, match="--regions"):
        read_and_write(tmp_path, tmp_path / "out", atlas=tmp_path / "a.nii.gz")
    with pytest.raises(OutputError):
        write_readings([], tmp_path)


def test_reports_whose_names_would_share_a_folder_are_refused(tmp_path: Path) -> None:
    two = [read_report("Left frontal mass.", "P-1"), read_report("No mass.", "P1")]
    with pytest.raises(OutputError, match="the reports of 'P-1' and 'P1' would lie in one folder"):
        write_readings(two, tmp_path / "read")


def test_own_lexicon_with_a_term_in_two_places_is_refused(tmp_path: Path) -> None:
    from annofree.reports import Lexicon

    text = Path(Lexicon.load.__func__.__globals__["__file__"]).with_name("lexicon.yaml").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("en: [insula, ", "en: [insula, frontal lobe, "), encoding="utf-8")
    with pytest.raises(InputError, match="frontal lobe"):
        Lexicon.load(path)
    path.write_text("sides: [", encoding="utf-8")
    with pytest.raises(InputError, match="lexicon"):
        Lexicon.load(tmp_path / "none.yaml")


def test_pages_look_like_the_others_mark_the_sides_and_alarm_nobody(tmp_path: Path, regions: AtlasRegions) -> None:
    write_readings([read_report(t, i) for i, t in TEXTS.items()], tmp_path / "out", regions=regions)
    pages = {name: (tmp_path / "out" / f"sub-{name}" / "report.html").read_text() for name in TEXTS}
    for page in [*pages.values(), (tmp_path / "out" / "index.html").read_text()]:
        assert style() in page
        assert DISCLAIMER in page
        assert "default-src 'none'" in page
    assert '<i class="l">R</i><i class="r">L</i>' in pages["p1"]
    assert '<i class="l">A</i><i class="r">P</i>' in pages["p1"]
    assert 'href="../index.html"' in pages["p1"]
    assert '<span class="chip">no lesion</span>' in pages["p2"]  # a normal report is no warning
    assert 'class="flag"' not in pages["p2"]
    assert '<span class="flag">contradictory side</span>' in pages["p4"]


def test_right_is_on_the_left_and_front_is_on_the_left(regions: AtlasRegions) -> None:
    def picture(address: str) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGB")).astype(int)

    x, y, z = (size // 2 for size in regions.labels.shape)
    right = np.zeros(regions.labels.shape, dtype=bool)
    right[x:], front = True, np.zeros(regions.labels.shape, dtype=bool)
    front[:, y:] = True
    _, coronal, axial = map(picture, planes(regions.labels, [("#ff0000", right)], None, (x, y, z)))
    sagittal = picture(planes(regions.labels, [("#ff0000", front)], None, (x, y, z))[0])
    for drawn in (coronal, axial, sagittal):
        red = drawn[..., 0] - drawn[..., 1]
        middle = red.shape[1] // 2
        assert red[:, : middle - 2].min() > 60
        assert red[:, middle + 2 :].max() < 10


def test_a_second_folder_of_reports_keeps_the_first_ones_rows_and_segmentations_keep_their_page(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_readings([read_report(TEXTS["p1"], "p1")], out)
    write_readings([read_report(TEXTS["p1"], "other")], out)
    assert [row["id"] for row in read_table(out / "reports.tsv")] == ["other", "p1"]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert ">p1<" in page
    assert ">other<" in page
    (out / "reports.tsv").rename(out / "results.tsv")
    with pytest.raises(OutputError, match=r"holds segmentations.*index.html would be replaced"):
        write_readings([read_report(TEXTS["p1"], "p1")], out)
    assert (out / "index.html").read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    ("text", "region", "diameters"),
    [
        ("Bright area in the left temporal lobe, 3 cm.", "temporal", (30.0,)),
        ("A 3 cm cystic structure in the left cerebellum.", "cerebellum", (30.0,)),
        ("Ring-enhancing structure of 25 x 20 mm, left parietal lobe.", "parietal", (25.0, 20.0)),
        ("Nodular structure of 12 mm in the left thalamus.", "thalamus", (12.0,)),
    ],
)
def test_what_is_described_and_not_named_is_read(text: str, region: str, diameters: tuple[float, ...]) -> None:
    reading = read_report(text)
    (lesion,) = reading.lesions
    assert (reading.tumour, reading.side, reading.regions) == (Certainty.PRESENT, Side.LEFT, (region,))
    assert lesion.size is not None
    assert lesion.size.diameters_mm == diameters


def test_described_things_that_the_sentence_explains_are_no_lesion() -> None:
    for text in (
        "Bright areas in the periventricular white matter, likely small vessel disease.",
        "Cystic structure of the pineal region, a pineal cyst.",
        "No bright area. The midline structures are not shifted.",
    ):
        assert read_report(text).lesions == ()


def test_the_readme_tells_of_reports_and_not_of_segmentations(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "p1.txt").write_text(TEXTS["p1"])
    read_and_write(tmp_path / "texts", tmp_path / "out", maps=False)
    told = (tmp_path / "out" / "README").read_text()
    assert "nothing here is a segmentation" in told
    assert "reports.tsv" in told
    assert json.loads((tmp_path / "out" / "dataset_description.json").read_text())["Name"] == "annofree readings"


@pytest.mark.parametrize("option", ["--lexicon", "--table", "--language-model"])
@pytest.mark.parametrize("kind", ["absent", "a folder", "damaged"])
def test_a_file_that_cannot_be_used_is_named_in_a_sentence(
    option: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p1.txt").write_text(TEXTS["p1"])
    file = tmp_path / {"--lexicon": "words.yaml", "--table": "regions.xlsx", "--language-model": "model"}[option]
    if kind == "a folder":
        file.mkdir()
    elif kind == "damaged":
        file.write_text("x: [")
    assert call("reports", tmp_path / "p1.txt", "-o", tmp_path / "out", option, file) == 2
    said = capsys.readouterr().err
    assert str(file) in said
    assert "Errno" not in said
    assert "Error:" not in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_template_that_stands_offers_only_what_the_verb_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("reports", "--region-template", tmp_path / "x.tsv") == 0
    written = (tmp_path / "x.tsv").read_bytes()
    assert call("reports", "--region-template", tmp_path / "x.tsv") == 2
    said = capsys.readouterr().err
    assert "A file stands there already" in said
    assert "--overwrite" not in said
    assert (tmp_path / "x.tsv").read_bytes() == written
