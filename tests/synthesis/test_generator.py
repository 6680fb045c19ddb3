"""Cases are decided by their seed, and every switch does its own thing only."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from annofree.errors import AnnofreeError, InputError
from annofree.formats import open_cohort
from annofree.synthesis import BrainMap, LabelMapBank, MadeCase, SynthesisSettings, export, export_cases, make_case
from annofree.synthesis.dataset import case_seeds
from annofree.synthesis.settings import Acquisition, Contrast, LookAlikes, Tumours
from annofree.synthesis.tissues import RIGHT, Tissue


def test_same_seed_same_case(mni_bank: LabelMapBank) -> None:
    one, two = (make_case(mni_bank, None, 11) for _ in range(2))
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.labels, two.labels)
    assert one.meta == two.meta
    assert not torch.equal(one.images, make_case(mni_bank, None, 12).images)


def test_a_case_is_well_formed(mni_bank: LabelMapBank) -> None:
    case = make_case(mni_bank, None, 2)
    assert case.images.shape == (4, 80, 96, 80)
    assert case.images.dtype == torch.float32
    assert case.labels.dtype == torch.uint8
    assert bool(torch.isfinite(case.images).all())
    assert bool((case.images >= 0).all())
    assert not bool(case.images[:, ~case.brain].any())
    assert int(case.labels.max()) <= 3


def test_tumour_free_cases_have_no_labels(mni_bank: LabelMapBank) -> None:
    case = make_case(mni_bank, SynthesisSettings(tumours=Tumours(healthy_share=1.0)), 4)
    assert not bool(case.labels.any())
    assert case.meta["wt_ml"] == 0.0


def test_crop_at_one_mm_agrees_with_the_whole_brain(mni_bank: LabelMapBank) -> None:
    own = SynthesisSettings(
        tumours=Tumours(healthy_share=0.0, kind="ring", volumes_ml=(12.0,), several=False),
        acquisition=Acquisition(mask_errors=False, missing_slab=False),
    )
    whole = make_case(mni_bank, own, 8)
    crop = make_case(mni_bank, own, 8, spacing_mm=1.0, around="lesion", size=96)
    assert crop.images.shape == (4, 96, 96, 96)
    assert crop.meta["wt_ml"] == pytest.approx(whole.meta["wt_ml"], rel=0.1)

    def centre(case: MadeCase) -> torch.Tensor:
        index = torch.nonzero(case.labels).float().mean(0)
        return index * case.spacing_mm + torch.tensor(case.origin_mm)

    assert torch.allclose(centre(whole), centre(crop), atol=0.7)


ALIKE = [(LookAlikes, name) for name in LookAlikes.model_fields]
SCAN = [(Acquisition, name) for name in Acquisition.model_fields if name not in ("mask_errors", "missing_slab")]
TISSUE = [(Contrast, "texture"), (Contrast, "drift")]


@pytest.mark.parametrize(("group", "name"), [*ALIKE, *SCAN, *TISSUE], ids=lambda v: getattr(v, "__name__", v))
def test_a_switch_changes_images_and_nothing_else(
    rich_bank: LabelMapBank, usual: dict[int, MadeCase], group: type, name: str
) -> None:
    """Somewhere among a few seeds the images change; brain and labels never do."""
    field = {LookAlikes: "look_alikes", Acquisition: "acquisition", Contrast: "contrast"}[group]
    own = SynthesisSettings(**{field: group(**{name: False})})
    changed = False
    for seed in range(1, 13):
        if seed not in usual:
            usual[seed] = make_case(rich_bank, None, seed, **CROP)
        case, other = usual[seed], make_case(rich_bank, own, seed, **CROP)
        assert torch.equal(other.labels, case.labels)
        assert torch.equal(other.brain, case.brain)
        if not torch.equal(other.images, case.images):
            changed = True
            break
    assert changed


CROP = {"spacing_mm": 2.0, "around": "lesion", "size": 32}


@pytest.fixture(scope="module")
def rich_bank(mni_bank: LabelMapBank) -> LabelMapBank:
    """The same anatomy with choroid plexus, veins and labelled lesions all over."""
    brain = mni_bank.maps[0]
    tissue = brain.tissue.copy()
    kind = tissue & (RIGHT - 1)
    every = (np.indices(tissue.shape) // 2).sum(0) % 4 == 0
    for old, new in (
        (Tissue.WHITE, Tissue.WHITE_LESION),
        (Tissue.VENTRICLE, Tissue.CHOROID),
        (Tissue.CSF, Tissue.VEIN),
    ):
        tissue[every & (kind == old)] += np.uint8(new - old)
    return LabelMapBank((BrainMap("rich", tissue, brain.depth),))


@pytest.fixture(scope="module")
def usual() -> dict[int, MadeCase]:
    """Small cases with every switch on, made when first needed."""
    return {}


def test_tumour_switches(mni_bank: LabelMapBank) -> None:
    plain = Tumours(healthy_share=0.0, kind="ring", enhancement=False, oedema=False, several=False)
    case = make_case(mni_bank, SynthesisSettings(tumours=plain), 1)
    present = set(torch.unique(case.labels).tolist())
    assert present == {0, 1}


def test_impossible_requests_are_refused(mni_bank: LabelMapBank) -> None:
    with pytest.raises(ValueError, match="spacing_mm"):
        make_case(mni_bank, None, 1, spacing_mm=1.5)
    with pytest.raises(ValueError, match="around"):
        make_case(mni_bank, None, 1, around="head")
    with pytest.raises(AnnofreeError, match="healthy_share"):
        Tumours(healthy_shore=0.5)  # type: ignore[call-arg]
    with pytest.raises(AnnofreeError, match="healthy_share"):
        Tumours(healthy_share=7)


def _digest(folder: Path) -> dict[str, str]:
    out = {}
    for file in sorted(folder.rglob("*.nii.gz")):
        out[file.name] = hashlib.sha256(np.asarray(nibabel.load(file).dataobj).tobytes()).hexdigest()
    return out


@pytest.mark.slow
def test_export_is_the_same_for_any_number_of_workers(mni_bank: LabelMapBank, tmp_path: Path) -> None:
    one = export_cases(tmp_path / "one", 2, mni_bank, seed=3)
    two = export_cases(tmp_path / "two", 2, mni_bank, seed=3, workers=2)
    assert _digest(one) == _digest(two)
    assert len(list((one / "imagesTr").iterdir())) == 8
    description = json.loads((one / "dataset.json").read_text())
    assert description["numTraining"] == 2
    with (one / "cases.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 2
    with pytest.raises(AnnofreeError, match="a finished run or other files"):
        export_cases(one, 1, mni_bank)


def test_export_as_folders(mni_bank: LabelMapBank, tmp_path: Path) -> None:
    out = export_cases(tmp_path / "made", 1, mni_bank, layout="folders")
    image = nibabel.load(out / "made_00000" / "made_00000_flair.nii.gz")
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.shape == (80, 96, 80)


def test_what_is_written_is_no_larger_than_a_brain_and_can_be_read(mni_bank: LabelMapBank, tmp_path: Path) -> None:
    out = export_cases(tmp_path / "made", 3, mni_bank, seed=2)  # of these seeds the third alone makes 2.2 litres
    cohort = open_cohort(out)
    litres = {name: float(cohort[name].foreground().sum()) * 8e-6 for name in cohort.ids}
    assert len(litres) == 3
    assert max(litres.values()) < 2.2
    with (out / "cases.csv").open() as stream:
        used = [int(row["seed"]) for row in csv.DictReader(stream)]
    asked = case_seeds(2, 3)
    assert used[0] == asked[0]  # a brain of human size stays as it was drawn
    assert used[2] > asked[2]
    assert torch.equal(make_case(mni_bank, seed=used[2]).labels, read_made(out, "made_00002"))


def read_made(out: Path, name: str) -> torch.Tensor:
    return torch.from_numpy(np.asarray(nibabel.load(out / "labelsTr" / f"{name}.nii.gz").dataobj).astype(np.uint8))


def test_label_maps_of_giants_are_refused_in_one_sentence(
    mni_bank: LabelMapBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_DRAWS", 3)
    tried = []

    def giant(seed: int) -> MadeCase:
        tried.append(seed)
        large = torch.zeros((4, 80, 96, 80))
        large[:, 5:75, 5:90, 5:75] = torch.rand(4, 70, 85, 70) + 1
        return MadeCase(large, large[0] > 0, large[0].to(torch.uint8), 2.0, (-79.0, -95.0, -79.0), {"map": "giant"})

    with pytest.raises(InputError, match=r"made from giant, what is not background fills 3\.\d litres"):
        export.of_human_size(giant, 7)
    assert tried == [7, 8, 9]
