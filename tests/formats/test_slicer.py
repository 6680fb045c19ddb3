"""Segmentations of 3-D Slicer: names before numbers, layers, and the box that was drawn in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annofree.errors import InputError
from annofree.evaluation.accept import accept
from annofree.evaluation.evaluate import evaluate
from annofree.formats import open_scan, open_truth
from annofree.formats.drawn import read_slicer
from annofree.formats.nifti import read_labels
from annofree.scan import Grid, canonical_grid, scoring

from .conftest import AFFINE, SHAPE, brain_image, save
from .test_bids import made

MITK = "org.mitk.multilabel.segmentation.labelgroups"
BOX = (slice(8, 24), slice(16, 36), slice(14, 30))
OEDEMA, CORE, ENHANCING = (np.zeros(SHAPE, bool) for _ in range(3))
OEDEMA[10:22, 18:34, 16:28] = True
CORE[12:18, 22:30, 18:24] = True
ENHANCING[13:16, 24:27, 19:22] = True
DISJOINT = (OEDEMA & ~CORE, CORE & ~ENHANCING, ENHANCING)


def slicer(
    path: Path,
    layers: NDArray[Any],
    segments: list[tuple[str, int, int]],
    affine: NDArray[Any],
    cut: bool = True,
    **told: str,
) -> Path:
    """Write a `.seg.nrrd` as Slicer does: (layer, X, Y, Z), segments as name, layer, value; cut to the box."""
    moved = np.array(affine)
    if cut:
        layers = layers[(slice(None), *BOX)]
        moved[:3, 3] += moved[:3, :3] @ [axis.start for axis in BOX]
    stored = layers[0] if len(layers) == 1 else layers
    lps = np.diag([-1, -1, 1, 1]) @ moved
    vectors = [f"({x:.17g},{y:.17g},{z:.17g})" for x, y, z in lps[:3].T]
    more = ["none"] if stored.ndim == 4 else []
    lines = [
        *("NRRD0004", "type: unsigned char", f"dimension: {stored.ndim}", "space: left-posterior-superior"),
        f"sizes: {' '.join(map(str, stored.shape))}",
        f"space directions: {' '.join([*more, *vectors[:3]])}",
        f"kinds: {' '.join(['list'] * len(more) + ['domain'] * 3)}",
        *("encoding: raw", f"space origin: {vectors[3]}"),
    ]
    for number, (name, layer, value) in enumerate(segments):
        said = {"ID": f"Segment_{number + 1}", "Name": name, "Layer": layer, "LabelValue": value}
        lines += [f"Segment{number}_{key}:={what}" for key, what in said.items()]
    if segments:
        lines += [f"Segmentation_ConversionParameters:={'x' * 9000}", f"Segmentation_ReferenceImageExtentOffset:={BOX}"]
    lines += [f"{key}:={value}" for key, value in told.items()]
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + stored.astype(np.uint8).tobytes(order="F"))
    return path


def one_layer(*parts: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Parts in one layer, numbered as they come."""
    layer = np.zeros((1, *SHAPE), np.uint8)
    for number, part in enumerate(parts, 1):
        layer[0][part] = number
    return layer


def regions(file: Path) -> tuple[tuple[str, ...], dict[int, int]]:
    """The regions that a truth tells apart, and the voxels of each label; each checked against where it was drawn."""
    image = file.parent / "flair.nii.gz"
    save(image, brain_image())
    scan = open_scan(image)
    truth = open_truth(file, scan.id, scan.grid)
    with scoring():
        native = scan.to_native(truth.labels)
    labels = np.unique(native)
    assert not native[~OEDEMA].any()
    return truth.regions, {int(label): int((native == label).sum()) for label in labels if label}


ALL = {1: int(DISJOINT[1].sum()), 2: int(DISJOINT[0].sum()), 3: int(DISJOINT[2].sum())}


