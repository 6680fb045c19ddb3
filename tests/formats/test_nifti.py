"""A bad file must end in one clear sentence that names it, never in a traceback or a wrong result."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annofree.errors import AnnofreeError, InputError
from annofree.formats import open_scan
from annofree.formats.nifti import read_labels, read_volume, write_volume
from annofree.scan import Grid

from .conftest import AFFINE, SHAPE, brain_image, save


def refused(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        open_scan(path, sequence="FLAIR")
    sentence = str(caught.value)
    assert path.name in sentence, sentence
    for word in words:
        assert word in sentence, sentence
    assert "\n" not in sentence


def test_not_nifti(tmp_path: Path) -> None:
    path = tmp_path / "flair.nii"
    path.write_text("this is a letter, not an image" * 40)
    refused(path, "not NIfTI")


def test_not_compressed_though_named_gz(tmp_path: Path) -> None:
    path = tmp_path / "flair.nii.gz"
    path.write_bytes(b"\0" * 500)
    refused(path, "not NIfTI", "not compressed")


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "flair.nii.gz"
    path.touch()
    refused(path, "0 bytes")


def test_packed_twice_and_a_tar_archive_are_told(tmp_path: Path) -> None:
    once = save(tmp_path / "flair.nii.gz", brain_image())
    twice = tmp_path / "twice.nii.gz"
    twice.write_bytes(gzip.compress(once.read_bytes()))
    refused(twice, "not NIfTI", "gzip-compressed twice", "Unpack it once more")
    with tarfile.open(tmp_path / "tar.nii.gz", "w:gz") as archive:
        archive.add(once, "flair.nii.gz")
    refused(tmp_path / "tar.nii.gz", "not NIfTI", "tar archive")


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.98])
def test_truncated_gzip(tmp_path: Path, keep: float) -> None:
    path = save(tmp_path / "flair.nii.gz", brain_image())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    refused(path, "damaged or cut short", "): Compressed file ended")  # no name of a class of errors


def test_truncated_plain(tmp_path: Path) -> None:
    path = save(tmp_path / "flair.nii", brain_image())
    path.write_bytes(path.read_bytes()[:-1000])
    refused(path, "damaged or cut short")


def test_four_dimensions(tmp_path: Path) -> None:
    refused(save(tmp_path / "flair.nii.gz", np.ones((*SHAPE, 3), np.int16)), "4-D", "Split")


def test_a_last_axis_of_one_is_no_fourth_dimension(tmp_path: Path) -> None:
    path = save(tmp_path / "flair.nii.gz", brain_image()[..., None])
    assert open_scan(path).shape == SHAPE


def test_nifti_2_is_read_and_results_are_nifti_1_for_itk(tmp_path: Path) -> None:
    SimpleITK = pytest.importorskip("SimpleITK")
    source = tmp_path / "flair.nii.gz"
    nib.save(nib.Nifti2Image(brain_image(), AFFINE), source)
    scan = read_volume(source)
    assert np.array_equal(scan.array, brain_image())
    write_volume(tmp_path / "mask.nii.gz", (scan.array > 0).astype(np.uint8), scan.grid)
    found = SimpleITK.ReadImage(str(tmp_path / "mask.nii.gz"))
    assert found.GetSize() == SHAPE
    assert np.allclose(found.GetOrigin(), AFFINE[:3, 3] * (-1, -1, 1))
    assert type(nib.load(tmp_path / "mask.nii.gz")) is nib.Nifti1Image


def test_a_picture_is_no_volume(tmp_path: Path) -> None:
    refused(save(tmp_path / "flair.nii.gz", np.ones((30, 30, 1), np.int16)), "flat")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number(tmp_path: Path, value: float) -> None:
    image = brain_image()
    image[0, 0, :7] = value
    refused(save(tmp_path / "flair.nii.gz", image), "7 of", "NaN or infinite")


@pytest.mark.parametrize("factor", [1e33, 1e-33, -1e33])
def test_values_that_are_no_grey_levels_are_refused(tmp_path: Path, factor: float) -> None:
    image = brain_image() * np.float32(factor)
    refused(save(tmp_path / "flair.nii.gz", image), "no grey levels", "reaches from")
    outside = np.where(brain_image() > 0, brain_image(), np.float32(factor))
    if abs(factor) > 1:
        refused(save(tmp_path / "b" / "flair.nii.gz", outside), "no grey levels")


def test_all_zero(tmp_path: Path) -> None:
    refused(save(tmp_path / "flair.nii.gz", np.zeros(SHAPE, np.int16)), "empty", "all zero")


def test_one_value_everywhere(tmp_path: Path) -> None:
    refused(save(tmp_path / "flair.nii.gz", np.full(SHAPE, 7, np.int16)), "empty", "7")


def test_colours(tmp_path: Path) -> None:
    colours = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    refused(save(tmp_path / "flair.nii.gz", colours), "colours")


def test_zero_affine(tmp_path: Path) -> None:
    image = nib.Nifti1Image(brain_image(), None)
    image.header["sform_code"] = 1
    nib.save(image, tmp_path / "flair.nii.gz")
    refused(tmp_path / "flair.nii.gz", "no usable affine", "all zero")


def test_an_image_in_memory_without_an_affine() -> None:
    with pytest.raises(InputError, match=r"no usable affine \(image in memory\): it has none, so voxels"):
        read_volume(nib.Nifti1Image(brain_image(), None))


def test_singular_affine(tmp_path: Path) -> None:
    image = nib.Nifti1Image(brain_image(), None)
    image.header["sform_code"] = 1
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = (1, 0, 0, 0), (1, 0, 0, 0), (0, 0, 1, 0)
    nib.save(image, tmp_path / "flair.nii.gz")
    refused(tmp_path / "flair.nii.gz", "no usable affine", "singular")


def test_voxels_that_begin_in_the_header_are_refused(tmp_path: Path) -> None:
    """The header was read as 176 voxels, and the image moved by as many."""
    path = save(tmp_path / "flair.nii", brain_image().astype(np.int16))
    held = bytearray(path.read_bytes())
    held[108:112] = np.float32(0).tobytes()
    path.write_bytes(bytes(held))
    refused(path, "header is damaged", "begin at byte 0")


def test_missing_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file or folder.*nowhere"):
        open_scan(tmp_path / "nowhere.nii.gz")


def test_no_orientation_is_said(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(brain_image(spacing=1.0, shape=(140, 170, 130)), None), tmp_path / "flair.nii.gz")
    assert any("states no orientation" in note for note in open_scan(tmp_path / "flair.nii.gz").notes)


def test_scaled_integers_are_read_as_real_values(tmp_path: Path) -> None:
    image = nib.Nifti1Image(brain_image(), AFFINE)
    image.set_data_dtype(np.uint8)
    nib.save(image, tmp_path / "flair.nii.gz")
    step = nib.load(tmp_path / "flair.nii.gz").dataobj.slope
    assert 1 < step < 2
    assert np.abs(read_volume(tmp_path / "flair.nii.gz").array - brain_image()).max() <= step / 2 + 1e-3


def test_written_masks_carry_the_source_geometry_to_the_bit(tmp_path: Path) -> None:
    oblique = np.array([[0.9, 0.13, 0.05, -80.3], [-0.1, 0.97, 0.2, -99.1], [0.02, -0.2, 1.9, 7.7], [0, 0, 0, 1]])
    source = save(tmp_path / "flair.nii.gz", brain_image(shape=(12, 14, 9), spacing=10.0), oblique, xyzt_units=10)
    grid = read_volume(source).grid
    write_volume(tmp_path / "mask.nii.gz", np.ones((12, 14, 9), np.uint8), grid)
    a, b = nib.load(source), nib.load(tmp_path / "mask.nii.gz")
    assert np.array_equal(a.affine, b.affine)
    assert np.array_equal(a.get_qform(), b.get_qform())
    assert a.header.get_zooms() == b.header.get_zooms()
    assert (a.header["qform_code"], a.header["sform_code"]) == (b.header["qform_code"], b.header["sform_code"])


def test_written_files_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(tmp_path / name, np.ones(SHAPE, np.uint8), Grid(SHAPE, AFFINE))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def small_file() -> bytes:
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([2.0, 2, 2, 1]))
    return bytes(image.to_bytes())


GOOD = small_file()


def only_clear_errors(content: bytes, name: str, folder: Path) -> None:
    path = folder / name
    path.write_bytes(content)
    for read in (read_volume, read_labels):
        sentence = None
        try:
            read(path)
        except AnnofreeError as error:
            sentence = str(error)
        assert sentence is None or (name in sentence and "\n" not in sentence)


@settings(max_examples=150)
@given(at=st.integers(0, 347), new=st.binary(min_size=1, max_size=8))
def test_random_header_bytes(tmp_path_factory: pytest.TempPathFactory, at: int, new: bytes) -> None:
    only_clear_errors(GOOD[:at] + new + GOOD[at + len(new) :], "flair.nii", tmp_path_factory.getbasetemp())


@settings(max_examples=60)
@given(length=st.integers(0, len(GOOD)), packed=st.booleans(), cut=st.floats(0, 1))
def test_random_truncation(tmp_path_factory: pytest.TempPathFactory, length: int, packed: bool, cut: float) -> None:
    content = GOOD[:length]
    if packed:
        content = gzip.compress(GOOD)
        content = content[: int(cut * len(content))]
    only_clear_errors(content, f"flair.nii{'.gz' * packed}", tmp_path_factory.getbasetemp())


@settings(max_examples=60)
@given(noise=st.binary(max_size=600), packed=st.booleans())
def test_random_bytes(tmp_path_factory: pytest.TempPathFactory, noise: bytes, packed: bool) -> None:
    content = gzip.compress(noise) if packed else noise
    only_clear_errors(content, f"flair.nii{'.gz' * packed}", tmp_path_factory.getbasetemp())


def test_a_header_that_claims_terabytes_is_refused_before_reading(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header.set_data_dtype(np.float64)
    buffer = io.BytesIO()
    header.write_to(buffer)
    path = tmp_path / "flair.nii.gz"
    path.write_bytes(gzip.compress(buffer.getvalue() + b"\0" * 500))
    refused(path, "header is damaged", "30000")


def test_a_header_that_claims_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((700, 700, 700))
    header.set_data_dtype(np.float64)
    buffer = io.BytesIO()
    header.write_to(buffer)
    for name, content in (("flair.nii", buffer.getvalue()), ("flair.nii.gz", gzip.compress(buffer.getvalue()))):
        (tmp_path / name).write_bytes(content)
        tracemalloc.start()
        refused(tmp_path / name, "damaged or cut short", "claims 2744000000 bytes")
        assert tracemalloc.get_traced_memory()[1] < 50e6
        tracemalloc.stop()
