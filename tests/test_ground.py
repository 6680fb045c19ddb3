"""The ground floor: names, grids, immutability, truth's door, settings, errors."""

from __future__ import annotations

import itertools
import pickle
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annofree.errors import AnnofreeError, InputError, LeakError, MissingSequence, SettingsError
from annofree.intensity import RULES, Normalisation
from annofree.methods.intensity import IntensitySettings
from annofree.scan import (
    Cohort,
    Grid,
    Modality,
    Scan,
    Truth,
    canonical_grid,
    foreground,
    learning,
    scoring,
    to_canonical,
    to_native,
)

SPELLINGS = {
    "T1": ["t1", "T1w", "t1n", "T1N"],
    "T1C": ["t1ce", "t1c", "T1Gd", "T1POST", "ce-gadolinium_T1w", "t1_post"],
    "T2": ["t2", "t2w", "T2W"],
    "FLAIR": ["flair", "FLAIR", "t2f", "fla", "FL"],
}
NAMES = {
    "BraTS2021_00006_t1ce.nii.gz": "T1C",
    "BraTS-GLI-00027-000-t2f.nii.gz": "FLAIR",
    "t1n.nii.gz": "T1",
    "bet_TCGA-DU-7294_fla_bet.nii.gz": "FLAIR",
    "Subj1_FL.nii.gz": "FLAIR",
    "T1POST.nii.gz": "T1C",
    "sub-01_ce-gadolinium_T1w.nii.gz": "T1C",
    "sub-01_T1w.nii.gz": "T1",
    "sub-01_T2w.nii": "T2",
    "case_0000.nii.gz": None,
    "BraTS2021_00006_seg.nii.gz": None,
}


def make_scan(**changes: object) -> Scan:
    values: dict = {"id": "p", "images": {Modality.FLAIR: np.ones((3, 4, 5), np.float32)}, "affine": np.eye(4)}
    return Scan(**(values | changes))


@pytest.mark.parametrize(("name", "spelling"), [(n, s) for n, words in SPELLINGS.items() for s in words])
def test_every_spelling_of_a_sequence_is_understood(name: str, spelling: str) -> None:
    assert Modality.parse(spelling) is Modality(name)


@pytest.mark.parametrize(("filename", "name"), NAMES.items())
def test_a_file_name_tells_its_sequence(filename: str, name: str | None) -> None:
    assert Modality.guess(filename) == (None if name is None else Modality(name))


def test_an_unknown_sequence_is_refused_with_the_choices() -> None:
    with pytest.raises(InputError, match="T1, T1C"):
        Modality.parse("dwi")


def test_scans_cannot_be_changed_behind_a_methods_back() -> None:
    pixels = np.ones((3, 4, 5), np.float32)
    scan = make_scan(images={Modality.FLAIR: pixels})
    with pytest.raises(ValueError, match="read-only"):
        scan.images[Modality.FLAIR][0, 0, 0] = 2
    with pytest.raises(TypeError):
        scan.images[Modality.T1] = pixels  # type: ignore[index]
    pixels[0, 0, 0] = 5  # the caller's own array stays writable


def test_a_scan_survives_the_trip_to_another_process() -> None:
    scan = make_scan(notes=("said",), files={"FLAIR": "f.nii"})
    copy = pickle.loads(pickle.dumps(scan))
    assert copy.id == scan.id
    assert copy.notes == scan.notes
    assert np.array_equal(copy.images[Modality.FLAIR], scan.images[Modality.FLAIR])


@pytest.mark.parametrize(
    "changes",
    [
        {"images": {}},
        {"affine": np.zeros((4, 4))},
        {"brain": np.ones((2, 2, 2), bool)},
        {"images": {Modality.T1: np.ones((2, 2, 2), np.float32), Modality.T2: np.ones((3, 2, 2), np.float32)}},
    ],
)
def test_impossible_scans_are_refused(changes: dict) -> None:
    with pytest.raises(InputError):
        make_scan(**changes)


def test_a_brain_mask_of_probabilities_or_labels_is_refused() -> None:
    """Every voxel above 0 was brain, and the whole head a tumour."""
    image = np.random.default_rng(0).random((4, 4, 4))
    brain = image > 0.5
    for values, said in (
        (np.where(brain, 0.9, 0.01), "holds 0.01"),
        (np.where(brain, 1, np.nan), "nan"),
        (brain * 3, "3"),
    ):
        with pytest.raises(InputError, match=rf"brain mask of scan 'p' holds.*{said[-3:]}"):
            Scan("p", {Modality.T1: image}, np.eye(4), brain=values)
    scan = Scan("p", {"flair": image}, np.eye(4), brain=brain.astype(int))  # type: ignore[dict-item]
    assert scan.sequences == ("FLAIR",)
    assert np.array_equal(scan.foreground(), brain)