@pytest.mark.parametrize("solid", ["Necrosis", "Tumour"])
def test_names_say_what_a_segment_is_and_the_order_of_drawing_does_not(tmp_path: Path, solid: str) -> None:
    oedema, core, enhancing = DISJOINT
    drawn = one_layer(enhancing, oedema, core)
    segments = [("Enhancing tumor", 0, 1), ("Peritumoral edema", 0, 2), (solid, 0, 3)]
    file = slicer(tmp_path / "p.seg.nrrd", drawn, segments, AFFINE)
    assert regions(file) == (("WT", "TC", "ET"), ALL)


def test_segments_that_overlap_lie_in_layers_and_the_inner_one_counts(tmp_path: Path) -> None:
    layers = np.stack([CORE, OEDEMA, ENHANCING]).astype(np.uint8)
    segments = [("TC", 0, 1), ("WT", 1, 1), ("ET", 2, 1)]
    assert regions(slicer(tmp_path / "p.seg.nrrd", layers, segments, AFFINE)) == (("WT", "TC", "ET"), ALL)


@pytest.mark.parametrize("groups", [1, 2])
def test_names_of_mitk_say_what_a_label_is_and_its_groups_are_layers(tmp_path: Path, groups: int) -> None:
    """Labels get numbers as they are added; a second group may overlap the first."""
    oedema, core, enhancing = DISJOINT
    names = ["Enhancing tumour", "Oedema", "Necrosis"]
    layers = (
        one_layer(enhancing, oedema, core) if groups == 1 else np.stack([one_layer(ENHANCING)[0], 2 * OEDEMA + CORE])
    )
    listed = [names] if groups == 1 else [names[:1], names[1:]]
    values = [[1, 2, 3]] if groups == 1 else [[1], [2, 3]]
    said = [
        {"labels": [{"name": name, "value": value} for name, value in zip(*group, strict=True)]}
        for group in zip(listed, values, strict=True)
    ]
    told = {"modality": "org.mitk.multilabel.segmentation", "org.mitk.multilabel.segmentation.version": "1"}
    file = slicer(tmp_path / "p_seg.nrrd", layers, [], AFFINE, cut=False, **told, **{MITK: json.dumps(said)})
    assert regions(file) == (("WT", "TC", "ET"), ALL)
    few = slicer(tmp_path / "r_seg.nrrd", 4 * layers, [], AFFINE, cut=False, **told, **{MITK: json.dumps(said)})
    with pytest.raises(InputError, match=r"has no name .*r_seg\.nrrd\): voxels hold 4, "):
        regions(few)  # what is drawn and has no name is not left out of the truth
    broken = slicer(tmp_path / "q_seg.nrrd", layers, [], AFFINE, cut=False, **told, **{MITK: '[{"labels": [{}]}]'})
    with pytest.raises(InputError, match=r"header is damaged .*q_seg\.nrrd"):
        regions(broken)


def test_slicers_own_names_keep_the_numbers(tmp_path: Path) -> None:
    oedema, core, enhancing = DISJOINT
    segments = [("Segment_1", 0, 1), ("Segment_2", 0, 2), ("Segment_3", 0, 3)]
    file = slicer(tmp_path / "p.seg.nrrd", one_layer(core, oedema, enhancing), segments, AFFINE, cut=False)
    assert regions(file) == (("WT", "TC", "ET"), ALL)
    wrong = [("Segment_1", 0, 1), ("Segment_2", 0, 3), ("Segment_3", 0, 2)]
    with pytest.raises(InputError, match=r"cannot be told .*Segment_1, Segment_2, Segment_3"):
        regions(slicer(tmp_path / "q.seg.nrrd", one_layer(core, oedema, enhancing), wrong, AFFINE))


@pytest.mark.parametrize(
    "names",
    [("Untitled",), ("Tumour",), ("Lesion 1", "Lesion 2"), ("Tumour", "Oedema"), ("Oedema", "Necrosis", "Tumour")],
)
def test_a_tumour_without_parts_is_the_whole_tumour_only(tmp_path: Path, names: tuple[str, ...]) -> None:
    drawn = one_layer(*DISJOINT[: len(names)])
    segments = [(name, 0, number) for number, name in enumerate(names, 1)]
    told, found = regions(slicer(tmp_path / "p.seg.nrrd", drawn, segments, AFFINE))
    assert (told, found) == (("WT",), {2: int((drawn > 0).sum())})


