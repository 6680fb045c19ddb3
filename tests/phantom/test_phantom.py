"""The phantom cohort: what must hold for it to be a yardstick."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from annofree.borders import Rule
from annofree.errors import InputError, OutputError
from annofree.phantom import KINDS, PhantomSubject, phantom_cohort, phantom_subject, write_cohort
from annofree.scan import Modality

SEED = 5
TUMOURS = [kind for kind in KINDS if kind != "healthy"]


@pytest.fixture(scope="module")
def subjects() -> dict[str, PhantomSubject]:
    return {kind: phantom_subject(SEED, kind=kind, spacing_mm=3.0) for kind in KINDS}


def mean(subject: PhantomSubject, sequence: Modality, mask: np.ndarray) -> float:
    return float(subject.scan.images[sequence][mask].mean())


def test_importing_the_room_loads_no_torch() -> None:
    code = "import sys, annofree.phantom; print({'torch', 'matplotlib', 'nibabel'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


@pytest.mark.parametrize("kind", KINDS)
def test_a_subject_is_a_complete_scan_with_labels_inside_its_brain(
    kind: str, subjects: dict[str, PhantomSubject]
) -> None:
    subject = subjects[kind]
    scan = subject.scan
    assert scan.sequences == (Modality.T1, Modality.T1C, Modality.T2, Modality.FLAIR)
    assert subject.labels.dtype == np.uint8
    assert subject.labels.shape == scan.shape
    brain = scan.foreground()
    assert not (subject.labels[~brain] > 0).any()
    for image in scan.images.values():
        assert np.isfinite(image).all()
        assert np.array_equal(image > 0, brain)  # skull-stripped: zero outside, never zero inside
    assert 1000 < brain.sum() * scan.voxel_ml < 2400
    volume = (subject.labels > 0).sum() * scan.voxel_ml
    assert volume == pytest.approx(subject.findings["volume_ml"], abs=0.01)
    assert subject.findings["tumour"] == (kind != "healthy") == (volume > 0)


def test_the_scan_gives_no_truth_away(subjects: dict[str, PhantomSubject]) -> None:
    for kind, subject in subjects.items():
        told = " ".join([subject.scan.id, *subject.scan.notes, *subject.scan.files.values()])
        assert kind not in told
        assert not any(np.array_equal(image, subject.labels) for image in subject.scan.images.values())


def test_the_same_seed_gives_the_same_subject_and_another_seed_another() -> None:
    first, again, other = (phantom_subject(s, spacing_mm=4.0) for s in (11, 11, 12))
    assert first.kind == again.kind
    assert first.findings == again.findings
    assert (first.report_en, first.report_zh) == (again.report_en, again.report_zh)
    assert np.array_equal(first.labels, again.labels)
    for sequence in Modality:
        assert np.array_equal(first.scan.images[sequence], again.scan.images[sequence])
    assert not np.array_equal(first.scan.images[Modality.T1], other.scan.images[Modality.T1])


@pytest.mark.parametrize(
    ("kind", "borders", "spacings"),
    [
        ("glioblastoma", "half", (3.0, 2.0)),
        ("metastases", "half", (3.0, 2.0)),
        # voxels thicker than the slices of T1C hide what its slices show
        ("glioblastoma", "visible", (2.0, 1.5)),
    ],
)
def test_a_finer_grid_shows_the_same_tumour(kind: str, borders: Rule, spacings: tuple[float, float]) -> None:
    coarse, fine = (phantom_subject(SEED, kind=kind, spacing_mm=s, borders=borders) for s in spacings)
    assert fine.findings["volume_ml"] == pytest.approx(coarse.findings["volume_ml"], rel=0.06)
    assert fine.findings["side"] == coarse.findings["side"]
    centres = [np.array([one["centre_mm"] for one in subject.findings["lesions"]]) for subject in (coarse, fine)]
    assert len(centres[0]) == len(centres[1])
    apart = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=2)
    assert (apart.min(axis=1) < 2.5).all()  # nearly equal volumes may change the order


def test_healthy_contrast_is_that_of_real_sequences() -> None:
    subject = phantom_subject(2, healthy=True, spacing_mm=2.0)
    head = subject.scan
    x, y, z = (int(v) for v in np.linalg.inv(head.affine) @ [28, -20, 32, 1] // 1 if v != 1)
    white = np.zeros(head.shape, dtype=bool)
    white[x - 1 : x + 2, y - 3 : y + 4, z - 1 : z + 2] = True
    fluid = head.images[Modality.T2] > np.percentile(head.images[Modality.T2][head.foreground()], 97)
    assert mean(subject, Modality.T1, fluid) < 0.75 * mean(subject, Modality.T1, white)
    assert mean(subject, Modality.T2, fluid) > 2.0 * mean(subject, Modality.T2, white)
    assert mean(subject, Modality.FLAIR, fluid) < 0.75 * mean(subject, Modality.FLAIR, white)


def test_only_enhancing_tumour_brightens_after_contrast(subjects: dict[str, PhantomSubject]) -> None:
    for kind in ("glioblastoma", "meningioma", "metastases"):
        subject = subjects[kind]
        rest = subject.scan.foreground() & (subject.labels == 0)
        gain = {
            name: mean(subject, Modality.T1C, mask) / mean(subject, Modality.T1, mask)
            for name, mask in (("enhancing", subject.labels == 3), ("rest", rest))
        }
        assert gain["enhancing"] > 1.25 * gain["rest"], kind


def test_kinds_span_bright_equal_and_dark_on_flair() -> None:
    contrast: dict[str, list[float]] = {}
    for kind in ("diffuse", "isointense", "hypointense"):
        for seed in range(2):
            subject = phantom_subject(seed, kind=kind, spacing_mm=4.0)
            rest = subject.scan.foreground() & (subject.labels == 0)
            level = float(np.median(subject.scan.images[Modality.FLAIR][rest]))
            contrast.setdefault(kind, []).append(mean(subject, Modality.FLAIR, subject.labels == 1) / level)
    bright, equal, dark = (np.mean(contrast[kind]) for kind in ("diffuse", "isointense", "hypointense"))
    assert bright > 1.25
    assert 0.75 < equal < 1.15
    assert dark < 0.9


def test_a_healthy_brain_has_bright_white_matter_that_is_no_tumour() -> None:
    loads = [
        phantom_subject(seed, healthy=True, spacing_mm=4.0).findings["white_matter_hyperintensity_ml"]
        for seed in range(9)
    ]
    assert max(loads) > 10
    assert min(loads) < 3


def test_the_known_side_is_where_the_voxels_are() -> None:
    for seed in range(3):
        for kind in ("cystic", "meningioma"):
            subject = phantom_subject(seed, kind=kind, spacing_mm=4.0)
            x = np.argwhere(subject.labels > 0)[:, 0] * 4.0 + subject.scan.affine[0, 3]
            side = "left" if np.median(x) < 0 else "right"
            assert subject.findings["side"] in (side, "bilateral")
            shift = subject.findings["midline_shift"]
            assert shift is None or shift["to"] != side  # a mass pushes the midline away
            assert subject.findings["ventricle_compressed"] in (None, side)


def test_both_reports_state_the_findings(subjects: dict[str, PhantomSubject]) -> None:
    zh_side = {"left": "左侧", "right": "右侧"}
    for kind in TUMOURS:
        subject = subjects[kind]
        findings = subject.findings
        for lesion in findings["lesions"]:
            if lesion["side"] != "bilateral" and lesion["lobe"] in ("frontal", "temporal", "parietal", "occipital"):
                assert f"the {lesion['side']} {lesion['lobe']} lobe" in subject.report_en
                assert zh_side[lesion["side"]] in subject.report_zh
        size = findings["size_mm"]
        ways = [" x ".join(map(str, size)) + " mm", " x ".join(f"{s / 10:.1f}" for s in size) + " cm"]
        ways.append(f"{max(size) / 10:.1f} cm")
        assert any(way in subject.report_en for way in ways)
        assert any(way.replace(" x ", "×").replace(" ", "") in subject.report_zh for way in ways)
        if findings["midline_shift"]:
            to = findings["midline_shift"]["to"]
            assert f"midline is shifted to the {to}" in subject.report_en
            assert f"向{zh_side[to][0]}移位" in subject.report_zh
    healthy = subjects["healthy"]
    assert "No mass" in healthy.report_en
    assert "未见占位" in healthy.report_zh
    assert not re.search(r"\bmass in\b|lesion is seen", healthy.report_en)


def test_places_said_to_be_clear_are_clear(subjects: dict[str, PhantomSubject]) -> None:
    for subject in subjects.values():
        assert subject.findings["negated"]
        for clear in subject.findings["negated"]:
            assert f"No abnormality in the {clear['side']} {clear['lobe']}" in subject.report_en
            for lesion in subject.findings["lesions"]:
                assert not (lesion["side"] in (clear["side"], "bilateral") and clear["lobe"] in lesion["lobes"])


def test_a_cohort_holds_every_kind_in_its_share_and_is_lazy() -> None:
    cohort = phantom_cohort(n=48, seed=3)
    kinds = [kind for _, _, kind in cohort.plan]
    assert len(cohort) == 48
    assert len(set(cohort.ids)) == 48
    assert kinds.count("healthy") == 10
    assert set(kinds) == set(KINDS)
    assert len(cohort[10:12]) == 2
    assert {kind for _, _, kind in phantom_cohort(n=5, healthy_fraction=1.0).plan} == {"healthy"}
    assert phantom_cohort(n=48, seed=4).plan != cohort.plan


def test_bad_requests_are_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match="glioblastoma"):
        phantom_subject(0, kind="glioma")
    with pytest.raises(InputError, match="healthy"):
        phantom_subject(0, kind="cystic", healthy=True)
    with pytest.raises(InputError, match="mm"):
        phantom_subject(0, spacing_mm=0.0)
    with pytest.raises(InputError, match="healthy"):
        phantom_cohort(n=3, healthy_fraction=1.2)


def test_a_written_cohort_reads_back_exactly_and_keeps_truth_apart(tmp_path: Path) -> None:
    import nibabel

    written = write_cohort(tmp_path / "cohort", n=2, seed=1, spacing_mm=4.0, healthy_fraction=0.5)
    cohort = phantom_cohort(n=2, seed=1, spacing_mm=4.0, healthy_fraction=0.5)
    findings = json.loads((written.truth / "findings.json").read_text(encoding="utf-8"))
    for subject in cohort:
        name = subject.scan.id
        flair = nibabel.load(written.scans / name / f"{name}_flair.nii.gz")
        assert np.array_equal(np.asarray(flair.dataobj), subject.scan.images[Modality.FLAIR])
        assert np.allclose(flair.affine, subject.scan.affine)
        truth = nibabel.load(written.truth / f"{name}_seg.nii.gz")
        assert np.array_equal(np.asarray(truth.dataobj), subject.labels)
        assert (written.reports / f"{name}.txt").read_text(encoding="utf-8") == subject.report_en
        assert (written.reports_zh / f"{name}.txt").read_text(encoding="utf-8") == subject.report_zh
        assert findings[name] == subject.findings
    assert not list(written.scans.rglob("*seg*"))
    with pytest.raises(OutputError, match="not empty"):
        write_cohort(tmp_path / "cohort", n=1)
