"""What is written: nothing outside the brain, nothing that could be fetched, sizes within bounds, honest numbers."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annofree import segment
from annofree.batch.run import run
from annofree.errors import InputError, OutputError
from annofree.formats import open_cohort
from annofree.formats.stored import read_segmentation
from annofree.pipeline import Choice
from annofree.refine import REFINERS
from annofree.review import review, write_cohort_review, write_review
from annofree.review.patient import page_path
from annofree.review.pictures import COLOURS, key_voxel, make_tile, outline_picture
from annofree.review.remake import read_again
from annofree.review.summary import Summary, read_summary
from annofree.review.volumes import cut_brain, make_levels, pack
from annofree.review.words import CLEAN_UP, RULES, centre_words, clean_up_sentence
from annofree.scan import Modality, Scan
from annofree.segmentation import Lesion
from annofree.thresholds import THRESHOLDS
from command_line import call

from .conftest import NASTY, Case, make_case


def embedded(page: Path) -> dict[str, nib.Nifti1Image]:
    """The volumes inside a page."""
    found = re.findall(
        r'<script type="text/plain" id="((?:image|labels|score)[^"]*)">([^<]*)</script>', page.read_text()
    )
    return {name: nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(body))) for name, body in found}


@given(seed=st.integers(0, 1000), threshold=st.floats(-3, 3), unit=st.sampled_from(["z", "residual", "probability"]))
def test_levels_hold_the_mask_of_every_stop_exactly(seed: int, threshold: float, unit: str) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(6, 5, 4)).astype(np.float32)
    values.flat[:3] = np.float32(threshold), np.nextafter(np.float32(threshold), np.float32(9)), np.float32(threshold)
    counted = rng.random(values.shape) < 0.8
    levels = make_levels(values, unit, threshold, counted)
    assert levels.stops[levels.own] == np.float32(threshold)
    assert (np.diff(levels.stops) >= 0).all()
    for stop in {0, levels.own, levels.own // 2, len(levels.stops) - 1}:
        mask = (values > levels.stops[stop]) & counted
        assert np.array_equal((levels.values > stop) & counted, mask)
        assert levels.voxels_above(stop) == mask.sum()
    assert np.array_equal((levels.values > levels.own) & counted, (values > threshold) & counted)


def test_nothing_outside_the_brain_is_in_a_page(cases: tuple[Case, ...], tmp_path: Path) -> None:
    case = cases[0]
    bright = {s: image + np.float32(1e4) * ~case.result.brain for s, image in case.scan.images.items()}
    page = write_review(case.result, case.scan.replace(images=bright, brain=case.result.brain), tmp_path / "out")
    box = tuple(
        slice(h[0], h[-1] + 1)
        for h in (np.flatnonzero(case.result.brain.any(axis=tuple({0, 1, 2} - {a}))) for a in range(3))
    )
    inside = case.result.brain[box]
    volumes = embedded(page)
    assert {f"image-{s}" for s in case.scan.sequences} < set(volumes)
    for name, volume in volumes.items():
        array = np.asarray(volume.dataobj)
        assert array.shape == inside.shape
        assert not array[~inside].any(), name
        if name.startswith("image"):
            assert (array[inside] > 0).all()
    corner = case.scan.affine @ [box[0].start, box[1].start, box[2].start, 1]
    assert np.allclose(volumes["labels"].affine[:3, 3], corner[:3])
    assert np.array_equal(np.asarray(volumes["labels"].dataobj), case.result.labels[box])


def test_a_head_without_brain_mask_gets_no_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    head = rng.gamma(2.0, 10.0, size=(60, 70, 60)).astype(np.float32)
    head[8:52, 8:62, 8:52] += 200
    scan = Scan("head", {Modality.T1: head}, np.diag([4.0, 4.0, 4.0, 1.0]))
    result = make_case(1, "head").result
    result = result.replace(
        labels=np.zeros(head.shape, np.uint8), affine=scan.affine, native=scan.native, brain=head > 100, scores={}
    )
    with pytest.raises(InputError, match="face"):
        write_review(result, scan, tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*.html"))


def test_pages_refer_to_nothing_and_tell_no_paths(out: Path) -> None:
    for page in out.rglob("*.html"):
        text = page.read_text()
        markup = re.sub(r"<script[^>]*>.*?</script>|<pre>.*?</pre>", "", text, flags=re.S)
        addresses = re.findall(r'(?:src|href|action|data)="([^"]*)"', markup)
        assert all(a.startswith(("data:", "sub-", "../index.html")) for a in addresses)
        assert "default-src 'none'" in text
        assert "not a medical device" in text
        assert "/home/somebody" not in text
        assert page.stat().st_size < 12e6


def test_pages_say_what_was_done(out: Path, cases: tuple[Case, ...]) -> None:
    text = page_path(out, "p-10").read_text()
    for words in (
        "One finding, left frontal",
        f"{cases[0].result.volumes_ml['ET']:.1f} <small>ml</small>",
        "fixed; a test; tier T2; probability",
        "The T2 was resampled.",
        "no mask, no label, no report",
        "Somebody &lt;2024&gt;",
        "components (connectivity 26)",
        "patient's right is on the left",
        "flair.nii.gz",
    ):
        assert words in text
    assert "Nothing was found. That is no proof" in page_path(out, "p-9").read_text()


def test_a_page_shows_no_volume_of_what_no_image_shows(cases: tuple[Case, ...], tmp_path: Path) -> None:
    full = cases[0]
    told = {**full.result.provenance, "guessed_ml": {"ET": 3.0}}
    labels = np.where(full.result.labels == 3, np.uint8(1), full.result.labels)
    thresholds = {name: rule for name, rule in full.result.thresholds.items() if name != "ET"}
    result = full.result.replace(labels=labels, regions=("WT", "TC"), thresholds=thresholds, provenance=told)
    with_it, without = (write_review(r, full.scan, tmp_path).read_text() for r in (full.result, result))
    assert "<dt>Enhancing tumour</dt><dd>n/a</dd>" in without
    assert "<dt>Enhancing tumour</dt><dd>n/a</dd>" not in with_it
    for shown in ("</i>enhancing</span>", "Try another threshold: Enhancing tumour", "what takes up contrast"):
        assert (shown in with_it, shown in without) == (True, False), shown


def test_the_patients_right_is_on_the_left_of_every_picture(cases: tuple[Case, ...]) -> None:
    from PIL import Image

    brain = cut_brain(cases[0].result, cases[0].scan)
    middle = brain.labels.shape[0] // 2
    right_only = np.where(np.arange(brain.labels.shape[0])[:, None, None] > middle, brain.inside, False)
    image = {Modality.FLAIR: (right_only * 255).astype(np.uint8)}
    brain = type(brain)(image, brain.labels, {}, brain.inside, brain.affine, brain.voxel_ml)
    for axis in (2, 1):
        tile = make_tile(brain, axis, key_voxel(brain)[axis], height=120, sequences=["FLAIR"])
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(tile.images["FLAIR"].split(",")[1]))))
        half = picture.shape[1] // 2
        assert picture[:, :half].mean() > 20 * max(picture[:, half + 4 :].mean(), 0.1)


def test_outlines_have_the_colours_of_the_regions() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[5:35, 5:35], labels[10:30, 10:30], labels[16:24, 16:24] = 2, 1, 3
    picture = outline_picture(labels, (160, 160))
    seen = {tuple(c) for c in picture[picture[..., 3] > 0][:, :3].tolist()}
    assert seen == set(COLOURS.values())
    assert picture[80, 80, 3] == 0  # inside, the image stays visible
    alone = outline_picture((labels > 0).astype(np.uint8) * 2, (160, 160))
    assert {tuple(c) for c in alone[alone[..., 3] > 0][:, :3].tolist()} == {COLOURS["WT"]}


def test_what_does_not_fit_is_coarser_and_numbers_stay(cases: tuple[Case, ...], out: Path) -> None:
    brain = cut_brain(cases[0].result, cases[0].scan)
    fine, coarse = pack(brain, 10_000_000), pack(brain, sum(map(len, pack(brain, 10_000_000).files.values())) // 3)
    assert not fine.coarser
    assert fine.spacing_mm == pytest.approx((3.0, 3.0, 3.0))
    assert coarse.step == (1, 1, 1)  # nothing coarser than 3 mm is ever shown

    finer = type(brain)(
        brain.images, brain.labels, brain.levels, brain.inside, brain.affine @ np.diag([1 / 3] * 3 + [1]), 0.001
    )
    packed = pack(finer, sum(map(len, fine.files.values())) // 2)
    assert packed.coarser
    assert packed.step[0] > 1
    assert packed.spacing_mm == pytest.approx(tuple(float(s) for s in packed.step))
    small = nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(packed.files["image-FLAIR"])))
    step = packed.step[0]
    assert not np.asarray(small.dataobj)[~brain.inside[::step, ::step, ::step]].any()


def test_a_method_that_answered_nothing_is_said_once(out: Path) -> None:
    """The sentence came once for each of thousands of scans."""
    with pytest.raises(InputError, match=r"^No segmentation is by 'wrong' \(.*out\)\. Name made\.$"):
        review(out, method="wrong")


def test_pages_are_the_same_bytes_twice_and_kept_while_nothing_changed(tmp_path: Path) -> None:
    from annofree.batch.run import run
    from annofree.formats import open_cohort
    from annofree.phantom import write_cohort
    from annofree.pipeline import Choice

    write_cohort(tmp_path / "in", n=2, seed=3, spacing_mm=3.0, healthy_fraction=0.0)
    run(open_cohort(tmp_path / "in" / "scans"), Choice("intensity-published"), tmp_path / "out", locate=False)
    first = review(tmp_path / "out")
    assert len(first.made) == 2
    assert not first.failed
    before = {p: p.read_bytes() for p in first.made}
    second = review(tmp_path / "out")
    assert (len(second.made), len(second.kept)) == (0, 2)
    review(tmp_path / "out", again=True)
    assert before == {p: p.read_bytes() for p in first.made}

    for file in (tmp_path / "in" / "scans" / "phantom-001").iterdir():
        file.unlink()
    third = review(tmp_path / "out", again=True)
    assert [scan_id for scan_id, _ in third.failed] == ["phantom-001"]
    assert len(third.made) == 1
    assert "phantom-001" in third.index.read_text()

    result = read_segmentation(tmp_path / "out", "phantom-000")
    data = json.loads(re.search(r'id="annofree-data">(.*?)</script>', first.made[0].read_text()).group(1))
    level = data["levels"]["WT"]
    assert level["stops"][level["own"]] == pytest.approx(1.5)
    shown = int(re.search(r'data-voxels="(\d+)"', first.made[0].read_text()).group(1))
    assert shown == ((result.scores["WT"].values > 1.5) & result.brain).sum()


def test_the_cohort_page_puts_the_lowest_expected_dice_first(tmp_path: Path) -> None:
    head = "id\tmethod\ttier\tWT_ml\tTC_ml\tET_ml\tlesions\tside\tlobe\tconfidence\texpected_dice\tnotes"
    rows = [
        f"{name}\tm\tT0\t{ml}\tn/a\tn/a\t1\tleft\tFrontal\t{sure}\t{dice}\tn/a"
        for name, ml, sure, dice in (
            ("good", 9.0, 0.5, 0.93),
            ("bad", 9.0, 0.9, 0.41),
            ("nothing", 0.0, "n/a", "n/a"),
            ("fair", 9.0, 0.7, 0.8),
        )
    ]
    (tmp_path / "results.tsv").write_text("\n".join([head, *rows]) + "\n")
    text = write_cohort_review(_claimed(tmp_path)).read_text()
    order = re.findall(r'<td data-v="(good|bad|nothing|fair)">', text)
    assert order == ["nothing", "bad", "fair", "good"]
    assert "Expected Dice: what the whole tumour's Dice is expected to be" in text
    assert ">0.41</td>" in text


def test_the_cohort_page_shows_how_volumes_and_certainty_are_spread(tmp_path: Path) -> None:
    rows = [
        f"s{i}\tm\tT0\t{volume}\tn/a\tn/a\t1\tleft\tFrontal\t{sure}\tn/a" for i, (volume, sure) in enumerate(SPREAD)
    ]
    head = "id\tmethod\ttier\tWT_ml\tTC_ml\tET_ml\tlesions\tside\tlobe\tconfidence\tnotes"
    (tmp_path / "results.tsv").write_text("\n".join([head, *rows]) + "\n")
    text = write_cohort_review(_claimed(tmp_path)).read_text()
    volumes, certainty = (strip.split("</svg>")[0] for strip in text.split("Distribution: ")[1:])
    assert volumes.startswith("Volume of the whole tumour")
    assert certainty.startswith("Confidence")
    assert volumes.count("<circle") == 3  # nothing was found in the fourth
    assert "<title>s1: 20.0 ml</title>" in volumes
    assert "<title>s1: 90%</title>" in certainty
    left = {
        name: float(re.search(rf'cx="([0-9.]+)"[^<]*<title>{name}:', volumes).group(1)) for name in ("s0", "s1", "s2")
    }
    assert left["s0"] < left["s1"] < left["s2"]


SPREAD = ((2.0, 0.5), (20.0, 0.9), (200.0, 0.7), (0, "n/a"))


def test_the_cohort_page_lists_what_has_no_page(out: Path, tmp_path: Path) -> None:
    (tmp_path / "results.tsv").write_text(
        "id\tmethod\ttier\tWT_ml\tTC_ml\tET_ml\tlesions\tside\tlobe\tconfidence\tnotes\n"
        "a\tm\tT0\t12.5\tn/a\tn/a\t2\tleft\tFrontal\tn/a\tn/a\nb\tm\tT0\t0\tn/a\tn/a\t0\tn/a\tn/a\tn/a\tlooks odd\n"
    )
    text = write_cohort_review(_claimed(tmp_path)).read_text()
    assert text.index('data-v="b"') < text.index('data-v="a"')
    assert "left frontal" in text
    assert "looks odd" in text
    assert re.search(r"Median volume, where found\W.*12\.5", text, flags=re.S)  # of one, as the other has none
    with pytest.raises(InputError, match=r"There is no segmentation in the folder .*Give "):
        write_cohort_review(_claimed(tmp_path / "empty"))


def test_a_folder_of_which_no_page_can_be_made_says_why(tmp_path: Path) -> None:
    make_case(1, "memory").result.save(tmp_path / "out", page=False)
    with pytest.raises(InputError, match=r"Not one page could be made .*memory: Images are not where they were"):
        review(tmp_path / "out")


def test_pages_of_results_that_may_not_be_written_to_go_elsewhere(
    cases: tuple[Case, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = cases[0].scan
    image = tmp_path / "flair.nii.gz"
    nib.save(nib.Nifti1Image(scan.to_native(scan.images[Modality.FLAIR]), scan.native.affine), image)
    result = segment(image, method="intensity-published", locate=False)
    results, pages = tmp_path / "results", tmp_path / "pages"
    result.save(results)
    review(results)
    beside = page_path(results, result.scan_id).read_bytes()
    page_path(results, result.scan_id).unlink()
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    with monkeypatch.context() as context:
        context.setattr("os.access", lambda place, mode: Path(place) != results or not mode & os.W_OK)
        assert call("review", results) == 2
        assert "nothing may be written in it. Choose another folder with -o" in capsys.readouterr().err
        assert call("review", results, "-o", pages) == 0
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before
    assert page_path(pages, result.scan_id).read_bytes() == beside
    assert (pages / "index.html").read_bytes() == (results / "index.html").read_bytes()
    assert len(review(results, pages=pages).kept) == 1
    with pytest.raises(OutputError, match="holds results of its own"):
        review(results, pages=_tabled(tmp_path / "other"))


def _tabled(folder: Path) -> Path:
    (_claimed(folder) / "results.tsv").write_text("id\tmethod\n")
    return folder


def test_a_page_made_again_from_the_table_of_lesions_has_the_same_bytes(tmp_path: Path) -> None:
    case = make_case(1, "p-1")
    image = tmp_path / "flair.nii.gz"
    nib.save(nib.Nifti1Image(case.scan.to_native(case.scan.images[Modality.FLAIR]), case.scan.native.affine), image)
    told = {**case.result.provenance, "files": {"FLAIR": str(image)}}
    lesion = replace(case.result.lesions[0], confidence=0.9357262253761292)
    case.result.replace(lesions=(lesion,), provenance=told).save(tmp_path / "out", page=False)
    stored = read_segmentation(tmp_path / "out", "p-1")
    first_hand = stored.replace(lesions=(replace(stored.lesions[0], confidence=lesion.confidence),))
    page = write_review(first_hand, read_again(stored, tmp_path / "out"), tmp_path / "out")
    first = page.read_bytes()
    review(tmp_path / "out", again=True)
    assert page.read_bytes() == first


def _claimed(folder: Path) -> Path:
    from annofree.formats.outfolder import DESCRIPTION

    folder.mkdir(exist_ok=True)
    (folder / DESCRIPTION).write_text(json.dumps({"GeneratedBy": [{"Name": "annofree"}]}))
    return folder


def test_summaries_survive_their_page(out: Path, tmp_path: Path) -> None:
    kept = read_summary(page_path(out, NASTY))
    assert kept is not None
    assert (kept.scan_id, kept.tier, kept.where) == (NASTY, "T0", "left frontal")
    assert kept.confidence == pytest.approx(0.2)
    assert 0 < kept.steadiness <= 1
    foreign = tmp_path / "foreign.html"
    foreign.write_text("<html></html>")
    assert read_summary(foreign) is None
    assert read_summary(tmp_path / "absent.html") is None
    assert "<" not in Summary(scan_id="</script>").to_html().split(">", 1)[1].removesuffix("</script>")


def test_a_segmentation_shows_itself_in_a_notebook(cases: tuple[Case, ...]) -> None:
    html = cases[0].result._repr_html_()
    assert html.count("data:image/jpeg") == 3
    assert "One finding, left frontal" in html
    assert f"{cases[0].result.volumes_ml['WT']:.1f} ml" in html
    assert "&lt;/script&gt;" in cases[1].result._repr_html_()
    assert "Nothing was found" in cases[2].result.replace(scores={}, brain=None)._repr_html_()
    assert re.fullmatch(
        r"<Segmentation of 'p-10': WT [0-9.]+ ml, TC [0-9.]+ ml, ET [0-9.]+ ml; 1 finding; made>",
        repr(cases[0].result),
    )
    assert repr(cases[0].scan) == "<Scan 'p-10': T1, T1C, T2, FLAIR; 57 x 70 x 59 voxels of 3 x 3 x 3 mm>"


def test_the_page_speaks_plainly_and_folds_the_details(cases: tuple[Case, ...], tmp_path: Path) -> None:
    case = cases[0]
    told = {**case.result.provenance, "notes": ["Not taken as images: report.pdf.", "The T2 was resampled."]}
    told["refiners"] = {"WT": [{"kind": "fill-holes"}, {"kind": "mirror", "share": 0.5}, {"kind": "components"}]}
    page = write_review(case.result.replace(provenance=told), case.scan, tmp_path / "out").read_text()
    plain = re.sub(r"<details class=\"small.*?</details>|<script.*?</script>|<style>.*?</style>", "", page, flags=re.S)
    assert "holes filled, findings dropped that have their like on the other side of the brain and small" in plain
    assert "share 0.5" not in plain
    assert "share 0.5" in page
    for region in ("whole tumour (WT)", "tumour core (TC)", "enhancing tumour (ET)"):
        assert plain.lower().count(region.lower()) == 1
    assert plain.count("before clean-up") == 3  # one a slider, none in the headline
    assert '<span class="chip">1 note</span>' in plain
    assert read_summary(page_path(tmp_path / "out", "p-10")).notes == ("The T2 was resampled.",)
    assert "Not taken as images: report.pdf." in plain.split("What was done")[1]
    assert page.index("<h2>Findings") < page.index("before clean-up")
    assert "left of the middle" in plain or "right of the middle" in plain


def test_centres_in_words_name_side_depth_and_height() -> None:
    lesion = Lesion(1, 4.0, (-32.0, 50.0, -40.0))
    assert (
        centre_words(lesion, (0.0, 0.0, 0.0), (140.0, 180.0, 140.0))
        == "32 mm left of the middle, front third, lower third"
    )
    lesion = Lesion(1, 4.0, (12.0, -70.0, 5.0))
    assert centre_words(lesion, (10.0, 0.0, 0.0), (140.0, 180.0, 140.0)) == "in the middle, back third, middle height"


def test_every_rule_has_its_sentence() -> None:
    assert set(RULES) == set(THRESHOLDS)
    assert set(CLEAN_UP) == set(REFINERS)
    assert clean_up_sentence([{"kind": "components", "keep": "largest"}]) == "Then only the largest piece kept."
    assert clean_up_sentence([]) == "Nothing is done to the mask after that."


def test_the_cohort_page_of_failures_alone_says_so(tmp_path: Path) -> None:
    (tmp_path / "failures.tsv").write_text("id\twhat\twhy\tnext\nlong-" + "x" * 90 + "\tA file\tbad\tCopy it\n")
    text = write_cohort_review(_claimed(tmp_path)).read_text()
    assert '<p class="sentence">1 failed</p>' in text
    assert "No scan was segmented" in text


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("An image is empty (/data/Jo Miller/a.nii.gz)", "An image is empty (a.nii.gz)"),
        ("Scan 'p' has two files (../in/Miller/)", "Scan 'p' has two files (Miller/)"),
        ("cannot open '/data/Jo Miller/a.nii'", "cannot open 'a.nii'"),
        ("it links to Miller/p1 or C:\\Miller\\p2", "it links to p1 or p2"),
        ("known are 0/1/2/4, T1/T1C and n/a", "known are 0/1/2/4, T1/T1C and n/a"),
    ],
)
def test_a_failure_on_the_page_names_files_and_no_folders(tmp_path: Path, told: str, shown: str) -> None:
    (tmp_path / "failures.tsv").write_text(f"id\twhat\twhy\tnext\np\t{told}\t{told}\t{told}\n")
    cells = re.findall(r"<td[^>]*>(.*?)</td>", write_cohort_review(_claimed(tmp_path)).read_text())
    assert [unescape(cell) for cell in cells[1:4]] == [shown] * 3


def test_an_answer_without_a_page_takes_the_page_of_the_one_before(cases: tuple[Case, ...], tmp_path: Path) -> None:
    made = cases[0].result
    page = page_path(tmp_path, made.scan_id)
    write_review(made, cases[0].scan, tmp_path)
    made.replace(provenance={**made.provenance, "method": "another"}).save(tmp_path, page=False)
    assert page.is_file()
    made.save(tmp_path, page=False)
    assert not page.is_file()


def test_saving_a_result_writes_its_page_too(cases: tuple[Case, ...], tmp_path: Path) -> None:
    import annofree as af

    scan = cases[0].scan
    result = af.segment(scan, method="intensity-published", locate=False)
    result.save(tmp_path / "out")
    text = page_path(tmp_path / "out", scan.id).read_text()
    assert f"{result.volumes_ml['WT']:.1f} <small>ml</small>" in text
    result.save(tmp_path / "bare", page=False)
    assert not page_path(tmp_path / "bare", scan.id).exists()
    # without the scan and without its files there is no page, and the masks are written all the same
    result.replace(scan=None).save(tmp_path / "alone")
    assert not page_path(tmp_path / "alone", scan.id).exists()
    assert read_segmentation(tmp_path / "alone", scan.id).volumes_ml == pytest.approx(result.volumes_ml)


def channels(folder: Path, case: Case, names: tuple[str, ...]) -> Path:
    images = [case.scan.to_native(case.scan.images[Modality(name)]) for name in names]
    path = folder / "four.nii.gz"
    nib.save(nib.Nifti1Image(np.stack(images, axis=-1), case.scan.native.affine), path)
    return path


def test_a_saved_result_of_a_4d_file_finds_its_channels_again(cases: tuple[Case, ...], tmp_path: Path) -> None:
    names = ("FLAIR", "T1", "T2", "T1C")
    file = channels(tmp_path, cases[0], names)
    result = segment(file, method="intensity-published", sequence=",".join(names))
    result.save(tmp_path / "out")
    again = read_again(read_segmentation(tmp_path / "out", "four"), tmp_path / "out")
    for name in names:
        inside = result.brain
        assert np.array_equal(again.images[Modality(name)][inside], cases[0].scan.images[Modality(name)][inside]), name
    assert len(review(tmp_path / "out", again=True).made) == 1
    file.unlink()
    (failed,) = review(tmp_path / "out", again=True).failed
    assert "Images are not where they were" in failed[1]
    assert file.name in failed[1]


def test_one_channel_of_a_4d_file_is_found_by_the_run(cases: tuple[Case, ...], tmp_path: Path) -> None:
    names = ("T1", "FLAIR")
    (tmp_path / "imagesTr").mkdir()
    channels(tmp_path / "imagesTr", cases[0], names)
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_names": dict(enumerate(names))}))
    cohort = open_cohort(tmp_path, sequence="FLAIR")
    run(cohort, Choice(method="intensity-published"), tmp_path / "out")
    assert len(review(tmp_path / "out", again=True).made) == 1
    again = read_again(read_segmentation(tmp_path / "out", "four"), tmp_path / "out")
    assert np.array_equal(again.images[Modality.FLAIR], cohort["four"].images[Modality.FLAIR])
    for record in (tmp_path / "out").glob("run*.json"):
        record.unlink()
    (failed,) = review(tmp_path / "out", again=True).failed
    assert "no run.json in the folder names them" in failed[1]


def test_a_saved_result_of_another_kind_of_file_finds_it_again(cases: tuple[Case, ...], tmp_path: Path) -> None:
    image = nib.Nifti1Image(cases[0].scan.images[Modality.FLAIR], cases[0].scan.affine)
    nib.save(nib.MGHImage(np.asarray(image.dataobj), image.affine), tmp_path / "p1_flair.mgz")
    segment(tmp_path / "p1_flair.mgz", method="intensity-published").save(tmp_path / "out")
    assert len(review(tmp_path / "out", again=True).made) == 1
