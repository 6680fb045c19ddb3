"""Both stages of synthtumour: only what a network says again and again may teach the next one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from annofree import methods
from annofree.adapt import adapt
from annofree.errors import InputError, OutputError
from annofree.inference.torch_network import TorchNetwork
from annofree.methods.synthtumour import SynthTumour, labelling, stages
from annofree.methods.synthtumour.cases import folder_name, read_case, read_scan, write_case
from annofree.methods.synthtumour.coarse import Coarse, coarse_of
from annofree.methods.synthtumour.pseudo_labels import PseudoLabelSettings, assess_quality, near_tumour
from annofree.methods.synthtumour.senior import HeldCases
from annofree.methods.synthtumour.validation import MadeValidation, Together, passes
from annofree.networks import ThinUNetSettings, build
from annofree.phantom import phantom_subject
from annofree.pipeline import fit
from annofree.refine import MirrorFilter
from annofree.scan import Cohort, Modality, Scan
from annofree.synthesis.mix import MixSettings
from annofree.training import loop

SETTINGS = PseudoLabelSettings()
SHAPE = (48, 48, 48)


def ball(centre: tuple[int, int, int], radius: float) -> np.ndarray:
    axes = np.indices(SHAPE)
    return sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) <= radius**2


def flat_scan(**images: np.ndarray) -> Coarse:
    """A block of brain, 2 mm, noise on every sequence."""
    rng = np.random.default_rng(0)
    brain = np.zeros(SHAPE, bool)
    brain[4:-4, 4:-4, 4:-4] = True
    made = {s: ((100 + rng.normal(0, 5, SHAPE)) * brain).astype(np.float32) for s in Modality}
    made |= {Modality[name]: image for name, image in images.items()}
    return coarse_of(Scan("flat", made, np.diag([2.0, 2.0, 2.0, 1.0]), brain=brain), 2.0)


def views(*masks: np.ndarray, high: float = 0.97, low: float = 0.02) -> np.ndarray:
    whole = np.where(np.stack(masks), high, low).astype(np.float32)
    return np.stack([whole, np.full_like(whole, 0.01), np.full_like(whole, 0.01)], axis=1)


def test_views_that_agree_give_a_sure_middle_an_open_shell_and_a_sure_background() -> None:
    tumour = ball((20, 24, 24), 9)
    packed, assessment = assess_quality(views(*[tumour] * 6), flat_scan(), (), SETTINGS)
    assert assessment.kept, assessment.why
    labels, open_ = packed & 3, (packed & 4) > 0
    assert (labels[ball((20, 24, 24), 7)] == 2).all()
    assert not open_[ball((20, 24, 24), 7)].any()
    assert open_[tumour & ~ball((20, 24, 24), 8)].mean() > 0.9  # 2 mm inside the border
    near = ball((20, 24, 24), 10) & ~tumour
    assert open_[near].all()  # 4 mm outside
    assert not open_[~ball((20, 24, 24), 13)].any()
    assert not labels[~tumour].any()


def test_brain_that_looks_like_the_tumour_beside_it_is_left_open() -> None:
    tumour, rest = ball((20, 24, 24), 8), ball((28, 24, 24), 9)
    noise = np.random.default_rng(1).normal(0, 8, SHAPE)
    flair = (np.where(tumour | rest, 200.0, 100.0) + noise).astype(np.float32)
    coarse = flat_scan(FLAIR=flair)
    found = views(*[tumour] * 4)
    missed = rest & ~ball((20, 24, 24), 11) & ball((20, 24, 24), 12.5)
    assert ((assess_quality(found, coarse, (), SETTINGS)[0][missed] & 4) > 0).mean() > 0.6
    off = SETTINGS.model_copy(update={"alike_mm": 0.0})
    assert not (assess_quality(found, coarse, (), off)[0][missed] & 4).any()


@pytest.mark.parametrize(
    ("masks", "high", "why"),
    [
        ([ball((20, 24, 24), 9)] * 3 + [ball((20, 24, 24), 14)] * 2, 0.97, "views disagree"),
        ([ball((20, 24, 24), 3)] * 4, 0.97, "too small"),
        (
            [ball((14, 14, 14), 5) | ball((14, 34, 14), 5) | ball((34, 14, 14), 5) | ball((34, 34, 34), 5)] * 4,
            0.97,
            "sca",
        ),
        ([ball((20, 24, 24), 9)] * 4, 0.72, "not confident"),
        ([ball((24, 24, 24), 21)] * 4, 0.97, "too large"),
        ([ball((24, 24, 24), 0) & False] * 4, 0.97, "no sure tumour"),
    ],
)
def test_doubtful_patients_are_left_out_and_the_reason_is_told(masks: list[np.ndarray], high: float, why: str) -> None:
    _, assessment = assess_quality(views(*masks, high=high), flat_scan(), (), SETTINGS)
    assert not assessment.kept
    assert why in assessment.why


def test_what_the_rules_drop_is_left_open_and_not_called_healthy() -> None:
    tumour, twins = ball((14, 34, 24), 7), ball((14, 14, 24), 4) | ball((33, 14, 24), 4)
    packed, assessment = assess_quality(views(*[tumour | twins] * 4), flat_scan(), (MirrorFilter(),), SETTINGS)
    assert assessment.parts == 1
    assert not (packed[twins] & 3).any()
    assert (packed[twins] & 4).all()


def test_the_published_form_takes_the_answer_as_it_is() -> None:
    tumour = ball((20, 24, 24), 2)
    packed, assessment = assess_quality(views(tumour), flat_scan(), (MirrorFilter(),), PseudoLabelSettings.published())
    assert assessment.kept
    assert not (packed >> 2).any()


def test_doubts_far_from_the_tumour_stay_with_the_patient() -> None:
    packed = np.where(ball((20, 24, 24), 6), 2, 0).astype(np.uint8)
    packed[ball((20, 24, 24), 8) & (packed == 0)] = 4
    packed[ball((40, 40, 40), 3)] = 4
    near = near_tumour(packed, (2.0, 2.0, 2.0), 12.0)
    assert not near[ball((40, 40, 40), 3)].any()
    assert np.array_equal(near[ball((20, 24, 24), 8)], packed[ball((20, 24, 24), 8)])


def test_a_senior_that_calls_more_in_healthy_people_is_not_taken() -> None:
    fine = {"score": 0.6}
    worse = passes([0.0, 2.0], [3.0, 1.0], fine, fine)
    assert not worse["taken"]
    assert "2.0 ml in a healthy brain, the junior 1.0 ml" in worse["why"]
    assert passes([0.0, 2.0], [0.0, 1.9], fine, fine)["taken"]
    assert not passes([0.0, 2.0], [0.0, 0.0], fine, {"score": 0.2})["taken"]  # one that calls nothing at all


def test_a_case_on_disk_comes_back_as_it_was(tmp_path: Path) -> None:
    coarse = flat_scan()
    packed = np.where(ball((20, 24, 24), 6), 3, 28).astype(np.uint8)
    write_case(tmp_path / "p", coarse.scan, packed, {"id": "p"})
    images, brain, labels = read_case(tmp_path / "p")
    assert np.array_equal(images.numpy(), coarse.images)
    assert np.array_equal(brain.numpy(), coarse.brain)
    assert np.array_equal(labels.numpy(), packed)
    assert folder_name("a/b c") != folder_name("a_b_c")
    assert folder_name("M\udcfcller") != folder_name("M\udcf6ller")  # names in an old alphabet


@pytest.fixture(scope="module")
def people() -> tuple[Cohort, Cohort]:
    healthy = Cohort.of(phantom_subject(seed=s, healthy=True, spacing_mm=4.0).scan for s in (1, 2))
    patients = [phantom_subject(seed=s, kind="glioblastoma", spacing_mm=4.0).scan for s in (3, 4)]
    broken = Scan("slab", {s: i[:, :, :3] for s, i in patients[0].images.items()}, patients[0].affine)
    return healthy, Cohort.of([*patients, broken])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A fit in seconds: the junior's answer is where FLAIR is bright, and no brain is made: a patient validates."""
    looked: list[str] = []

    def predict_views(networks: object, coarse: Coarse, rng: object, settings: PseudoLabelSettings) -> np.ndarray:
        looked.append(coarse.scan.id)
        flair, brain = coarse.scan.images[Modality.FLAIR], coarse.brain
        middle = np.median(flair[brain])
        spread = 1.4826 * np.median(np.abs(flair[brain] - middle))
        return views(*[(flair > middle + 2.0 * spread) & brain] * 3)

    class Loose(PseudoLabelSettings):
        least_main: float = 0.1
        most_parts: int = 99
        most_share: float = 1.0

    class Stretched(MixSettings):
        align: Literal["mni", "world", "stretch"] = "stretch"

    def sources(method: object, material: stages.Material, spacing_mm: float, work: Path) -> tuple[object, dict]:
        images, brain, packed = read_case(material.real[0])
        held = {"pseudo-labelled": [(images, brain, packed)], "mixed": [read_case(f) for f in material.mixed]}
        return HeldCases([(images, brain, packed & 3)]), {name: HeldCases(c) for name, c in held.items() if c}

    monkeypatch.setattr(labelling, "predict_views", predict_views)
    monkeypatch.setattr(stages, "PseudoLabelSettings", Loose)
    monkeypatch.setattr(stages, "MixSettings", Stretched)
    monkeypatch.setattr(stages, "_sources", sources)
    monkeypatch.setattr(stages, "VALIDATION_CASES", 1)
    monkeypatch.setattr(loop, "loader", lambda stream, *_, **__: iter(stream))
    return looked


