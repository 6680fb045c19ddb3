"""Where a lesion lies: right on a turned head, honest where the brain cannot be aligned, the same in any axis order."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from annofree.anatomy import default_atlas, information, locate, register_to_mni, template
from annofree.anatomy.locate import side_of
from annofree.errors import InputError
from annofree.phantom import phantom_subject
from annofree.scan import Grid, Modality, Scan, canonical_grid, scoring, to_canonical
from annofree.segmentation import ScoreMap


def head(turn_deg=(0.0, 0.0, 0.0), sequence=Modality.T1, spacing=4.0):
    """The template as a scan of a smaller, turned head, and the (4, 4) map from MNI mm to its scanner mm."""
    from scipy import ndimage

    a, b, c = np.deg2rad(turn_deg)
    pitch = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    roll = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    yaw = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    to_scanner = np.eye(4)
    to_scanner[:3, :3], to_scanner[:3, 3] = pitch @ roll @ yaw @ np.diag([0.9, 0.88, 0.92]), (12, 35, -20)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = np.array([12, 20, -10]) - 105
    to_voxel = np.linalg.inv(template().affine) @ np.linalg.inv(to_scanner) @ affine
    image = ndimage.affine_transform(template().t1, to_voxel[:3, :3], to_voxel[:3, 3], (54, 57, 54), order=1)
    brain = image > 0.1
    if sequence is Modality.FLAIR:
        image = np.where(image < 0.45, 0.3, 1.3 - image)
    image = np.where(brain, image + 0.02 * np.random.default_rng(0).standard_normal(image.shape), 0)
    return Scan("head", {sequence: image.astype(np.float32)}, affine, brain=brain), to_scanner


def ball(scan, to_scanner, mni_mm, radius_mm=10.0):
    centre = to_scanner[:3, :3] @ np.asarray(mni_mm, float) + to_scanner[:3, 3]
    points = np.stack(np.meshgrid(*map(np.arange, scan.shape), indexing="ij"), -1) @ scan.affine[:3, :3].T
    return ((points + scan.affine[:3, 3] - centre) ** 2).sum(-1) < radius_mm**2


@pytest.fixture(scope="module")
def turned():
    return head((14.0, -7.0, 10.0))


def test_the_affine_of_a_turned_and_smaller_head_is_found(turned):
    scan, to_scanner = turned
    found = register_to_mni(scan)
    points = np.argwhere(template().brain)[::5000] + template().affine[:3, 3]
    back = points @ (found.affine @ to_scanner)[:3, :3].T + (found.affine @ to_scanner)[:3, 3]
    assert np.linalg.norm(back - points, axis=1).mean() < 2.5
    assert found.trusted


def test_two_alignments_are_equal_to_the_last_bit(turned):
    one, two = register_to_mni(turned[0]), register_to_mni(turned[0])
    assert (one.affine == two.affine).all()
    assert (one.overlap, one.agreement) == (two.overlap, two.agreement)


def test_what_two_images_tell_about_each_other_needs_no_gradient_image(turned):
    scan, _ = turned
    image = information.itk_image(scan.images[Modality.T1], scan.affine)
    there = information.placed(information.simpleitk().AffineTransform(3), np.eye(4), np.zeros(3))
    there.SetTranslation((3.0, -2.0, 1.0))
    slow = information._method(None, slopes=True)
    slow.SetInitialTransform(there, False)
    assert information.information((image, image), there) == -slow.MetricEvaluate(image, image)


def test_lesions_of_a_turned_head_get_volume_side_lobe_and_labels(turned):
    scan, to_scanner = turned
    labels = np.zeros(scan.shape, np.uint8)
    labels[ball(scan, to_scanner, (40, 25, 25), 14)] = 2
    labels[ball(scan, to_scanner, (40, 25, 25), 7)] = 3
    labels[ball(scan, to_scanner, (-50, -30, -8), 9)] = 1
    labels[2, 2, 2] = 2  # 0.06 ml
    scores = ScoreMap(np.where(labels == 1, 0.75, 0.5).astype(np.float32), "WT", "probability", scan.grid)
    first, second = locate(labels, scan, scores=scores, min_volume_ml=0.1)
    assert (first.side, first.lobe, second.side, second.lobe) == ("right", "Frontal", "left", "Temporal")
    assert first.volume_ml == pytest.approx(4 / 3 * np.pi * 1.4**3, rel=0.1)
    assert first.volume_ml == pytest.approx(first.label_ml["oedema"] + first.label_ml["enhancing"])
    assert {name: volume > 0 for name, volume in second.label_ml.items()} == {
        "core": True,
        "oedema": False,
        "enhancing": False,
    }, "none of a part that is told is 0 ml, and only what is not told is left open"
    regions = {"ET": ("WT", "TC"), "TC, ET": ("WT",)}
    assert list(locate(labels, scan, regions=regions["ET"])[0].label_ml) == ["core", "oedema"]
    assert not locate(labels, scan, regions=regions["TC, ET"])[0].label_ml
    assert (first.confidence, second.confidence) == (pytest.approx(0.5), pytest.approx(0.75))
    centre = to_scanner[:3, :3] @ [40, 25, 25] + to_scanner[:3, 3]
    assert np.linalg.norm(np.array(first.centre_mm) - centre) < 1.5


def test_flair_alone_is_enough():
    scan, to_scanner = head((-8.0, 4.0, -6.0), Modality.FLAIR)
    labels = ball(scan, to_scanner, (-20, -80, 15)).astype(np.uint8) * 2
    (lesion,) = locate(labels, scan)
    assert (lesion.side, lesion.lobe, lesion.confidence) == ("left", "Occipital", None)


def test_a_brain_that_cannot_be_aligned_gets_a_side_and_no_lobe(turned):
    scan, to_scanner = turned
    labels = ball(scan, to_scanner, (40, 25, 25)).astype(np.uint8)
    upper = scan.brain & (np.arange(scan.shape[2]) > 29)
    blob = Scan("blob", {Modality.T1: np.where(upper, 100, 0).astype(np.float32)}, scan.affine, brain=upper)
    (lesion,) = locate(labels, blob)
    assert lesion.lobe is None
    assert lesion.side == "right"
    assert not register_to_mni(blob).trusted


@pytest.mark.parametrize(("seed", "kind"), [(0, "glioblastoma"), (1, "meningioma")])
def test_a_large_tumour_that_pushes_the_brain_aside_does_not_pull_the_affine(seed, kind):
    ill = phantom_subject(seed, kind, 4.0, growth=2.0)
    well = phantom_subject(seed, "healthy", 4.0).scan  # the same head and examination without it
    assert ill.findings["volume_ml"] > 50
    healthy = ill.scan.foreground() & well.foreground() & (ill.labels == 0)
    points = np.argwhere(healthy) @ well.affine[:3, :3].T + well.affine[:3, 3]
    apart = register_to_mni(ill.scan).affine - register_to_mni(well).affine
    assert np.linalg.norm(points @ apart[:3, :3].T + apart[:3, 3], axis=1).mean() < 2.0


def test_an_upside_down_header_is_not_trusted(turned):
    scan, _ = turned
    flipped = scan.images[Modality.T1][:, ::-1, ::-1]
    assert not register_to_mni(scan.replace(images={Modality.T1: flipped}, brain=scan.brain[:, ::-1, ::-1])).trusted


def test_a_lesion_that_crosses_lies_on_the_midline():
    assert side_of(np.array([-10.0] * 55 + [10.0] * 45)) == "midline"
    assert side_of(np.array([-10.0] * 70 + [10.0] * 30)) == "left"
    assert side_of(np.array([2.0, 1.0, 2.5])) == "midline"
    assert side_of(np.array([12.0, 15.0])) == "right"


def test_no_lesion_and_wrong_grid(turned):
    scan, _ = turned
    assert locate(np.zeros(scan.shape, np.uint8), scan) == ()
    with pytest.raises(InputError, match="not on the grid"):
        locate(np.zeros((3, 3, 3), np.uint8), scan)


@pytest.mark.parametrize("seed", [1])
def test_phantom_lesions_are_where_the_phantom_says(seed):

    subject = phantom_subject(seed, kind="diffuse", spacing_mm=4.0)
    lesion = locate(subject.labels, subject.scan)[0]
    assert lesion.side == subject.findings["side"]
    assert lesion.lobe.lower() in [lobe.lower() for lobe in subject.findings["lobes"]] or lesion.lobe == "Insula"


@pytest.mark.real
def test_side_is_right_in_all_and_lobe_in_all_but_one_of_the_development_patients(shared_data):
    from annofree.formats import open_scan
    from annofree.formats.truth import open_truth

    right_side = right_lobe = 0
    cases = json.loads((shared_data / "cases.json").read_text())
    for case in cases:
        folder = shared_data / "patients" / case["case"]
        scan = open_scan(folder)
        truth = open_truth(folder / f"{case['case']}_seg.nii.gz", case["case"], scan.grid)
        with scoring():
            lesion = locate(truth.labels, scan)[0]
            right_side += lesion.side[0].upper() == case["side"]
            right_lobe += lesion.lobe == max(case["lobes"], key=case["lobes"].get)
    assert right_side == len(cases) == 7
    assert right_lobe >= 6


@pytest.mark.real
def test_axis_order_of_the_file_changes_nothing(shared_data):
    import nibabel

    told, lobes = set(), set()
    for file in sorted((shared_data / "orientation").glob("*.nii.gz")):
        image = nibabel.load(file)  # not open_scan, which refuses a head with its skull
        native = Grid(image.shape, image.affine)
        values = to_canonical(np.asarray(image.dataobj, dtype=np.float32), native)
        scan = Scan(file.name, {Modality.T1: values}, canonical_grid(native).affine, native)
        points = np.stack(np.meshgrid(*map(np.arange, scan.shape), indexing="ij"), -1) @ scan.affine[:3, :3].T
        labels = (((points + scan.affine[:3, 3] - [30, 0, 30]) ** 2).sum(-1) < 400).astype(np.uint8)
        aligned = file.name[:3] in ("RAS", "PIL", "SLA")
        (lesion,) = locate(labels, scan, with_lobes=aligned)
        told.add((lesion.side, round(lesion.volume_ml, 2), tuple(round(c, 1) for c in lesion.centre_mm)))
        if aligned:
            lobes.add(lesion.lobe)
    assert len(told) == 1
    assert len(lobes) == 1


def test_default_atlas_is_kept():
    assert default_atlas() is default_atlas()


def test_the_coarse_template_is_what_the_template_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    from annofree.anatomy.template import coarse_template, tissue_maps

    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    made = import_module("make_anatomy").make_template()
    t1, brain, affine = coarse_template()
    np.testing.assert_allclose(t1, made["t1"], atol=1e-6)
    np.testing.assert_allclose(brain, made["brain"], atol=1e-6)
    np.testing.assert_array_equal(affine, made["affine"])
    tissues, tissues_affine = tissue_maps()
    np.testing.assert_allclose(np.stack(tissues), np.asarray(made["tissues"]) / 250, atol=1e-6)
    np.testing.assert_array_equal(tissues_affine, made["tissues_affine"])
