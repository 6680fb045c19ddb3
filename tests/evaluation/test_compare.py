"""Two examinations of one person: the right scans are paired and aligned, and a change is told from noise."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import annofree as af
from annofree.errors import AnnofreeError, InputError
from annofree.evaluation.pairs import find_pairs
from annofree.evaluation.rescan import Change, Rescan, rescans, scale_ml
from annofree.formats import open_scan
from annofree.formats.grids import resample
from annofree.formats.outfolder import read_table
from annofree.formats.stored import read_segmentation
from annofree.phantom import phantom_subject, reposed
from annofree.prepare import visits
from annofree.scan import Grid, Scan
from annofree.segmentation import Segmentation
from annofree.thresholds.fixed import Fixed
from command_line import call
from remembered import remembered

SEED, MM = 4005, 4.0


@pytest.fixture(scope="module", autouse=True)
def each_movement_once() -> Iterator[None]:
    """The same two examinations are compared by several tests, and most of the time goes into their registration."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visits, "register", remembered(visits.register))
        yield


def on_disk(scan: Scan, folder: Path) -> Scan:
    """The scan as its files give it back."""
    folder.mkdir(parents=True)
    for name, image in scan.images.items():
        nib.save(nib.Nifti1Image(image, scan.affine), folder / f"{name}.nii.gz")
    nib.save(nib.Nifti1Image(scan.foreground().astype(np.uint8), scan.affine), folder / "brain.nii.gz")
    return open_scan(folder, brain_mask=folder / "brain.nii.gz", id=scan.id)


def answered(scan: Scan, labels: np.ndarray, out: Path, images: Path, method: str = "synthtumour") -> Path:
    """A results folder that holds the true labels as a method's answer."""
    scan = on_disk(scan, images)
    result = Segmentation(
        scan_id=scan.id,
        labels=labels.astype(np.uint8),
        affine=scan.affine,
        native=scan.native,
        regions=("WT", "TC", "ET"),
        brain=scan.brain,
        provenance={"method": method, "tier": "T0", "files": dict(scan.files)},
    )
    result.save(out, page=False)
    return out


def examined(tmp: Path, scan_id: str, *, visit: int = 0, growth: float = 1.0, seed: int = SEED, **more: str) -> Path:
    """Results of one examination; every visit but the first lies in the scanner in another way."""
    subject = phantom_subject(seed, kind="glioblastoma", spacing_mm=MM, visit=visit, growth=growth)
    scan, labels = subject.scan, subject.labels
    if visit:
        scan, moved = reposed(scan, (5.0, -4.0, 7.0), (8.0, -6.0, 5.0), (MM, MM, 5.0))
        labels = resample(labels, subject.scan.grid, Grid(scan.shape, np.linalg.inv(moved) @ scan.affine), 0)
    out = tmp / f"out-{scan_id}-{visit}-{growth:g}-{seed}"
    return answered(scan.replace(id=scan_id), labels, out, tmp / f"in-{out.name}", **more)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return examined(tmp_path_factory.mktemp("first"), "sub-07_ses-1")


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return examined(tmp_path_factory.mktemp("grown"), "sub-07_ses-2", visit=1, growth=4.0)