def test_arrays_in_another_order_than_ras_are_refused() -> None:
    """Left and right were exchanged without a word."""
    with pytest.raises(InputError, match=r"not in RAS\+ order.*to_canonical"):
        Scan("p", {Modality.T1: np.ones((4, 5, 6))}, np.diag([-1.0, -1, 1, 1]))


def test_a_missing_sequence_is_named_with_what_there_is() -> None:
    with pytest.raises(MissingSequence, match=r"lacks T1C.*it has FLAIR"):
        make_scan().require(Modality.T1C)


orders = st.sampled_from(list(itertools.permutations(range(3))))
signs = st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3)
angles = st.tuples(*[st.floats(-0.3, 0.3)] * 3)


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    a, b, c = angles
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rx @ ry @ rz


@given(orders, signs, angles)
def test_every_orientation_and_oblique_affine_goes_there_and_back_exactly(
    order: tuple[int, int, int], sign: tuple[float, float, float], angle: tuple[float, float, float]
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = rotation(angle) @ (np.eye(3)[:, order] * np.array(sign) * np.array([1.0, 1.2, 0.9]))
    affine[:3, 3] = (-10, 20, 5)
    native = Grid((4, 5, 6), affine)
    array = np.random.default_rng(0).random(native.shape)
    there = to_canonical(array, native)
    grid = canonical_grid(native)
    assert there.shape == grid.shape
    assert np.array_equal(to_native(there, native), array)
    assert (np.diag(grid.affine)[:3] > 0).all()
    # the same voxel lies at the same point of the world before and after
    voxel = np.unravel_index(np.argmax(array), array.shape)
    moved = np.unravel_index(np.argmax(there), there.shape)
    assert np.allclose(affine @ [*voxel, 1], grid.affine @ [*moved, 1])


@pytest.mark.parametrize("background", [0.0, -12.7, 1000.0])
def test_foreground_is_not_tied_to_zero(background: float) -> None:
    image = np.full((12, 12, 12), background, np.float32)
    image[3:9, 3:9, 3:9] += 50
    assert foreground(image).sum() == 6**3
    noisy = image + np.random.default_rng(0).normal(0, 0.05, image.shape).astype(np.float32)
    assert 0.98 < foreground(noisy).sum() / 6**3 < 1.02


@given(st.sampled_from(RULES), st.floats(0.1, 100), st.floats(-50, 50))
def test_normalisation_ignores_scanner_units_and_finds_its_way_back(rule: str, gain: float, shift: float) -> None:
    image = np.random.default_rng(1).gamma(5.0, 20.0, (8, 8, 8)).astype(np.float32)
    brain = np.ones(image.shape, bool)
    shift = 0.0 if rule == "percentile-99" else shift  # a rule through zero is about gain alone
    moved = (image * gain + shift).astype(np.float32)
    one, two = Normalisation.fit(image, brain, rule), Normalisation.fit(moved, brain, rule)  # type: ignore[arg-type]
    assert np.allclose(one(image), two(moved), atol=2e-3)
    assert np.allclose(two.back(two(moved)), moved, rtol=1e-4, atol=1e-2)


def test_a_constant_image_has_no_contrast_to_normalise() -> None:
    with pytest.raises(InputError, match="no contrast"):
        Normalisation.fit(np.ones((3, 3, 3), np.float32), np.ones((3, 3, 3), bool))


def test_truth_opens_for_scoring_only() -> None:
    truth = Truth("p", lambda: np.zeros((2, 2, 2), np.uint8), Grid((2, 2, 2), np.eye(4)))
    with pytest.raises(LeakError):
        _ = truth.labels
    with scoring():
        assert truth.labels.shape == (2, 2, 2)
        with learning(), pytest.raises(LeakError):
            _ = truth.labels
    with pytest.raises(LeakError):
        pickle.dumps(truth)


def test_a_misspelt_setting_names_its_neighbour() -> None:
    with pytest.raises(SettingsError, match="did you mean 'sigma_mm'"):
        IntensitySettings(sigma=2)
    with pytest.raises(SettingsError, match="sigma_mm"):
        IntensitySettings(sigma_mm="wide")


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        ("synthesis.settings:SynthesisSettings", {"tumours.kind": "foo"}, "one of ring, solid.*given 'foo'"),
        ("synthesis.settings:SynthesisSettings", {"tumours.shares.foo": 1}, "'shares.foo': .*one of ring, solid"),
        ("synthesis.settings:SynthesisSettings", {"tumours.shares": {"ring": -1}}, "greater than or equal to 0"),
        ("synthesis.settings:SynthesisSettings", {"tumours.shares": {"ring": 0}}, "one kind at least"),
        ("synthesis.settings:SynthesisSettings", {"tumours.volume_ml": [50, 2]}, "lower end comes first"),
        ("synthesis.settings:SynthesisSettings", {"tumours.volume_ml": [-5, 2]}, "greater than or equal to 0"),
        ("synthesis.settings:SynthesisSettings", {"tumours.volumes_ml": []}, "at least 1 item"),
        ("synthesis.settings:SynthesisSettings", {"contrast.free_share": 7}, "less than or equal to 1"),
        ("synthesis.published_settings:PublishedSettings", {"lesions": 0}, "greater than 0"),
        ("synthesis.published_settings:PublishedSettings", {"two_tissues": -1}, "greater than or equal to 0"),
        ("synthesis.published_settings:PublishedSettings", {"smooth": float("nan")}, "finite"),
        ("synthesis.mix:MixSettings", {"scale": [1.1, 0.9]}, "lower end comes first"),
        ("training.settings:TrainSettings", {"seed": -1}, "greater than or equal to 0"),
        ("training.settings:TrainSettings", {"learning_rate": float("inf")}, "finite"),
        ("methods.intensity:IntensitySettings", {"sigma_mm": -1}, "greater than or equal to 0"),
        ("methods.reconstruction.method:DAESettings", {"seed": -1}, "greater than or equal to 0"),
        ("refine.components:KeepComponents", {"min_ml": float("inf")}, "finite"),
    ],
)
def test_a_value_that_means_nothing_is_refused_before_anything_runs(make: str, changes: dict, message: str) -> None:
    module, name = make.split(":")
    settings = getattr(import_module(f"annofree.{module}"), name)()
    with pytest.raises(SettingsError, match=message):
        settings.changed(changes)


