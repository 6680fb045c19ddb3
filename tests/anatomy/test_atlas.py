"""The atlas: every brain voxel has a name, a side and a lobe; and a table with swapped sides is never believed."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from annofree.anatomy import LOBES, Atlas, default_atlas, gyri_atlas, template
from annofree.anatomy.regions import parse_side, side_in_name
from annofree.errors import InputError


@pytest.fixture(scope="module", params=[default_atlas, gyri_atlas])
def atlas(request: pytest.FixtureRequest) -> Atlas:
    found: Atlas = request.param()
    return found


def at(atlas: Atlas, *mni_mm: float):
    label = int(atlas.sample(np.array([mni_mm], dtype=float))[0])
    return next(row for row in atlas.table if row.index == label)


def test_every_brain_voxel_is_named_and_nothing_outside(atlas):
    every = round(atlas.affine[0, 0])
    assert ((atlas.labels > 0) == template().brain[::every, ::every, ::every]).all()
    assert set(np.unique(atlas.labels)) - {0} <= {row.index for row in atlas.table}
    assert set(atlas.lobes) == set(LOBES)


def test_left_is_at_negative_x_and_no_side_crosses_the_midline(atlas):
    x_mm = atlas.affine[0, 3] + atlas.affine[0, 0] * np.arange(atlas.labels.shape[0])
    left = np.isin(atlas.labels, [row.index for row in atlas.table if row.side == "left"])
    right = np.isin(atlas.labels, [row.index for row in atlas.table if row.side == "right"])
    assert not left[x_mm > 0].any()
    assert not right[x_mm < 0].any()
    assert left.sum() == pytest.approx(right.sum(), rel=0.03)


@pytest.mark.parametrize(
    ("mni_mm", "lobe", "side"),
    [
        ((-40, 30, 25), "Frontal", "left"),  # middle frontal gyrus
        ((-25, 20, 25), "Frontal", "left"),  # frontal white matter
        ((25, -10, 45), "Frontal", "right"),  # centrum semiovale under the precentral gyrus
        ((45, -60, 40), "Parietal", "right"),  # angular gyrus
        ((-60, -20, -5), "Temporal", "left"),  # superior and middle temporal gyri
        ((28, -20, -15), "Temporal", "right"),  # hippocampus
        ((20, -92, 5), "Occipital", "right"),
        ((-38, 5, 0), "Insula", "left"),
        ((12, -18, 8), "Deep grey", "right"),  # thalamus
        ((0, -28, -32), "Brainstem", "midline"),  # pons
        ((0, 24, 10), "Corpus callosum", "midline"),  # genu
        ((-30, -65, -40), "Cerebellum", "left"),
        ((5, 35, 20), "Cingulate", "right"),
    ],
)
def test_known_places(atlas, mni_mm, lobe, side):
    region = at(atlas, *mni_mm)
    assert (region.lobe, region.side) == (lobe, side)


def test_lobe_masks_of_the_two_sides_do_not_meet(atlas):
    for lobe in ("frontal", "Brainstem"):
        left, right = atlas.lobe_mask(lobe, "left"), atlas.lobe_mask(lobe, "right")
        assert left.any()
        assert right.any()
        assert not (left & right).any()
        assert not ((left | right) & ~atlas.lobe_mask(lobe)).any()


def test_describe_gives_shares_of_a_mask(atlas):
    told = atlas.describe(atlas.lobe_mask("Temporal", "right"))
    assert told["lobes"] == {"Temporal": 1.0}
    assert told["sides"]["right"] > 0.99
    assert sum(told["regions"].values()) == pytest.approx(1.0)
    assert atlas.describe(atlas.labels == 0)["lobes"] == {}


def test_unknown_names_are_met_with_near_ones(atlas):
    assert atlas.region_mask("insula_l").any()
    with pytest.raises(InputError, match="Insula_L"):
        atlas.region_mask("insula left")
    with pytest.raises(InputError, match="Frontal"):
        atlas.lobe_mask("frontale")


def write_atlas(folder, table, order="LAS"):
    """Two boxes at 4 mm, left one 1, right one 2, in any axis order."""
    voxels = np.zeros((46, 55, 46), np.int16)
    affine = np.array([[4.0, 0, 0, -90], [0, 4, 0, -126], [0, 0, 4, -72], [0, 0, 0, 1]])
    voxels[8:20, 20:40, 20:35], voxels[26:38, 20:40, 20:35] = 1, 2
    image = nib.Nifti1Image(voxels, affine)
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(order))
    )
    nib.save(image.as_reoriented(turn), folder / "atlas.nii.gz")
    (folder / "atlas.tsv").write_text(table)
    return folder / "atlas.nii.gz", folder / "atlas.tsv"


@pytest.mark.parametrize("order", ["PIL"])
def test_own_atlas_is_read_in_any_axis_order(tmp_path, order):
    own = Atlas.from_files(
        *write_atlas(tmp_path, "index\tname\tside\tlobe\n1\tA\tleft\tOne\n2\tB\tright\tTwo\n", order)
    )
    assert (at(own, -40, -10, 10).name, at(own, 40, -10, 10).name) == ("A", "B")
    assert at(own, -20, -70, -30).name == "A"
    assert own.lobes == ("One", "Two")


def test_a_table_as_a_spreadsheet_saves_it_is_read(tmp_path):
    """With semicolons, and in the encoding of a Chinese system."""
    image, table = write_atlas(tmp_path, "")
    table.write_bytes("index;name;side;lobe\n1;额叶;left;额叶\n2;颞叶;right;颞叶\n".encode("gbk"))
    own = Atlas.from_files(image, table)
    assert (own.lobes, at(own, 40, -10, 10).name) == (("额叶", "颞叶"), "颞叶")


def test_swapped_sides_are_refused_and_the_rows_named(tmp_path):
    files = write_atlas(tmp_path, "index\tname\tside\n1\tHippocampus\tright\n2\tPutamen\tleft\n")
    with pytest.raises(InputError, match=r"1 Hippocampus \(called right.*2 Putamen"):
        Atlas.from_files(*files)


def test_sides_in_names_are_checked_too(tmp_path):
    with pytest.raises(InputError, match="Insula_R"):
        Atlas.from_files(*write_atlas(tmp_path, "index,name\n1,Insula_R\n2,Insula_L\n"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("index\tname\n1\tA\n", "Labels 2"),
        ("number\tname\n1\tA\n", "columns 'index' and 'name'"),
        ("index\tname\tside\n1\tA\tnorth\n2\tB\tleft\n", "'north' in line 2 of the atlas table is not a side"),
        ("index\tname\n\n1\tA\nx\tA\n", "'x' in line 4 of the atlas table is not a label number"),
        ("index\tname\n1\tA\n2\tB\n1\tC\n", "Label 1 in line 4 of the atlas table stood in line 2 already"),
    ],
)
def test_a_table_that_makes_no_sense_says_why(tmp_path, table, message):
    with pytest.raises(InputError, match=message):
        Atlas.from_files(*write_atlas(tmp_path, table))


def test_sides_are_read_in_many_spellings():
    assert [side_in_name(n) for n in ("Left-Putamen", "ctx-rh-insula", "Vermis_3", "R_Insula")] == [
        "left",
        "right",
        None,
        "right",
    ]
    assert [parse_side(t) for t in ("L", "Right", "both", "")] == ["left", "right", "midline", "midline"]