def test_a_tumour_that_grew_is_larger_and_lies_on_itself(
    first: Path, grown: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", first, grown, "-o", tmp_path / "out") == 0
    rows = {row["region"]: row for row in read_table(tmp_path / "out" / "changes.tsv")}
    whole = {key: float(rows["WT"][key]) for key in ("before_ml", "after_ml", "change_ml", "stayed_ml", "removed_ml")}
    assert rows["WT"]["statement"] == "larger"
    assert float(rows["WT"]["low_ml"]) > 0
    assert whole["change_ml"] == pytest.approx(whole["after_ml"] - whole["before_ml"], abs=1e-3)
    assert float(rows["WT"]["change_percent"]) == pytest.approx(100 * whole["change_ml"] / whole["before_ml"], abs=0.1)
    # the earlier tumour lies inside the later one, which a misalignment of half a voxel would undo
    assert whole["stayed_ml"] > 0.85 * whole["before_ml"]
    assert float(rows["WT"]["moved_mm"]) > 8
    page = (tmp_path / "out" / "sub-07" / "ses-2" / "sub-07_ses-2_since_sub-07_ses-1.html").read_text()
    assert "The tumour is larger" in page
    assert page.count('class="tile"') % 3 == 0
    assert page.count('class="tile"') >= 3 * 4 * 6
    assert "http" not in page.split("</style>")[1]
    assert "larger" in capsys.readouterr().out


def test_the_other_way_round_it_is_smaller(first: Path, grown: Path, tmp_path: Path) -> None:
    report = af.compare(grown, first, out=tmp_path / "out", review=False)
    (one,) = report.comparisons
    assert one.changes[0].verdict == "smaller"
    assert one.statement.startswith("The tumour is smaller: ")
    assert one.page is None
    added, removed, stayed = one.parts_ml["WT"]
    assert removed > added
    assert stayed + removed == pytest.approx(one.changes[0].before_ml, rel=1e-6)
    assert stayed + added == pytest.approx(one.changes[0].after_ml, rel=0.02)


def test_a_scan_without_change_shows_none(first: Path, tmp_path: Path) -> None:
    again = examined(tmp_path, "sub-07_ses-2", visit=2)
    (one,) = af.compare(first, again, out=tmp_path / "out", review=False).comparisons
    assert one.changes[0].verdict == "no change shown"
    assert one.statement.startswith("No change is shown, and none is ruled out: ")
    assert one.visits.likeness > 0.75


@pytest.mark.parametrize(("later", "differ"), [((0.5, 0.5), False), ((0.4, 0.5), True)])
def test_a_region_of_one_visit_alone_is_no_difference_of_thresholds(
    first: Path, tmp_path: Path, later: tuple[float, float], differ: bool
) -> None:
    """Without T1C enhancing tumour has no threshold."""
    visits = [
        (first, "sub-07_ses-1", (0.5, 0.5, 0.5)),
        (examined(tmp_path, "sub-07_ses-2", visit=2), "sub-07_ses-2", later),
    ]
    for number, (folder, scan_id, values) in enumerate(visits):
        result = read_segmentation(folder, scan_id)
        regions = result.regions[: len(values)]
        rules = {region: Fixed(value) for region, value in zip(regions, values, strict=True)}
        result.replace(regions=regions, thresholds=rules, scores={}).save(tmp_path / f"{number}", page=False)
    (one,) = af.compare(tmp_path / "0", tmp_path / "1", out=tmp_path / "out", review=False).comparisons
    assert [change.region for change in one.changes] == ["WT", "TC"]
    assert any("thresholds" in note for note in one.notes) == differ


def test_bad_pairs_are_refused_in_a_sentence(first: Path, tmp_path: Path) -> None:
    stranger = examined(tmp_path, "sub-07_ses-2", seed=SEED + 1)
    with pytest.raises(InputError, match=r"do not seem to show one person.*correlates by 0\.[0-6]"):
        af.compare(first, stranger, out=tmp_path / "a", review=False)
    with pytest.raises(InputError, match=r"are the same images.*Compare two examinations"):
        af.compare(first, examined(tmp_path, "sub-07_ses-2"), out=tmp_path / "b", review=False)
    other = examined(tmp_path, "sub-07_ses-2", visit=1, method="intensity")
    with pytest.raises(InputError, match=r"by two methods.*synthtumour and intensity"):
        af.compare(first, other, out=tmp_path / "c", review=False)
    with pytest.raises(InputError, match=r"No person of the folder is known to have two examinations"):
        af.compare(first, out=tmp_path / "d")
    with pytest.raises(InputError, match=r"There is no segmentation of 'sub-08'"):
        af.compare(first, first, out=tmp_path / "e", pairs=[("sub-07_ses-1", "sub-08")])
    (tmp_path / "masks").mkdir()
    with pytest.raises(InputError, match=r"There is no segmentation in the folder .*masks\)"):
        af.compare(tmp_path / "masks", first, out=tmp_path / "e")
    assert not any((tmp_path / name).exists() for name in "de")


def test_a_slab_that_cuts_the_tumour_is_refused(first: Path, tmp_path: Path) -> None:
    subject = phantom_subject(SEED, kind="glioblastoma", spacing_mm=MM, visit=3)
    middle = int(np.argwhere(subject.labels > 0).mean(axis=0)[2])
    part = (slice(None), slice(None), slice(0, middle) if middle > 22 else slice(middle, None))
    affine = subject.scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [0, 0, part[2].start or 0]
    images = {name: image[part] for name, image in subject.scan.images.items()}
    brain = subject.scan.foreground()[part]
    slab = Scan("sub-07_ses-2", images, affine, brain=brain)
    out = answered(slab, subject.labels[part], tmp_path / "out", tmp_path / "in")
    with pytest.raises(InputError, match=r"does not show the whole tumour of 'sub-07_ses-1'|same part of the head"):
        af.compare(first, out, out=tmp_path / "cut", review=False)


def test_scans_without_a_sequence_in_common_are_refused(first: Path, tmp_path: Path) -> None:
    scan = phantom_subject(SEED, kind="glioblastoma", spacing_mm=MM, visit=1).scan
    one = scan.replace(images={af.Modality.T1: scan.images[af.Modality.T1]})
    other = scan.replace(images={af.Modality.T2: scan.images[af.Modality.T2]}, id="b")
    nothing = np.zeros(scan.shape)
    before = answered(one, nothing, tmp_path / "a", tmp_path / "ia")
    after = answered(other, nothing, tmp_path / "b", tmp_path / "ib")
    with pytest.raises(InputError, match=r"no sequence in common: one has T1, the other T2"):
        af.compare(before, after, out=tmp_path / "c", review=False)


def empty(out: Path, *ids: str) -> Path:
    """Results without a tumour, which pairing does not look into."""
    for scan_id in ids:
        nothing = np.zeros((2, 2, 2), np.uint8)
        told = {"method": "m", "tier": "T0"}
        Segmentation(scan_id, nothing, np.eye(4), Grid((2, 2, 2), np.eye(4)), ("WT",), provenance=told).save(
            out, page=False
        )
    return out


def test_scans_are_paired_by_person_and_sessions_by_number(tmp_path: Path) -> None:
    both = empty(tmp_path / "both", "sub-1_ses-2", "sub-1_ses-10", "sub-1_ses-1", "sub-2_ses-post", "sub-2_ses-pre")
    pairs = [(a.scan_id, b.scan_id) for a, b in find_pairs(both, None)]
    assert pairs == [
        ("sub-1_ses-1", "sub-1_ses-2"),
        ("sub-1_ses-2", "sub-1_ses-10"),
        ("sub-2_ses-pre", "sub-2_ses-post"),
    ]
    then = empty(tmp_path / "then", "p1", "sub-2_ses-a", "only-then")
    now = empty(tmp_path / "now", "p1", "sub-2_ses-b", "only-now")
    pairs = [(a.scan_id, b.scan_id) for a, b in find_pairs(then, now)]
    assert pairs == [("p1", "p1"), ("sub-2_ses-a", "sub-2_ses-b")]
    with pytest.raises(InputError, match=r"which session of '3' came first.*--pair"):
        find_pairs(empty(tmp_path / "odd", "sub-3_ses-may", "sub-3_ses-april"), None)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("15012023", "03022024"),  # 15 January 2023 and 3 February 2024
        ("310123", "290224"),
        ("20230115", "20240203"),
        ("990115", "990203"),
        ("000015", "000120"),
        ("12312022", "01152023"),  # the month in front
    ],
)
def test_sessions_called_by_days_are_in_the_order_of_the_days(tmp_path: Path, earlier: str, later: str) -> None:
    ((first, second),) = find_pairs(empty(tmp_path, f"sub-1_ses-{later}", f"sub-1_ses-{earlier}"), None)
    assert (first.scan_id, second.scan_id) == (f"sub-1_ses-{earlier}", f"sub-1_ses-{later}")


