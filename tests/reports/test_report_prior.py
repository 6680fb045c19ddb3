"""A prior on the wrong side, of the wrong size or over whole lobes teaches a method the wrong thing."""

from __future__ import annotations

import numpy as np
import pytest

from annofree.reports import Side, read_report, volume_of
from annofree.reports.prior import PriorSettings, report_prior
from annofree.reports.regions import AtlasRegions
from annofree.reports.sizes import sizes_in

SIZES = [
    ("41 x 60 x 38 mm", (41, 60, 38)),
    ("41×60×38mm", (41, 60, 38)),
    ("4.1 x 6.0 x 3.8 cm", (41, 60, 38)),
    ("41 mm x 60 mm x 38 mm", (41, 60, 38)),
    ("6x5x6cm", (60, 50, 60)),
    ("4.1 cm", (41,)),
    ("3-4 cm", (35,)),
    ("1.1 by 1.0 cm", (11, 10)),
    ("3.5厘米×2.8厘米", (35, 28)),
]
NO_SIZES = ["5 mm slices", "6x5x6", "10/31/94", "C2-3", "12 ml of gadolinium", "450 mm", "T10", "30 mm2"]


@pytest.mark.parametrize(("text", "expected"), SIZES)
def test_sizes(text: str, expected: tuple[float, ...]) -> None:
    assert [size.diameters_mm for size in sizes_in(f"a mass of {text} is seen")] == [expected]


@pytest.mark.parametrize("text", NO_SIZES)
def test_no_sizes(text: str) -> None:
    assert sizes_in(f"seen at {text}.") == []


def test_volume_is_the_ellipsoid_and_fewer_diameters_mean_a_wider_range() -> None:
    three, two, one = (volume_of(sizes_in(text)[0]) for text in ("40 x 40 x 40 mm", "40 x 40 mm", "40 mm"))
    assert three.expected_ml == pytest.approx(np.pi / 6 * 64, rel=0.01)
    assert three.high_ml / three.low_ml < two.high_ml / two.low_ml < one.high_ml / one.low_ml
    assert one.expected_ml < two.expected_ml < three.expected_ml


def test_prior_holds_the_reported_volume_where_the_named_regions_meet(regions: AtlasRegions) -> None:
    reading = read_report("Glioma in the right frontal, temporal and insular lobes, 41 x 60 x 38 mm.")
    prior = report_prior(reading, regions)
    assert prior.volume is not None
    assert prior.probability.sum() * regions.grid.voxel_ml == pytest.approx(prior.volume.expected_ml, rel=0.02)
    x, y, z = np.unravel_index(int(prior.probability.argmax()), prior.probability.shape)
    assert x > 20  # the patient's right
    for region in ("frontal", "temporal", "insula"):
        reach = np.argwhere(regions.mask(region, Side.RIGHT)) - (x, y, z)
        assert 4 * np.sqrt((reach**2).sum(axis=1)).min() < 30
    left = prior.probability[:20].sum() / prior.probability.sum()
    assert left < 0.02


def test_prior_of_a_small_lesion_stays_in_its_region(regions: AtlasRegions) -> None:
    prior = report_prior(read_report("12 mm metastasis in the left occipital lobe."), regions)
    inside = prior.probability[regions.mask("occipital", Side.LEFT)].sum() / prior.probability.sum()
    assert inside > 0.7
    assert prior.probability.max() <= 0.95


def test_published_label_is_whole_regions_and_fine_beats_coarse(regions: AtlasRegions) -> None:
    whole = report_prior(read_report("Mass in the left temporal lobe."), regions).region
    fine = report_prior(read_report("Mass in the left temporal lobe, in the hippocampus."), regions).region
    assert np.array_equal(whole, regions.mask("temporal", Side.LEFT))
    assert np.array_equal(fine, np.isin(regions.labels, [9]))


def test_nothing_here_is_empty_of_probability(regions: AtlasRegions) -> None:
    reading = read_report("Left frontal glioma of 4 cm. No lesion in the left parietal lobe. The brainstem is normal.")
    prior = report_prior(reading, regions)
    assert prior.nothing_here[regions.mask("parietal", Side.LEFT)].all()
    assert prior.nothing_here[regions.labels == 99].all()
    assert prior.probability[prior.nothing_here].max() == 0


def test_bilateral_lesion_lies_on_both_sides(regions: AtlasRegions) -> None:
    prior = report_prior(read_report("Metastases in both occipital lobes."), regions)
    assert prior.probability[:20].sum() == pytest.approx(prior.probability[20:].sum(), rel=0.1)
    assert not prior.measured


def test_without_a_lesion_there_is_no_volume_and_no_probability(regions: AtlasRegions) -> None:
    prior = report_prior(read_report("No mass."), regions)
    assert prior.volume is None
    assert prior.probability.max() == 0


def test_unsure_reports_weigh_less(regions: AtlasRegions) -> None:
    sure, unsure = (
        report_prior(read_report(text), regions).probability.sum()
        for text in ("Left frontal mass, 3 cm.", "Possible left frontal mass, 3 cm.")
    )
    assert unsure == pytest.approx(0.5 * sure, rel=0.02)


def test_region_that_the_atlas_lacks_is_named_and_limits_nothing(regions: AtlasRegions) -> None:
    prior = report_prior(read_report("Suprasellar mass."), regions, PriorSettings(unknown_ml=10.0))
    assert prior.missing == ("sella",)
    assert prior.probability.sum() * regions.grid.voxel_ml == pytest.approx(10.0, rel=0.02)


def test_oedema_and_several_lesions_open_the_upper_end(regions: AtlasRegions) -> None:
    plain, with_oedema = (
        report_prior(read_report(text), regions).volume
        for text in ("Left frontal mass, 3 cm.", "Left frontal mass, 3 cm. Edema in the left frontal lobe.")
    )
    assert plain is not None
    assert with_oedema is not None
    assert with_oedema.high_ml > plain.high_ml
    assert with_oedema.expected_ml == plain.expected_ml


def test_unpaired_region_is_cut_at_the_midline(regions: AtlasRegions) -> None:
    both, left, right = (regions.mask("brainstem", side) for side in (None, Side.LEFT, Side.RIGHT))
    assert left.sum() == right.sum() == both.sum() / 2
    assert not (left & right).any()


LEXICON_REGIONS = [
    "frontal",
    "parietal",
    "temporal",
    "occipital",
    "insula",
    "cingulate",
    "thalamus",
    "basal_ganglia",
    "cerebellum",
    "brainstem",
    "corpus_callosum",
    "hippocampus",
    "parahippocampal",
    "supramarginal",
    "angular",
    "precentral",
    "superior_frontal",
    "orbitofrontal",
    "white_matter",
]


def test_gyri_atlas_knows_the_regions_of_the_lexicon() -> None:
    from annofree.anatomy.atlas import gyri_atlas

    found = AtlasRegions(gyri_atlas())
    for region in LEXICON_REGIONS:
        left, right = (
            np.flatnonzero(found.mask(region, side, (4, 4, 4)).any(axis=(1, 2))) for side in (Side.LEFT, Side.RIGHT)
        )
        assert len(left), region
        assert len(right), region
        assert left.mean() < right.mean(), region
