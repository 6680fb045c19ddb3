"""Brains without tumour from patients, and made tumours in real brains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from annofree.errors import InputError
from annofree.phantom import PhantomSubject, phantom_subject
from annofree.scan import Cohort, Modality
from annofree.synthesis.carrier import Carrier, carrier_of, upright
from annofree.synthesis.export import carriers_from, write_in_real_brains
from annofree.synthesis.generator import Window
from annofree.synthesis.pseudo_healthy import MOST_BRIGHT_ML, join, pseudo_healthy
from annofree.synthesis.real_brain import paint_tumour_into
from annofree.synthesis.settings import Acquisition, Anatomy, LookAlikes, SynthesisSettings, Tumours
from annofree.synthesis.tissues import Tissue

ALWAYS = SynthesisSettings(tumours=Tumours(healthy_share=0.0))
QUIET = {"acquisition": Acquisition(**dict.fromkeys(Acquisition.model_fields, False))}


@pytest.fixture(scope="module")
def patient() -> PhantomSubject:
    return phantom_subject(5, kind="glioblastoma", spacing_mm=4.0)


@pytest.fixture(scope="module")
def carrier(patient: PhantomSubject) -> Carrier:
    return pseudo_healthy(patient.scan)


def test_the_diseased_half_is_found_and_replaced(patient: PhantomSubject, carrier: Carrier) -> None:
    assert patient.findings["side"] in ("left", "right")
    assert carrier.checks["kept_right"] == float(patient.findings["side"] == "left")
    assert carrier.usable, carrier.checks
    images, brain, _ = upright(patient.scan)
    before, after = images[3], carrier.images[3].astype(np.float32)
    bright = [float((i > 1.6 * np.median(i[b])).sum()) for i, b in ((before, brain), (after, carrier.brain))]
    assert bright[1] < 0.35 * bright[0]
    assert carrier.checks["brain_ml"] == pytest.approx(patient.scan.foreground().sum() * patient.scan.voxel_ml, rel=0.1)


def test_the_carrier_is_symmetric_and_has_no_dark_seam(carrier: Carrier) -> None:
    for image in carrier.images:
        assert (np.abs(image - image[::-1]) > 0.02).mean() < 1e-3
    middle = carrier.images[0].shape[0] // 2
    white = np.isin(carrier.tissue, (Tissue.WHITE, Tissue.CORTEX))
    near = carrier.images[0][middle - 2 : middle + 2][white[middle - 2 : middle + 2]]
    assert np.median(near.astype(float)) > 0.5


def test_joining_takes_the_kept_half(carrier: Carrier) -> None:
    images = np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1) + 1.0
    brain = np.ones((16, 1, 1), bool)
    right, _ = join(images, brain, keep_right=True)
    left, _ = join(images, brain, keep_right=False)
    assert right[0, -4:, 0, 0].tolist() == [13, 14, 15, 16]
    assert right[0, :4, 0, 0].tolist() == [16, 15, 14, 13]
    assert left[0, :4, 0, 0].tolist() == [1, 2, 3, 4]


def test_tissues_are_those_of_the_phantom(carrier: Carrier) -> None:
    """White matter is bright on T1, fluid bright on T2 and dark on FLAIR, in plausible shares."""
    share = {t: float((carrier.tissue == t).sum()) / carrier.brain.sum() for t in Tissue}
    fluid = share[Tissue.CSF] + share[Tissue.VENTRICLE]
    assert 0.03 < fluid < 0.4
    assert share[Tissue.WHITE] > 0.15
    assert share[Tissue.CORTEX] > 0.15
    t1, _, t2, flair = carrier.levels
    assert t1[0] > t1[1] > t1[2]
    assert t2[2] > t2[1] > t2[0]
    assert flair[2] < flair[0]


def test_a_tumour_on_both_sides_is_not_usable(patient: PhantomSubject) -> None:
    """Twins of the same tumour left and right: no half is better, and what is left is bright."""
    scan = patient.scan
    both = {s: np.where(scan.brain | scan.brain[::-1], np.maximum(i, i[::-1]), 0) for s, i in scan.images.items()}
    dark = {s: np.where(scan.brain | scan.brain[::-1], np.minimum(i, i[::-1]), 0) for s, i in scan.images.items()}
    images = {s: both[s] if s in (Modality.FLAIR, Modality.T2) else dark[s] for s in scan.sequences}
    found = pseudo_healthy(scan.replace(images=images, brain=scan.brain | scan.brain[::-1]))
    assert not found.usable
    assert found.checks["bright_ml"] > MOST_BRIGHT_ML


def test_the_seed_decides_a_painted_case(carrier: Carrier) -> None:
    first, second = (paint_tumour_into(carrier, ALWAYS, seed=3) for _ in range(2))
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.labels, second.labels)
    assert first.images.shape == (4, 80, 96, 80)
    assert first.meta["wt_ml"] == pytest.approx(float((first.labels > 0).sum()) * 8e-3)
    assert first.meta["wt_ml"] > 0.3 * first.meta["requested_wt_ml"]
    assert not (first.labels[~first.brain] > 0).any()
    assert (first.images[:, ~first.brain] == 0).all()


def test_a_painted_cube_at_one_mm_holds_the_tumour_of_the_whole_brain(carrier: Carrier) -> None:
    own = SynthesisSettings(tumours=Tumours(healthy_share=0.0, kind="ring", volumes_ml=(12.0,), several=False))
    whole = paint_tumour_into(carrier, own, seed=5)
    cube = paint_tumour_into(carrier, own, seed=5, spacing_mm=1.0, around="lesion", size=64)
    assert cube.images.shape == (4, 64, 64, 64)
    window = Window.of(cube)
    assert window.size == (32, 32, 32)
    assert window.origin_mm == cube.origin_mm
    there = Window(window.start, window.size, 2.0).zoom((whole.labels > 0).float()[None])[0] > 0
    here = (cube.labels > 0).reshape(32, 2, 32, 2, 32, 2).float().mean((1, 3, 5)) > 0.5
    assert 2 * (here & there).sum() / (here.sum() + there.sum()) > 0.85


def test_a_painted_tumour_looks_like_one_and_the_rest_stays_as_it_was(carrier: Carrier) -> None:
    settings = SynthesisSettings(
        tumours=Tumours(healthy_share=0.0, kind="ring", mass_effect=False, several=False, volume_ml=(60.0, 120.0)),
        anatomy=Anatomy(flip=False, affine=False, warp=False),
        **QUIET,
    )
    without = settings.model_copy(update={"tumours": Tumours(healthy_share=1.0)})
    made, plain = paint_tumour_into(carrier, settings, seed=8), paint_tumour_into(carrier, without, seed=8)
    assert not plain.labels.any()
    scale = [float((m.images[3][m.brain]).median()) for m in (made, plain)]
    oedema = made.labels == 2
    assert made.images[3][oedema].median() / scale[0] > 1.1 * plain.images[3][oedema].median() / scale[1]
    rim = made.labels == 3
    assert made.images[1][rim].mean() / made.images[1][made.brain].median() > 1.1


def test_real_brains_get_healthy_hyperintensities_that_are_no_tumour(carrier: Carrier) -> None:
    """In half of the seeds white matter is brighter on FLAIR than without them, and no label says so."""
    both = [
        SynthesisSettings(
            tumours=Tumours(healthy_share=1.0), anatomy=Anatomy(affine=False, warp=False), look_alikes=look, **QUIET
        )
        for look in (LookAlikes(), LookAlikes(periventricular=False, spots=False))
    ]
    brighter = []
    for seed in range(8):
        spotted, plain = (paint_tumour_into(carrier, settings, seed=seed) for settings in both)
        assert not spotted.labels.any()
        brighter.append(float((spotted.images[3] - plain.images[3]).max()) > 0.1 * float(plain.images[3].median()))
    assert 1 <= sum(brighter) <= 7


def test_a_missing_sequence_stays_missing(patient: PhantomSubject) -> None:
    flair = patient.scan.replace(images={Modality.FLAIR: patient.scan.images[Modality.FLAIR]})
    carrier = carrier_of(flair)
    assert carrier.sequences == (Modality.FLAIR,)
    made = paint_tumour_into(carrier, ALWAYS, seed=1)
    assert not made.images[:3].any()
    assert made.images[3].any()


def test_a_carrier_survives_the_disk(carrier: Carrier, tmp_path: Path) -> None:
    carrier.save(tmp_path / "carrier.npz")
    back = Carrier.load(tmp_path / "carrier.npz")
    assert back.usable == carrier.usable
    assert back.checks == carrier.checks
    for name in ("images", "brain", "tissue", "levels"):
        assert np.array_equal(getattr(back, name), getattr(carrier, name)), name


def test_a_folder_of_real_brains_with_made_tumours(carrier: Carrier, tmp_path: Path) -> None:
    from annofree.formats import open_cohort

    out = write_in_real_brains([carrier], tmp_path / "real", n=1, seed=4, settings=ALWAYS, layout="folders")
    cohort = open_cohort(out)
    assert len(cohort) == 1
    scan = cohort[cohort.ids[0]]
    assert scan.sequences == tuple(Modality)
    assert scan.spacing_mm == pytest.approx((2.0, 2.0, 2.0))
    with pytest.raises(InputError, match="No brain can carry"):
        carriers_from(None, Cohort({}))
