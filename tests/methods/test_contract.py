"""What every registered method promises, run over all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pytest

from annofree import methods
from annofree.errors import AnnofreeError, LeakError
from annofree.formats import open_scan
from annofree.grid import axis_order
from annofree.methods.base import Method
from annofree.phantom import PhantomSubject, phantom_subject
from annofree.scan import Cohort, Grid, Modality, Scan, Truth, canonical_grid, scoring, to_native
from annofree.segmentation import REGIONS, Segmentation

#: Methods without shipped weights are fitted, saved and loaded by the tests of their own.
NAMES = tuple(name for name, row in methods.METHODS.items() if row.ships)
SPACING_MM = 4.0
TIERS = {"T0", "R", "T1", "T2", "T3", "S"}


@pytest.fixture(scope="module")
def patient() -> PhantomSubject:
    return phantom_subject(seed=4, kind="glioblastoma", spacing_mm=SPACING_MM)


@pytest.fixture(scope="module")
def healthy() -> Cohort:
    return Cohort.of(phantom_subject(seed=s, healthy=True, spacing_mm=SPACING_MM).scan for s in (11, 12, 13))


@cache
def ready(name: str) -> Method:
    """The method as a user gets it: shipped weights, thresholds included; at its fastest where it has a choice."""
    method = methods.shipped(name)
    return method.replace(quality="fast") if "quality" in method.run_settings else method


@pytest.fixture(scope="module")
def answer(patient: PhantomSubject) -> Callable[[str], Segmentation]:
    """What a method says of the patient, asked once."""
    return cache(lambda name: ready(name).segment(patient.scan))


def stored(scan: Scan, order: tuple[int, ...], flips: tuple[bool, ...]) -> dict[str, nibabel.Nifti1Image]:
    """The same scan as files whose axes run in another order and direction."""
    affine = np.eye(4)
    for column, (axis, flip) in enumerate(zip(order, flips, strict=True)):
        affine[:3, column] = scan.affine[:3, axis] * (-1 if flip else 1)
    shape = tuple(scan.shape[axis] for axis in order)
    affine[:3, 3] = scan.affine[:3, 3]
    for column, (axis, flip) in enumerate(zip(order, flips, strict=True)):
        if flip:
            affine[:3, 3] += scan.affine[:3, axis] * (shape[column] - 1)
    native = Grid(shape, affine)  # type: ignore[arg-type]
    assert canonical_grid(native).same_as(scan.grid)
    return {s.value: nibabel.Nifti1Image(to_native(image, native), affine) for s, image in scan.images.items()}


@pytest.mark.parametrize("name", NAMES)
def test_it_segments_a_phantom_and_says_how(
    name: str, patient: PhantomSubject, answer: Callable[[str], Segmentation]
) -> None:
    result = answer(name)
    row = methods.info(name)
    assert result.labels.shape == patient.scan.shape
    assert result.labels.dtype == np.uint8
    assert result.regions == row.regions
    assert set(np.unique(result.labels)) <= {0, 1, 2, 3}
    assert not result.labels[~patient.scan.foreground()].any() or result.brain is not None
    for region in result.regions:
        assert np.isfinite(result.scores[region].values).all()
        assert result.thresholds[region].value is not None
    assert result.provenance["tier"] in TIERS
    assert result.provenance["tier"] == row.tier
    outer = result.mask("WT")
    for region in result.regions[1:]:
        assert not (result.mask(region) & ~outer).any()
        outer = result.mask(region)


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_gives_the_same_answer(
    name: str, patient: PhantomSubject, answer: Callable[[str], Segmentation], tmp_path: Path
) -> None:
    method = ready(name)
    method.save(tmp_path / "model")
    loaded = methods.load(tmp_path / "model")
    assert type(loaded) is type(method)
    assert loaded.describe() == {**method.describe(), "model": loaded.card}
    assert (
        np.mean(answer(name).labels != loaded.segment(patient.scan).labels) < 1e-4
    )  # weights are kept in half precision


@pytest.mark.parametrize("name", NAMES)
def test_the_same_scan_twice_gives_the_same_bits(
    name: str, patient: PhantomSubject, answer: Callable[[str], Segmentation]
) -> None:
    again = ready.__wrapped__(name)  # read from disk anew
    assert np.array_equal(answer(name).labels, again.segment(patient.scan).labels)


ORDERS = list(itertools.product(itertools.permutations(range(3)), itertools.product((False, True), repeat=3)))


@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_axis_order_on_disk_does_not_change_what_a_method_sees(
    order: tuple[int, ...], flips: tuple[bool, ...], patient: PhantomSubject
) -> None:
    scan = open_scan(stored(patient.scan, order, flips))
    assert all(np.array_equal(scan.images[s], image) for s, image in patient.scan.images.items())
    assert scan.native is not None
    assert axis_order(scan.native.affine) != axis_order(patient.scan.affine) or order == (0, 1, 2)
    assert scan.to_native(patient.labels).shape == scan.native.shape


@pytest.mark.parametrize("name", NAMES)
def test_axis_order_on_disk_does_not_change_the_volume(
    name: str, patient: PhantomSubject, answer: Callable[[str], Segmentation]
) -> None:
    """One order with flips is enough: the test above shows that a method sees the same whatever it is."""
    scan = open_scan(stored(patient.scan, (1, 2, 0), (True, False, True)))
    result = ready(name).segment(scan)
    assert result.volumes_ml["WT"] == pytest.approx(answer(name).volumes_ml["WT"], abs=1e-6)
    assert scan.native is not None
    assert scan.to_native(result.labels).shape == scan.native.shape


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sequence", list(Modality))
def test_one_sequence_is_enough_or_refused_by_name(name: str, sequence: Modality, patient: PhantomSubject) -> None:
    scan = patient.scan.replace(images={sequence: patient.scan.images[sequence]})
    needs = methods.info(name).needs
    if set(needs) <= {sequence}:
        assert ready(name).segment(scan).labels.shape == scan.shape
    else:
        with pytest.raises(AnnofreeError, match="lacks"):
            ready(name).segment(scan)


@pytest.mark.parametrize("name", NAMES)
def test_a_scan_one_voxel_thick_is_segmented_or_refused_with_a_sentence(name: str, patient: PhantomSubject) -> None:
    middle = slice(patient.scan.shape[2] // 2, patient.scan.shape[2] // 2 + 1)
    images = {s: image[:, :, middle] for s, image in patient.scan.images.items()}
    scan = Scan("slab", images, patient.scan.affine)
    try:
        result = ready(name).segment(scan)
    except AnnofreeError:
        return  # a sentence for the user; anything else would be a traceback and fails here
    assert result.labels.shape == scan.shape


class _Treacherous(Cohort):
    """A cohort that reads truth while it is iterated, as a leaking method would."""

    def __init__(self, subject: PhantomSubject) -> None:
        super().__init__({})
        self.subject = subject

    def __iter__(self):  # type: ignore[no-untyped-def]
        truth = Truth(self.subject.scan.id, lambda: self.subject.labels, self.subject.scan.grid)
        _ = truth.labels
        yield self.subject.scan


@pytest.mark.parametrize("name", [n for n in NAMES if "healthy" in methods.info(n).learns_from])
def test_truth_read_during_a_fit_fails_the_run_even_inside_scoring(name: str, patient: PhantomSubject) -> None:
    method = ready(name)
    # these two train on made cases for long; their calibration is what reads healthy scans
    slow = name in ("synthtumour", "weak-to-strong")
    learn = method.calibrate if slow else lambda cohort: method.fit(healthy=cohort)
    with scoring(), pytest.raises(LeakError):
        learn(_Treacherous(patient))


@pytest.mark.parametrize("name", NAMES)
def test_truth_is_closed_while_a_method_scores(
    name: str, patient: PhantomSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = Truth("p", lambda: patient.labels, patient.scan.grid)
    monkeypatch.setattr(Scan, "foreground", lambda scan: truth.labels > 0)
    with scoring(), pytest.raises(LeakError):
        ready(name).segment(patient.scan)


def test_intensity_learns_its_threshold_from_healthy_scans(healthy: Cohort, patient: PhantomSubject) -> None:
    method = methods.create("intensity").fit(healthy=healthy)
    assert method.tier == "T0"
    assert method.thresholds["WT"].value is not None
    assert method.card["healthy"] == list(healthy.ids)
    assert method.segment(patient.scan).volumes_ml["WT"] > 0


def test_regions_of_the_registry_are_known() -> None:
    for row in methods.METHODS.values():
        assert set(row.regions) <= set(REGIONS)
        assert row.tier in TIERS