@pytest.mark.parametrize(
    ("oedema", "tumour"),
    [(OEDEMA & ~CORE, CORE), (OEDEMA, CORE), (OEDEMA & ~CORE, OEDEMA)],
    ids=["ring", "hull", "whole"],
)
def test_a_tumour_in_a_layer_of_its_own_is_what_it_covers(
    tmp_path: Path, oedema: NDArray[np.bool_], tumour: NDArray[np.bool_]
) -> None:
    """It is the core beside or within an oedema, and the whole where it holds the oedema; parts lie in it."""
    names, masks = ["Tumour", "Oedema", "Enhancing"], [tumour, oedema, ENHANCING]
    if tumour is OEDEMA:
        names, masks = [*names, "Necrosis"], [*masks, CORE & ~ENHANCING]
    segments = [(name, layer, 1) for layer, name in enumerate(names)]
    file = slicer(tmp_path / "p.seg.nrrd", np.stack(masks).astype(np.uint8), segments, AFFINE)
    assert regions(file) == (("WT", "TC", "ET"), ALL)


def test_a_tumour_that_covers_half_of_the_oedema_is_asked_about(tmp_path: Path) -> None:
    tumour = OEDEMA.copy()
    tumour[:16] = False
    tumour[22:24, 18:34, 16:28] = True
    layers = np.stack([tumour, OEDEMA & ~CORE, ENHANCING]).astype(np.uint8)
    segments = [("Tumour", 0, 1), ("Oedema", 1, 1), ("Enhancing", 2, 1)]
    with pytest.raises(InputError, match=r"whole or its core cannot be told.*covers \d+ % of the oedema"):
        regions(slicer(tmp_path / "p.seg.nrrd", layers, segments, AFFINE))


def test_a_necrosis_within_an_enhancing_tumour_that_was_drawn_as_a_whole_counts(tmp_path: Path) -> None:
    layers = np.stack([ENHANCING, OEDEMA, CORE]).astype(np.uint8)
    segments = [("Necrosis", 0, 1), ("Oedema", 1, 1), ("Enhancing", 2, 1)]
    whole = {1: ALL[3], 2: ALL[2], 3: ALL[1]}
    assert regions(slicer(tmp_path / "p.seg.nrrd", layers, segments, AFFINE)) == (("WT", "TC", "ET"), whole)


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import SimpleITK

    file = slicer(
        tmp_path / "p.seg.nrrd", np.stack([CORE, OEDEMA]).astype(np.uint8), [("TC", 0, 1), ("WT", 1, 1)], AFFINE
    )
    reads: list[int] = []
    own = SimpleITK.ImageFileReader.Execute
    monkeypatch.setattr(SimpleITK.ImageFileReader, "Execute", lambda reader: reads.append(1) or own(reader))
    assert read_slicer(file) is not None
    assert len(reads) == 1


@pytest.mark.parametrize("labels", ["msd", "ped2024"])
def test_a_label_set_does_not_change_what_names_say(tmp_path: Path, labels: str) -> None:
    oedema, core, enhancing = DISJOINT
    segments = [("Oedema", 0, 1), ("Necrosis", 0, 2), ("Enhancing", 0, 3)]
    file = slicer(tmp_path / "p.seg.nrrd", one_layer(oedema, core, enhancing), segments, AFFINE)
    truth = open_truth(file, "BraTS-PED-1", canonical_grid(Grid(SHAPE, AFFINE)), labels=labels)
    with scoring():
        assert [int((truth.labels == label).sum()) for label in (1, 2, 3)] == [ALL[1], ALL[2], ALL[3]]
    assert "as they are named" in truth.convention