@pytest.fixture(scope="module")
def junior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    module = build(ThinUNetSettings(full=4, widths=(4, 8), deep_supervision=1)).eval()
    method = SynthTumour().replace(networks=[(TorchNetwork(module), {"spacing_mm": 4.0})])
    return method.save(tmp_path_factory.mktemp("junior") / "model")


def test_both_stages_run_stop_and_go_on(
    people: tuple[Cohort, Cohort], quick: list[str], junior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy, patients = people
    options = {"junior": str(junior), "senior_steps": 2, "mixed": 2, "quality": "fast"}
    method = SynthTumour(**options)

    from annofree.methods.synthtumour import senior

    real = senior.fit_senior

    def stopped(*args: object, **keywords: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(senior, "fit_senior", stopped)
    with pytest.raises(KeyboardInterrupt):
        method.fit(healthy=healthy, patients=patients, workspace=tmp_path)
    assert sorted(quick) == sorted(patients.ids[:2])
    made = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nii.gz")}
    assert any("mixed" in p.parts for p in made)

    monkeypatch.setattr(senior, "fit_senior", real)
    assert method.networks is None  # a fit changes nothing, it gives a new method
    method = method.fit(healthy=healthy, patients=patients, workspace=tmp_path)
    assert len(quick) == 2  # nobody was looked at again
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nii.gz")} == made

    stage = method.card["second stage"]
    assert stage["patients"] == {"given": 3, "kept": 2, "left out": {"unusable scan": 1}}
    assert stage["senior"]["taken"] == json.loads((tmp_path / "gate.json").read_text())["taken"]
    assert {"cases.csv", "sheet.png"} <= {p.name for p in (tmp_path / "pseudo_labels").iterdir()}
    assert (tmp_path / "senior" / "best" / "model.safetensors").is_file()
    assert set(stage["healthy scans that taught"]).isdisjoint(stage["healthy scans that checked"])
    assert method.tier == "T0"
    method.save(tmp_path)
    assert methods.load(tmp_path).segment(patients[patients.ids[0]]).labels.shape

    other = SynthTumour(**{**options, "seed": 1})
    with pytest.raises(OutputError, match="unfinished fit of other scans"):
        other.fit(healthy=healthy, patients=patients, workspace=tmp_path)


def test_a_refused_senior_leaves_the_junior_in_place(
    people: tuple[Cohort, Cohort], quick: list[str], junior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = {"taken": False, "why": "it calls 9.0 ml in a healthy brain, the junior 1.0 ml"}
    other = TorchNetwork(build(ThinUNetSettings())), {}
    monkeypatch.setattr(stages, "_senior", lambda method, *_: (method.replace(networks=[other]), verdict))
    method = SynthTumour(junior=str(junior), mixed=1, quality="fast")
    method = method.fit(healthy=people[0], patients=people[1], workspace=tmp_path)
    assert sum(p.numel() for p in method.networks[0][0].module().parameters()) < 50_000
    assert method.card["second stage"]["senior"] == verdict


def test_the_published_preset_runs_both_stages_on_flair_alone(
    people: tuple[Cohort, Cohort], quick: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annofree.methods.synthtumour import junior as first
    from annofree.methods.synthtumour import published_junior

    small = ThinUNetSettings(full=4, widths=(4, 8), deep_supervision=1)
    monkeypatch.setattr(published_junior, "ThinUNetSettings", lambda: small)

    real = published_junior.shifted_validation
    monkeypatch.setattr(published_junior, "shifted_validation", lambda hosts, spacing_mm: real(hosts, spacing_mm, 1))
    monkeypatch.setattr(first, "PUBLISHED_SPACING_MM", 4.0)
    method = SynthTumour(preset="published", steps=2, quality="fast", mixed=2)
    method = method.fit(healthy=people[0], patients=people[1].subset(people[1].ids[:2]), workspace=tmp_path)
    assert method.card["second stage"]["senior"]["taken"]
    assert method.refiners == {"WT": ()}
    folders = sorted((tmp_path / "mixed").glob("0*"))
    assert len(folders) == 1  # a healthy scan is used once, and one of two teaches
    scan, packed = read_scan(folders[0])
    assert scan.sequences == (Modality.FLAIR,)
    assert not (packed >> 2).any()
    result = method.segment(people[1][people[1].ids[0]])
    assert result.regions == ("WT",)
    with pytest.raises(InputError, match="preset 'published'"):
        SynthTumour(preset="published", junior="shipped").fit(healthy=people[0])


def test_one_healthy_scan_is_refused_with_a_sentence(people: tuple[Cohort, Cohort]) -> None:
    with pytest.raises(InputError, match="at least two healthy scans"):
        SynthTumour().fit(healthy=people[0].subset(people[0].ids[:1]), patients=people[1])
    with pytest.raises(InputError, match="makes tumours in healthy scans"):
        SynthTumour(preset="published").check_fit(None, people[1])


def test_a_model_that_got_worse_by_adapting_is_not_written(
    people: tuple[Cohort, Cohort], quick: list[str], junior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse = {"score": 0.5}, {"score": 0.1}
    monkeypatch.setattr(stages, "passes", lambda *_: passes([], [], *worse))
    with pytest.raises(InputError, match="not taken") as refused:
        adapt(junior, out=tmp_path / "worse", patients=people[1].subset(people[1].ids[:1]), steps=1)
    assert "0.10 on made cases, the junior 0.50" in str(refused.value)
    assert not (tmp_path / "worse" / "config.yaml").exists()


def test_only_the_default_s_own_kind_is_adapted(people: tuple[Cohort, Cohort], tmp_path: Path) -> None:
    methods.create("intensity").save(tmp_path / "other")
    with pytest.raises(InputError, match="A model of 'intensity' cannot be adapted"):
        adapt(tmp_path / "other", out=tmp_path / "new", patients=people[1])
    assert not (tmp_path / "new").exists()


def test_of_two_networks_the_first_is_adapted_and_their_mean_is_judged(
    people: tuple[Cohort, Cohort], quick: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    modules = [build(ThinUNetSettings(full=4, widths=(4, 8), deep_supervision=1)).eval() for _ in range(2)]
    two = SynthTumour().replace(networks=[(TorchNetwork(m), {"spacing_mm": 4.0}) for m in modules])
    judged: list[torch.nn.Module] = []

    def numbers(_: MadeValidation, network: torch.nn.Module) -> dict[str, float]:
        judged.append(network)
        return {"score": 0.5}

    monkeypatch.setattr(MadeValidation, "__call__", numbers)
    monkeypatch.setattr(stages, "passes", lambda *_: passes([], [], {"score": 0.5}, {"score": 0.5}))
    adapt(two.save(tmp_path / "two"), out=tmp_path / "new", patients=people[1], steps=1)
    before, after = (one.networks for one in judged[-2:])
    loaded = methods.load(tmp_path / "new").networks
    assert len(loaded) == len(before) == len(after) == 2
    weights = [network.module().state_dict() for network, _ in loaded]
    old = [{key: value.half().float() for key, value in module.state_dict().items()} for module in modules]
    assert all(torch.equal(weights[1][key], value) for key, value in old[1].items())
    assert not all(torch.equal(weights[0][key], value) for key, value in old[0].items())


def test_networks_together_answer_with_their_mean_probability() -> None:
    torch.manual_seed(0)
    pair = [build(ThinUNetSettings(full=4, widths=(4, 8), deep_supervision=1)).eval() for _ in range(2)]
    x = torch.randn(1, 15, 16, 16, 16)
    first, second = (found[0] if isinstance(found, list | tuple) else found for found in (n(x) for n in pair))
    expected = (first.sigmoid() + second.sigmoid()) / 2
    assert torch.allclose(Together(pair)(x).sigmoid(), expected, atol=1e-5)


@pytest.mark.parametrize("with_healthy", [True, False])
def test_a_model_adapts_to_patients_and_says_what_changed(
    people: tuple[Cohort, Cohort],
    quick: list[str],
    junior: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    with_healthy: bool,
) -> None:
    healthy, patients = people
    patients = patients.subset(patients.ids[:2])
    given = {"patients": patients, "healthy": healthy if with_healthy else None, "steps": 2}
    better = {"score": 0.5, "dice_WT": 0.6}, {"score": 0.7, "dice_WT": 0.65}
    monkeypatch.setattr(stages, "passes", lambda *_: passes([], [], *better))
    adaptation = adapt(junior, out=tmp_path / "better", **given)
    assert adaptation.lines() == [
        "score on held-out made cases: 0.500 before, 0.700 now",
        "whole tumour there, four sequences: 0.600 before, 0.650 now",
    ]
    rows = [line.split("\t") for line in adaptation.changes.read_text().splitlines()]
    assert rows[0] == ["scan_id", "junior_ml", "senior_ml", "agreement_dice"]
    assert [row[0] for row in rows[1:]] == list(patients.ids)
    assert all(0.0 <= float(row[3]) <= 1.0 for row in rows[1:])
    assert methods.load(tmp_path / "better").tier == "T0"


def test_a_junior_learns_in_half_of_the_healthy_brains_and_is_calibrated_on_the_others(
    people: tuple[Cohort, Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annofree.methods.synthtumour import junior as first

    seen: dict[str, list[str]] = {}

    def fit_made(*_: object, carriers: list[Path], check: Cohort) -> tuple[tuple[TorchNetwork, dict], dict]:
        seen["teach"], seen["check"] = [file.name for file in carriers], list(check.ids)
        module = build(ThinUNetSettings(full=4, widths=(4, 8), deep_supervision=1)).eval()
        return (TorchNetwork(module), {"spacing_mm": 4.0}), {}

    monkeypatch.setattr(first, "fit_made", fit_made)
    monkeypatch.setattr(first, "bank_of", lambda *_: None)
    method = SynthTumour(quality="fast").fit(healthy=people[0], workspace=tmp_path)
    assert len(seen["teach"]) == len(people[0].ids) // 2
    assert not any(scan_id in name for name in seen["teach"] for scan_id in seen["check"])
    assert method.card["healthy"] == seen["check"]


@pytest.mark.parametrize("wrong", [{"junior": "no-such-model"}, {"plan": "no-such-plan.json"}])
def test_a_junior_or_plan_that_is_not_there_is_told_before_the_folder_is_begun(
    tmp_path: Path, wrong: dict[str, str]
) -> None:
    patients = Cohort({"p": lambda: phantom_subject(1, spacing_mm=4.0)[0]})
    with pytest.raises(InputError, match="no-such"):
        fit("synthtumour", out=tmp_path / "model", patients=patients, settings=wrong)
    assert not (tmp_path / "model" / "training").exists(), "it would stand in the way of the corrected command"