def test_errors_are_one_sentence_and_survive_pickling() -> None:
    error = InputError("The file is cut short", file="a.nii.gz", why="gzip ends early", fix="Copy it again")
    assert str(error) == "The file is cut short (a.nii.gz): gzip ends early. Copy it again."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert isinstance(error, AnnofreeError)


def test_a_cohort_is_lazy_and_refuses_two_scans_of_one_name() -> None:
    opened: list[str] = []

    def load() -> Scan:
        opened.append("p")
        return make_scan()

    cohort = Cohort({"p": load})
    assert (len(cohort), cohort.ids, opened) == (1, ("p",), [])
    assert cohort["p"].id == "p"
    assert opened == ["p"]
    with pytest.raises(InputError, match="No scan 'q'"):
        _ = cohort["q"]
    with pytest.raises(InputError, match="Two scans"):
        Cohort.of([make_scan(), make_scan()])


def test_otsus_cut_is_that_of_scikit_image() -> None:
    from skimage.filters import threshold_multiotsu, threshold_otsu

    from annofree.intensity import otsu_cut

    rng = np.random.default_rng(1)
    for _ in range(20):
        middles = rng.uniform(0, 12, rng.integers(1, 5))
        values = np.concatenate([rng.normal(m, rng.uniform(0.2, 2), rng.integers(50, 800)) for m in middles])
        counts, edges = np.histogram(values, bins=48)
        histogram = counts, (edges[:-1] + edges[1:]) / 2
        assert otsu_cut(*histogram) == threshold_otsu(hist=histogram)
        for classes in (3, 4):
            assert otsu_cut(*histogram, classes) == threshold_multiotsu(classes=classes, hist=histogram)[-1]
    grey = rng.integers(0, 255, 500).astype(np.uint8)
    levels, counts = np.unique(grey, return_counts=True)
    assert otsu_cut(counts, levels) == threshold_otsu(grey)


def test_errors_of_the_system_are_told_in_words_and_a_short_name_of_a_file_is_not_lost(tmp_path: Path) -> None:
    try:
        (tmp_path / "words.yaml").read_text()
    except OSError as error:
        said = str(InputError("The words cannot be read", file="t", why=str(error)))
    assert said == "The words cannot be read (t): no such file or directory."
    assert str(InputError("The file t is empty", file="t")) == "The file t is empty."