def test_what_cannot_be_told_is_refused(tmp_path: Path) -> None:
    oedema, core, _ = DISJOINT
    segments = [("Oedema", 0, 1), ("Putamen", 0, 2)]
    with pytest.raises(InputError, match=r"What the segments .* Oedema, Putamen.*Name the segments necrosis, oedema"):
        regions(slicer(tmp_path / "p.seg.nrrd", one_layer(oedema, core), segments, AFFINE))
    file = slicer(tmp_path / "p.seg.nrrd", one_layer(oedema), [("Tumour", 0, 1)], AFFINE)
    with pytest.raises(InputError, match=r"reaches beyond the scan"):
        open_truth(file, "p", Grid((20, 48, 42), np.array([[4.5, 0, 0, -85.5], [0, 4.5, 0, -103.5], *AFFINE[2:]])))
    turned = np.array([[4.5, 0, 0, -85.5], [0, 5, 0, -103.5], *AFFINE[2:]])
    with pytest.raises(InputError, match=r"lies on another grid than the scan"):
        open_truth(file, "p", Grid(SHAPE, turned))


def test_a_segmentation_in_which_nothing_is_drawn_is_no_tumour(tmp_path: Path) -> None:
    """Slicer saves it as a single voxel, whose place means nothing."""
    file = slicer(tmp_path / "p.seg.nrrd", np.zeros((1, 1, 1, 1)), [("Tumour", 0, 1)], np.eye(4), cut=False)
    assert regions(file) == (("WT", "TC", "ET"), {})


def test_a_mask_corrected_in_slicer_comes_back(tmp_path: Path) -> None:
    answer = made("sub-01_ses-pre")
    answer.save(tmp_path / "out")
    (original,) = (tmp_path / "out").rglob("*_dseg.nii.gz")
    before, grid = read_labels(original)
    (tmp_path / "back").mkdir()
    drawn = one_layer(before == 3, before == 2, before == 1)
    drawn[0, 12, 22, 21] = 1
    name = original.name.replace(".nii.gz", ".seg.nrrd")
    segments = [("enhancing", 0, 1), ("oedema", 0, 2), ("core", 0, 3)]
    slicer(tmp_path / "back" / name, drawn, segments, grid.affine)
    rows = {row["region"]: row for row in accept(tmp_path / "back", tmp_path / "out")}
    assert rows["ET"]["after_ml"] == pytest.approx(2 * rows["ET"]["before_ml"], abs=1e-3)
    (target,) = (tmp_path / "out").rglob("*Corrected_dseg.nii.gz")
    expected = before.copy()
    expected[12, 22, 21] = 3
    assert np.array_equal(read_labels(target)[0], expected)
    slicer(tmp_path / "back" / name, drawn > 0, [("tumour", 0, 1)], grid.affine)
    with pytest.raises(InputError, match=r"it holds 255; known are .*as the segments' names"):
        accept(tmp_path / "back", tmp_path / "out", overwrite=True)
    (tmp_path / "back" / name).unlink()
    mask = name.replace("_desc-test_dseg", "_label-lesion_desc-test_mask")
    slicer(tmp_path / "back" / mask, drawn > 0, [("tumour", 0, 1)], grid.affine)
    (row,) = accept(tmp_path / "back", tmp_path / "out")
    assert (row["region"], row["dice"]) == ("WT", 1)


def test_a_brain_mask_drawn_in_slicer_is_used(tmp_path: Path) -> None:
    image = save(tmp_path / "flair.nii.gz", brain_image())
    brain = brain_image() > 0
    layers = np.stack([brain, OEDEMA]).astype(np.uint8)
    mask = slicer(tmp_path / "mask.seg.nrrd", layers, [("Brain", 0, 1), ("Eye", 1, 1)], AFFINE, cut=False)
    scan = open_scan(image, brain_mask=mask)
    assert np.array_equal(scan.to_native(scan.brain), brain)


def test_a_folder_of_segmentations_is_scored(tmp_path: Path) -> None:
    made("p").save(tmp_path / "out")
    (original,) = (tmp_path / "out").rglob("*_dseg.nii.gz")
    stored, grid = read_labels(original)
    (tmp_path / "truth").mkdir()
    segments = [("ET", 0, 1), ("ED", 0, 2), ("NCR", 0, 3)]
    slicer(tmp_path / "truth" / "p.seg.nrrd", one_layer(stored == 3, stored == 2, stored == 1), segments, grid.affine)
    scores = evaluate(tmp_path / "out", tmp_path / "truth")
    assert [scores.cases[0].value("dice", region) for region in ("WT", "TC", "ET")] == [1, 1, 1]
