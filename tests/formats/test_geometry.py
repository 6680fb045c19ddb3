"""Where voxels lie and how large they are: never guessed, and said where two programs would disagree."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from annofree.errors import InputError
from annofree.formats import open_scan
from annofree.formats.nifti import read_volume, write_volume

from .conftest import AFFINE, SHAPE, SPACING, brain_image, save

VOLUME_ML = float((brain_image() > 0).sum()) * SPACING**3 / 1000


def header_only(path: Path, **fields: object) -> Path:
    """The file with header fields written as they are, which nibabel would repair."""
    content = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(bytes(content))
    return path


def volume_ml(path: Path) -> float:
    scan = open_scan(path, sequence="FLAIR")
    return float((scan.images["FLAIR"] != 0).sum() * scan.voxel_ml)


@pytest.mark.parametrize("pixdim", [[1, 0, 0, 0], [1, 1, 1, 0], [1, np.nan, 1, 1]])
@pytest.mark.parametrize("qform_code", [0, 1])
def test_no_voxel_size_is_refused(tmp_path: Path, pixdim: list[float], qform_code: int) -> None:
    path = save(tmp_path / "flair.nii", brain_image())
    header_only(path, pixdim=[*pixdim, 0, 0, 0, 0], qform_code=qform_code, sform_code=0)
    with pytest.raises(InputError, match=r"how large its voxels are.*flair\.nii"):
        open_scan(path)


def test_an_sform_is_enough(tmp_path: Path) -> None:
    path = header_only(save(tmp_path / "flair.nii", brain_image()), pixdim=[1, 0, 0, 0, 0, 0, 0, 0], qform_code=0)
    assert volume_ml(path) == pytest.approx(VOLUME_ML)


@pytest.mark.parametrize("form", [1, 2])
@pytest.mark.parametrize("length", [1 + 3e-7, 1 + 1e-4, 1.005])
@pytest.mark.parametrize("slope", [1, 2])
def test_a_quaternion_that_rounding_made_too_long_is_normalised(
    tmp_path: Path, form: int, length: float, slope: float
) -> None:
    c, s = np.cos(0.3), np.sin(0.3)  # a half turn about an axis that leans, as a tilted head gives
    turned = SPACING * np.array([[-1, 0, 0], [0, -c, s], [0, s, c]])
    affine = nib.affines.from_matvec(turned, (90, 75, -125))
    kind = nib.Nifti1Image if form == 1 else nib.Nifti2Image
    image = kind(brain_image().astype(np.int16), affine)
    image.set_sform(None, 0)
    image.set_qform(affine, 1)
    nib.save(image, tmp_path / "plain.nii")
    content = (tmp_path / "plain.nii").read_bytes()
    size = int(image.header["sizeof_hdr"])
    header = kind.header_class(content[:size], check=False)
    for part in "bcd":
        header[f"quatern_{part}"] *= length
    header["scl_slope"] = slope
    path = tmp_path / "flair.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + content[size:]))
    with pytest.raises(ValueError, match="w2 should be positive"):
        nib.load(path)
    volume = read_volume(path)
    assert np.allclose(volume.grid.affine, affine, atol=1e-4)
    assert np.array_equal(volume.array, slope * brain_image().astype(np.int16))
    write_volume(tmp_path / "mask.nii.gz", (volume.array > 0).astype(np.uint8), volume.grid)
    assert np.allclose(nib.load(tmp_path / "mask.nii.gz").get_qform(), affine, atol=1e-4)
    found = sitk.ReadImage(tmp_path / "mask.nii.gz")
    assert np.allclose(found.GetOrigin(), affine[:3, 3] * (-1, -1, 1), atol=1e-4)


def test_a_quaternion_a_little_too_long_is_no_unusable_qform_beside_an_sform(tmp_path: Path) -> None:
    affine = np.diag([-SPACING, -SPACING, SPACING, 1])
    path = header_only(save(tmp_path / "flair.nii", brain_image(), affine), qform_code=1, quatern_d=1.0001)
    assert not [note for note in open_scan(path).notes if "qform" in note]
    header_only(path, quatern_d=3)
    assert [note for note in open_scan(path).notes if "unusable qform" in note]


@pytest.mark.parametrize("degrees", [179.9, 176, 170, 165])
def test_forms_that_agree_close_to_a_half_turn_are_not_said_to_disagree(tmp_path: Path, degrees: float) -> None:
    turn = nib.eulerangles.angle_axis2euler(np.deg2rad(degrees), [0.1, 0.2, 0.97])  # a tilted head, stored as LPS
    affine = nib.affines.from_matvec(SPACING * nib.eulerangles.euler2mat(*turn), (90, 75, -40))
    path = save(tmp_path / "flair.nii", brain_image(), affine, qform_code=1)
    header = nib.load(path).header
    assert np.allclose(header.get_qform(), header.get_sform(), atol=1e-3)
    scan = open_scan(path)
    assert not [note for note in scan.notes if "qform" in note]


def test_a_quaternion_that_is_damage_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "flair.nii", brain_image(), np.diag([-SPACING, -SPACING, SPACING, 1]))
    header_only(path, sform_code=0, qform_code=1, quatern_d=3)
    with pytest.raises(InputError, match=r"w2 should be positive.*"):
        open_scan(path)


@pytest.mark.parametrize(("unit", "scale", "word"), [(1, 1e-3, "metres"), (3, 1e3, "microns"), (0, 1, ""), (2, 1, "")])
def test_units_are_honoured(tmp_path: Path, unit: int, scale: float, word: str) -> None:
    affine = AFFINE * np.array([[scale], [scale], [scale], [1]])
    path = save(tmp_path / "flair.nii.gz", brain_image(), affine, xyzt_units=unit)
    scan = open_scan(path)
    assert volume_ml(path) == pytest.approx(VOLUME_ML, rel=1e-4)
    assert np.allclose(scan.affine[:3, 3], open_scan(save(tmp_path / "t2.nii.gz", brain_image())).affine[:3, 3])
    assert any(word in note for note in scan.notes) or not word
    assert scan.native is not None
    write_volume(tmp_path / "mask.nii.gz", np.ones(SHAPE, np.uint8), scan.native)
    assert np.allclose(nib.load(tmp_path / "mask.nii.gz").affine, AFFINE, atol=1e-3)
    assert np.allclose(sitk.ReadImage(tmp_path / "mask.nii.gz").GetSpacing(), SPACING, atol=1e-4)


@pytest.mark.parametrize(("unit", "scale"), [(1, 1.0), (3, 1.0), (2, 1e-3), (2, 10.0), (0, 1e-3)])
def test_a_head_of_impossible_size_is_refused(tmp_path: Path, unit: int, scale: float) -> None:
    affine = AFFINE * np.array([[scale], [scale], [scale], [1]])
    path = save(tmp_path / "flair.nii.gz", brain_image(), affine, xyzt_units=unit)
    with pytest.raises(InputError, match=r"size of a head.*flair\.nii\.gz.* mm"):
        open_scan(path)


@pytest.mark.parametrize("codes", [(1, 2), (1, 4), (2, 4), (1, 1)])
def test_forms_that_disagree_are_said_and_results_agree(tmp_path: Path, codes: tuple[int, int]) -> None:
    image = nib.Nifti1Image(brain_image(), AFFINE)
    moved = AFFINE.copy()
    moved[0, 3] += 0.7
    image.set_qform(moved, codes[0])
    image.set_sform(AFFINE, codes[1])
    nib.save(image, tmp_path / "flair.nii.gz")
    scan = open_scan(tmp_path / "flair.nii.gz")
    note = next(note for note in scan.notes if "disagree by 0.7 mm" in note)
    assert ("ITK-based programs take the qform" in note) == (codes[1] != 1)
    assert scan.native is not None
    write_volume(tmp_path / "mask.nii.gz", np.ones(SHAPE, np.uint8), scan.native)
    written = nib.load(tmp_path / "mask.nii.gz")
    assert np.allclose(written.get_qform(), written.get_sform(), atol=1e-4)
    assert np.allclose(sitk.ReadImage(tmp_path / "mask.nii.gz").GetOrigin()[0], -AFFINE[0, 3], atol=1e-4)


def test_forms_closer_than_half_a_millimetre_are_not_worth_a_note(tmp_path: Path) -> None:
    image = nib.Nifti1Image(brain_image(), AFFINE)
    moved = AFFINE.copy()
    moved[0, 3] += 0.3
    image.set_qform(moved, 1)
    image.set_sform(AFFINE, 2)
    nib.save(image, tmp_path / "flair.nii.gz")
    assert open_scan(tmp_path / "flair.nii.gz").notes == ()


def test_an_sform_of_another_voxel_size_is_said(tmp_path: Path) -> None:
    path = header_only(save(tmp_path / "flair.nii", brain_image()), pixdim=[1, 1, 1, 1, 0, 0, 0, 0], qform_code=0)
    scan = open_scan(path)
    assert (
        "flair.nii states voxels of 1 x 1 x 1 mm (pixdim) and 4.5 x 4.5 x 4.5 mm (sform); the sform is used."
        in scan.notes
    )
    assert scan.native is not None
    write_volume(tmp_path / "mask.nii.gz", np.ones(SHAPE, np.uint8), scan.native)
    assert np.allclose(sitk.ReadImage(tmp_path / "mask.nii.gz").GetSpacing(), SPACING)


def test_a_sheared_affine_measures_by_its_determinant_and_is_said(tmp_path: Path) -> None:
    sheared = AFFINE.copy()
    sheared[0, 2] = 2.0
    path = save(tmp_path / "flair.nii.gz", brain_image(), sheared)
    scan = open_scan(path)
    assert any("24.0 degrees off right angles" in note for note in scan.notes)
    assert scan.voxel_ml == pytest.approx(SPACING**3 / 1000)
    assert np.prod(scan.spacing_mm) / 1000 > 1.09 * scan.voxel_ml
    assert volume_ml(path) == pytest.approx(VOLUME_ML)


@pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
def test_an_intercept_without_slope_is_read_raw_and_said(tmp_path: Path, slope: float) -> None:
    path = header_only(save(tmp_path / "flair.nii", brain_image()), scl_slope=slope, scl_inter=100.0)
    volume = read_volume(path)
    assert np.array_equal(volume.array, brain_image())
    assert any("ITK-based programs add the intercept" in note for note in volume.notes)


def test_a_wrong_checksum_is_found(tmp_path: Path) -> None:
    path = save(tmp_path / "flair.nii.gz", brain_image())
    content = bytearray(path.read_bytes())
    content[-8] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"damaged.*flair\.nii\.gz.*CRC"):
        open_scan(path)


def test_several_gzip_members_are_one_file(tmp_path: Path) -> None:
    path = save(tmp_path / "flair.nii", brain_image())
    content = path.read_bytes()
    packed = tmp_path / "t2.nii.gz"
    packed.write_bytes(gzip.compress(content[:50_000]) + gzip.compress(content[50_000:]))
    assert np.array_equal(open_scan(packed).images["T2"], open_scan(path).images["FLAIR"])


def test_a_file_that_unpacks_far_beyond_its_header_is_refused(tmp_path: Path) -> None:
    content = save(tmp_path / "flair.nii", brain_image()).read_bytes()
    (tmp_path / "t2.nii.gz").write_bytes(gzip.compress(content + b"\0" * 50_000_000, compresslevel=1))
    with pytest.raises(InputError, match="more than its header claims"):
        open_scan(tmp_path / "t2.nii.gz")


@pytest.mark.parametrize(
    ("made", "called", "kind", "right"),
    [
        ("a.nrrd", "flair.nii", "NRRD", ".nrrd"),
        ("a.nii", "flair.nrrd", "NIfTI", ".nii"),
        ("a.nii", "flair.mha", "NIfTI", ".nii"),
        ("a.nii", "flair.mgz", "NIfTI", ".nii"),
        ("a.mgh", "flair.mgz", "MGH and not compressed", ".mgh"),
        ("a.mgh", "flair.nii", "MGH and not compressed", ".mgh"),
        ("a.nii.gz", "flair.nrrd", "compressed NIfTI", ".nii.gz"),
        ("a.nii.gz", "flair.mgz", "compressed NIfTI", ".nii.gz"),
        ("a.mgz", "flair.nii.gz", "compressed MGH", ".mgz"),
        ("a.mgz", "flair.mgh", "compressed MGH", ".mgz"),
    ],
)
def test_another_kinds_ending_is_told(tmp_path: Path, made: str, called: str, kind: str, right: str) -> None:
    if made.endswith(".nrrd"):
        sitk.WriteImage(sitk.ReadImage(save(tmp_path / "b.nii", brain_image())), tmp_path / made)
    elif made.endswith((".mgh", ".mgz")):
        nib.save(nib.MGHImage(brain_image(), AFFINE), tmp_path / made)
    else:
        save(tmp_path / made, brain_image())
    (tmp_path / made).rename(tmp_path / called)
    with pytest.raises(InputError, match=rf"it is {kind} and ends in .*Rename it to end in \{right}"):
        read_volume(tmp_path / called)


def test_compressed_without_the_ending_says_so(tmp_path: Path) -> None:
    path = save(tmp_path / "t1.nii.gz", brain_image()).rename(tmp_path / "flair.nii")
    with pytest.raises(InputError, match=r"gzip-compressed.*Rename it to end in \.nii\.gz"):
        open_scan(path)
    other = save(tmp_path / "t2.nii", brain_image()).rename(tmp_path / "t2.nii.gz")
    with pytest.raises(InputError, match=r"not compressed\. Rename it to \.nii"):
        open_scan(other)


def test_nifti_pairs_are_read_and_analyze_is_refused(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(brain_image(), AFFINE), tmp_path / "p" / "flair.hdr") if (
        tmp_path / "p"
    ).mkdir() is None else 0
    scan = open_scan(tmp_path / "p")
    assert volume_ml(tmp_path / "p" / "flair.hdr") == pytest.approx(VOLUME_ML)
    assert scan.sequences == ("FLAIR",)
    (tmp_path / "p" / "flair.img").unlink()
    with pytest.raises(InputError, match=r"flair\.hdr.*flair\.img is missing|damaged.*flair\.hdr"):
        open_scan(tmp_path / "p")
    (tmp_path / "a").mkdir()
    nib.save(nib.AnalyzeImage(brain_image().astype(np.int16), np.eye(4)), tmp_path / "a" / "flair.hdr")
    with pytest.raises(InputError, match=r"Analyze 7\.5"):
        open_scan(tmp_path / "a")


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh"])
def test_other_kinds_of_volume_give_the_same_scan(tmp_path: Path, ending: str) -> None:
    oblique = nib.affines.from_matvec(
        SPACING * np.array([[0.98, -0.17, 0.1], [0.17, 0.985, 0.0], [-0.0985, 0.017, 0.995]]), [-80, -99, -95]
    )
    u, _, v = np.linalg.svd(oblique[:3, :3])
    oblique[:3, :3] = SPACING * u @ v
    reference = open_scan(save(tmp_path / "nifti" / "flair.nii.gz", brain_image(), oblique))
    (tmp_path / "other").mkdir()
    path = tmp_path / "other" / f"p1_flair{ending}"
    if ending.startswith(".mg"):
        nib.save(nib.MGHImage(brain_image(), oblique), path)
    else:
        sitk.WriteImage(sitk.ReadImage(tmp_path / "nifti" / "flair.nii.gz"), path, useCompression=ending == ".nrrd")
    scan = open_scan(tmp_path / "other")
    assert scan.sequences == ("FLAIR",)
    assert np.allclose(scan.affine, reference.affine, atol=1e-3)
    assert np.array_equal(scan.images["FLAIR"], reference.images["FLAIR"])
    assert open_scan(path).id == "p1"


@pytest.mark.parametrize(("unit", "mm"), [("mm", 1.0), ("cm", 10.0), ("m", 1000.0), ("um", 0.001)])
def test_a_nrrd_says_its_own_unit(tmp_path: Path, unit: str, mm: float) -> None:
    array = brain_image().astype("<i2")
    edge = SPACING / mm
    lines = [
        *("NRRD0004", "type: short", "dimension: 3", "space: left-posterior-superior", "encoding: raw"),
        *("sizes: " + " ".join(map(str, array.shape)), "endian: little", f'space units: "{unit}" "{unit}" "{unit}"'),
        *(f"space directions: ({edge},0,0) (0,{edge},0) (0,0,{edge})", f"space origin: ({-80 / mm},0,0)", "", ""),
    ]
    (tmp_path / "flair.nrrd").write_bytes("\n".join(lines).encode() + array.tobytes(order="F"))
    scan = open_scan(tmp_path / "flair.nrrd")
    assert scan.grid.spacing_mm == pytest.approx((SPACING,) * 3)
    corners = [scan.affine @ [x, 0, 0, 1] for x in (0, array.shape[0] - 1)]
    assert max(corner[0] for corner in corners) == pytest.approx(80)


def test_a_nrrd_with_directions_and_no_space_is_one_sentence(tmp_path: Path) -> None:
    lines = [
        *("NRRD0005", "type: uint8", "dimension: 3", "sizes: 4 5 6", "encoding: raw"),
        *("space directions: (1,0,0) (0,2,0) (0,0,3)", "", ""),
    ]
    (tmp_path / "flair.nrrd").write_bytes("\n".join(lines).encode() + bytes(120))
    with pytest.raises(InputError, match=r"flair\.nrrd") as refused:
        open_scan(tmp_path / "flair.nrrd")
    assert "space dimension" in str(refused.value)


@pytest.mark.parametrize(
    ("ending", "before", "after", "said"),
    [
        (".nrrd", "", "", False),
        (".nrrd", "space: left-posterior-superior", "space: RAS", False),
        (".nrrd", "space: left-posterior-superior", "space: scanner-xyz", True),
        (".nrrd", "space: left-posterior-superior", "space dimension: 3", True),
        (".mha", "", "", False),
        (".mha", "TransformMatrix = 1 0 0 0 1 0 0 0 1\n", "", True),
    ],
)
def test_a_file_that_does_not_say_where_left_is_gets_a_note(
    tmp_path: Path, ending: str, before: str, after: str, said: bool
) -> None:
    image = sitk.GetImageFromArray(brain_image().astype(np.int16))
    image.SetSpacing([SPACING] * 3)
    path = tmp_path / f"flair{ending}"
    sitk.WriteImage(image, path)
    content = path.read_bytes()
    assert before.encode() in content
    path.write_bytes(content.replace(before.encode(), after.encode(), 1))
    notes = [note for note in open_scan(path).notes if "states no orientation" in note]
    assert len(notes) == said
    assert all(path.name in note and "LPS" in note for note in notes)


@pytest.mark.parametrize("ending", [".mgh", ".mgz"])
@pytest.mark.parametrize("flag", [0, -1])
def test_a_freesurfer_volume_without_geometry_is_refused(tmp_path: Path, ending: str, flag: int) -> None:
    path = tmp_path / f"flair{ending}"
    nib.save(nib.MGHImage(brain_image(), AFFINE), path)
    assert open_scan(path).spacing_mm == pytest.approx([SPACING] * 3)
    content = path.read_bytes()
    content = bytearray(gzip.decompress(content) if ending == ".mgz" else content)
    content[28:30] = flag.to_bytes(2, "big", signed=True)
    path.write_bytes(gzip.compress(content) if ending == ".mgz" else content)
    with pytest.raises(InputError, match=r"how large its voxels are.*goodRASFlag"):
        open_scan(path)


def test_a_nrrd_without_voxel_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flair.nrrd"
    data = brain_image().astype("<i2").tobytes(order="F")
    head = f"NRRD0004\ntype: short\ndimension: 3\nsizes: {' '.join(map(str, SHAPE))}\nencoding: raw\nendian: little\n\n"
    path.write_bytes(head.encode() + data)
    with pytest.raises(InputError, match=r"how large its voxels are.*flair\.nrrd"):
        open_scan(path)


def test_colours_and_damage_in_other_kinds_are_refused(tmp_path: Path) -> None:
    colours = sitk.GetImageFromArray(np.zeros((20, 20, 20, 3), np.uint8), isVector=True)
    sitk.WriteImage(colours, tmp_path / "flair.mha")
    with pytest.raises(InputError, match=r"4-D.*flair\.mha"):
        open_scan(tmp_path / "flair.mha")
    sitk.WriteImage(sitk.GetImageFromArray(brain_image()), tmp_path / "t2.nrrd")
    (tmp_path / "t2.nrrd").write_bytes((tmp_path / "t2.nrrd").read_bytes()[:5000])
    with pytest.raises(InputError, match=r"damaged.*t2\.nrrd"):
        open_scan(tmp_path / "t2.nrrd")


@pytest.mark.parametrize("slices", [2, 3, 6])
def test_a_few_slices_are_refused(tmp_path: Path, slices: int) -> None:
    affine = AFFINE.copy()
    affine[2, 2] = 130 / slices
    image = brain_image()[:, :, 18 : 18 + slices]
    with pytest.raises(InputError, match=rf"{slices} voxels"):
        open_scan(save(tmp_path / "flair.nii.gz", image, affine))


@pytest.mark.parametrize("size", [2, 6])
def test_a_brain_of_a_few_voxels_is_refused(tmp_path: Path, size: int) -> None:
    image = np.zeros(SHAPE, np.float32)
    image[10 : 10 + size, 10 : 10 + size, 10 : 10 + size] = np.random.default_rng(0).normal(300, 20, (size,) * 3)
    with pytest.raises(InputError, match=r"flair\.nii\.gz.*(values|litres|voxels)"):
        open_scan(save(tmp_path / "flair.nii.gz", image))
    coarse = np.diag([160.0 / size, 160.0 / size, 160.0 / size, 1])
    with pytest.raises(InputError, match=r"flair\.nii\.gz"):
        open_scan(
            save(tmp_path / "flair.nii.gz", np.pad(image[10 : 10 + size, 10 : 10 + size, 10 : 10 + size], 1), coarse)
        )


def test_channels_as_vectors_of_simpleitk(tmp_path: Path) -> None:
    channels = [brain_image(seed) for seed in range(4)]
    for name, axis in (("last", -1), ("first", 0)):
        image = sitk.GetImageFromArray(np.stack(channels, axis=axis))
        image.SetSpacing((SPACING,) * 3)
        sitk.WriteImage(image, tmp_path / f"{name}.nii.gz")
    scan = open_scan(tmp_path / "last.nii.gz", sequence="FLAIR,T1,T1C,T2")
    assert scan.sequences == ("T1", "T1C", "T2", "FLAIR")
    assert sorted(scan.images["FLAIR"].shape) == sorted(channels[0].shape)
    assert scan.images["FLAIR"].sum() == pytest.approx(channels[0].sum())
    with pytest.raises(InputError, match="4 sequences are named for one file, and it does not hold as many"):
        open_scan(tmp_path / "first.nii.gz", sequence="FLAIR,T1,T1C,T2")