def test_days_that_may_be_months_are_asked_for(tmp_path: Path) -> None:
    for number, (one, other) in enumerate((("05062023", "06042023"), ("150123", "030224"))):
        with pytest.raises(InputError, match=r"which session of '1' came first.*--pair"):
            find_pairs(empty(tmp_path / str(number), f"sub-1_ses-{one}", f"sub-1_ses-{other}"), None)


def test_a_pair_that_fails_leaves_the_others(first: Path, grown: Path, tmp_path: Path) -> None:
    for name, source, number in (("then", first, 1), ("now", grown, 2)):
        shutil.copytree(source, tmp_path / name)
        empty(tmp_path / name, f"sub-9_ses-{number}", f"sub-8_ses-{number}", f"sub-{name}")
    report = af.compare(tmp_path / "then", tmp_path / "now", out=tmp_path / "out", review=False)
    assert len(report.failures) == 2
    assert all("does not say where its images are" in why for _, why in report.failures)
    assert [one.before for one in report.comparisons] == ["sub-07_ses-1"]
    assert report.alone == ("sub-then", "sub-now")
    hopeless = [(f"sub-{n}_ses-1", f"sub-{n}_ses-2") for n in (8, 9)]
    with pytest.raises(InputError, match=r"Not one of 2 pairs could be compared; sub-8_ses-1 and .* does not say"):
        af.compare(tmp_path / "then", tmp_path / "now", out=tmp_path / "y", pairs=hopeless)
    assert not (tmp_path / "y").exists()
    af.compare(grown, first, out=tmp_path / "out", review=False)  # the pair compared before keeps its rows
    rows = read_table(tmp_path / "out" / "changes.tsv")
    assert [(row["before"][-1], row["region"]) for row in rows] == [(n, r) for n in "21" for r in ("WT", "TC", "ET")]
    with pytest.raises(AnnofreeError, match=r"does not say where"):
        af.compare(tmp_path / "then", tmp_path / "now", out=tmp_path / "x", pairs=[("sub-9_ses-1", "sub-9_ses-2")])


@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200)), min_size=19, max_size=40))
def test_the_interval_covers_what_it_was_measured_on(pairs: list[tuple[float, float]]) -> None:
    """At least the stated share of the measured pairs shows no change, and zero of a change beyond them all."""
    rescan = Rescan.measured("m", {"WT": pairs}, "a test")
    rescan = Rescan("m", {"WT": rescan.k["WT"] + 1e-4}, rescan.pairs, rescan.source)
    quiet = [Change.of("WT", a, b, rescan).verdict == "no change shown" for a, b in pairs]
    assert np.mean(quiet) >= 0.95
    noise = rescan.k["WT"] * scale_ml(0, 0)
    assert Change.of("WT", 0.0, 0.0, rescan).noise_ml == pytest.approx(noise)


def test_the_sentence_says_what_can_and_cannot_be_concluded() -> None:
    rescan = Rescan("made", {"WT": 1.0}, 20, "made")
    assert Change.of("WT", 30.0, 29.88, rescan).sentence == (
        "No change is shown, and none is ruled out: 30.0 ml then, 29.9 ml now (-0.1 ml, 0 %); 95% interval of the "
        "change -31.1 to +30.8 ml. From 30.0 ml, only growth beyond 92.0 ml or shrinking below 9.3 ml would show."
    )
    assert Change.of("WT", 0.0, 0.01, rescan).sentence.endswith("From 0.0 ml, only growth beyond 2.0 ml would show.")
    assert Change.of("WT", 30.0, 95.0, rescan).sentence == (
        "The tumour is larger: 30.0 ml then, 95.0 ml now (+65.0 ml, +217 %); "
        "95% interval of the change +1.5 to +128.5 ml."
    )
    assert "nothing can be concluded" in Change.of("WT", 30.0, 95.0, None).sentence


@given(st.floats(0, 200), st.floats(0.02, 1.9))
def test_a_change_shows_beyond_the_stated_volumes_and_not_within(before: float, k: float) -> None:
    rescan = Rescan("made", {"WT": k}, 20, "made")
    low, high = Change.of("WT", before, before, rescan).shown_ml
    assert Change.of("WT", before, high * 1.001, rescan).verdict == "larger"
    assert Change.of("WT", before, high * 0.999, rescan).verdict == "no change shown"
    if low > 0:
        assert Change.of("WT", before, low * 0.999, rescan).verdict == "smaller"
        assert Change.of("WT", before, low * 1.001, rescan).verdict == "no change shown"
    else:
        assert Change.of("WT", before, 0.0, rescan).verdict == "no change shown"


def test_the_constants_that_ship_say_where_they_come_from() -> None:
    rescan = rescans()["synthtumour"]
    assert set(rescan.k) == {"WT", "TC", "ET"}
    assert rescan.pairs >= 20
    assert "rescan_spread.py" in rescan.source
    assert Change.of("WT", 10.0, 10.0, None).verdict == "n/a"
