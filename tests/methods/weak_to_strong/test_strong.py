"""The strong stage: what it sees, what it learns from, which tier that is, and what it says when something is wrong."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.inferers.utils import sliding_window_inference

from annofree import methods
from annofree.errors import AnnofreeError, InputError, LeakError, OutputError, SettingsError
from annofree.formats import open_cohort
from annofree.inference.torch_network import TorchNetwork
from annofree.methods.weak_to_strong import WeakToStrong, lessons, unetr
from annofree.methods.weak_to_strong import tune as tuner
from annofree.methods.weak_to_strong.lessons import cut_sentences, split_patients
from annofree.methods.weak_to_strong.otsu import tumour_mask
from annofree.methods.weak_to_strong.predict import probabilities
from annofree.methods.weak_to_strong.steps import run_step
from annofree.methods.weak_to_strong.strong import (
    HiddenBlocks,
    VolumeScores,
    fill_in_loss,
    pretrain,
    score_volumes,
    smoothed_dice,
    start_from,
)
from annofree.methods.weak_to_strong.student import StudentSettings, framed, student_mask, tumour_masks
from annofree.methods.weak_to_strong.unetr import SIZES, Size, UNETRSettings
from annofree.methods.weak_to_strong.volumes import (
    MadeWindows,
    Volume,
    VolumeSampler,
    cut_share,
    made_volume,
    random_start,
    volume_of,
)
from annofree.networks import build
from annofree.phantom import PhantomSubject, phantom_subject
from annofree.scan import Cohort, Grid, Modality, learning
from annofree.training.losses import bce_dice

TINY = SIZES["small"].model_copy(
    update={
        "network": UNETRSettings(window=(16, 16, 16), feature_size=2, hidden_size=8, mlp_dim=8, num_heads=2),
        "spacing_mm": 12.0,
        "ema": 0.0,
    }
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Size:
    monkeypatch.setitem(unetr.SIZES, "small", TINY)
    return TINY


@pytest.fixture
def tiny_npy(monkeypatch: pytest.MonkeyPatch) -> Size:
    """For `.npy` sets, which carry no geometry and are taken as 1 mm."""
    size = TINY.model_copy(update={"spacing_mm": 2.0})
    monkeypatch.setitem(unetr.SIZES, "small", size)
    return size


@pytest.fixture(scope="module")
def subjects() -> list[PhantomSubject]:
    return [phantom_subject(seed, kind="diffuse", spacing_mm=6.0) for seed in range(4)]


@pytest.fixture(scope="module")
def npy(tmp_path_factory: pytest.TempPathFactory, subjects: list[PhantomSubject]) -> Path:
    """The layout of the published set: one-hot masks, train/val/test folders."""
    root = tmp_path_factory.mktemp("npy")
    for subject, part in zip(subjects, ("train", "train", "val", "test"), strict=True):
        for name in ("images", "masks"):
            (root / part / name).mkdir(parents=True, exist_ok=True)
        image = np.stack([subject.scan.images[s] for s in Modality], axis=-1)
        np.save(root / part / "images" / f"image_{subject.scan.id[-1]}.npy", image)
        mask = np.eye(4, dtype=np.uint8)[subject.labels]
        np.save(root / part / "masks" / f"mask_{subject.scan.id[-1]}.npy", mask)
    return root


def volume(shape: tuple[int, int, int] = (24, 24, 24), box: slice = slice(4, 20)) -> Volume:
    target = torch.zeros(shape, dtype=torch.bool)
    target[box, 8:12, 8:12] = True
    return Volume(
        "v", torch.rand(4, *shape).half(), torch.ones(shape, dtype=torch.bool), target, Grid(shape, np.eye(4))
    )


def test_the_published_network_has_the_published_number_of_weights() -> None:
    published = build(UNETRSettings.published())
    assert sum(weight.numel() for weight in published.parameters()) == 16_802_833
    small = build(SIZES["small"].network)
    assert sum(weight.numel() for weight in small.parameters()) <= 4_000_000


def test_the_loss_is_what_it_says_on_numbers_by_hand() -> None:
    logits = torch.tensor([0.0, 0.0, 2.0, -1.0]).view(1, 1, 4)
    target = torch.tensor([1.0, 0.0, 1.0, 0.0]).view(1, 1, 4)
    p = [0.5, 0.5, 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(1.0))]
    entropy = -(np.log(p[0]) + np.log(1 - p[1]) + np.log(p[2]) + np.log(1 - p[3])) / 4
    dice = (2 * (p[0] + p[2]) + 1e-5) / (sum(p) + 2 + 1e-5)
    for weight in (0.0, 0.3, 1.0):
        expected = weight * entropy + (1 - weight) * (1 - dice)
        assert float(bce_dice(logits, target, weight)) == pytest.approx(expected, abs=1e-6)


def test_all_background_scores_what_the_published_check_printed() -> None:
    truth = torch.zeros(128, 128, 128, dtype=torch.bool)
    truth[:, :, :8] = True  # 131,072 voxels
    empty = torch.zeros_like(truth)
    assert smoothed_dice(empty, truth) == pytest.approx(7.63e-12, rel=1e-3)
    assert smoothed_dice(empty, empty) == 1.0
    scores = VolumeScores.of([(truth, truth), (empty, empty)])
    assert scores.dice == 1.0
    assert scores.background < 1e-11  # the tumour-free volume is not averaged in
    assert "all background: 7.6e-12" in str(scores)


def test_windows_hold_the_brain_or_lie_in_it() -> None:
    brain = torch.zeros(40, 20, 20, dtype=torch.bool)
    brain[2:38, 6:16, 4:18] = True
    target = torch.zeros_like(brain)
    target[30:33, 8:10, 8:10] = True
    rng = np.random.default_rng(0)
    starts = np.array([random_start(brain, target, (16, 16, 16), rng) for _ in range(200)])
    assert starts[:, 0].min() >= 2
    assert starts[:, 0].max() <= 38 - 16  # inside a brain that is longer than the window
    assert starts[:, 1].min() >= 16 - 16
    assert starts[:, 1].max() <= 6  # round a brain that is shorter
    holds = (starts[:, 0] <= 32) & (starts[:, 0] + 16 > 30)
    assert holds.mean() > 0.5


def test_every_epoch_sees_every_volume_once_and_the_seed_decides() -> None:
    volumes = [volume() for _ in range(5)]
    sampler = VolumeSampler(volumes, TINY, batch=2, seed=1)
    order = [np.random.default_rng([1, 1, epoch]).permutation(5).tolist() for epoch in (0, 1)]
    assert order[0] != order[1]
    one, two = sampler(3, 1), VolumeSampler(volumes, TINY, batch=2, seed=1)(3, 1)
    assert torch.equal(one["x"], two["x"])
    assert one["x"].shape == (4, 16, 16, 16)
    assert one["target"].shape == (1, 16, 16, 16)


def test_made_cases_are_used_again_and_only_the_newest_are_kept() -> None:
    asked: list[int] = []

    def make(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        asked.append(seed)
        brain = torch.ones(40, 40, 40, dtype=torch.bool)
        return torch.rand(4, 40, 40, 40) + seed, brain, brain * 2

    windows = MadeWindows(partial(made_volume, make, 4.0), TINY, batch=2, seed=0, kept=2)
    drawn = [windows(step, step % 2) for step in range(64)]
    assert len(asked) < 16
    assert len(windows._cases._memory) <= 4
    fresh = MadeWindows(partial(made_volume, make, 4.0), TINY, batch=2, seed=0, kept=2)
    assert torch.equal(fresh(40, 0)["target"], drawn[40]["target"])  # a resumed run goes on alike


def test_a_crop_that_cuts_a_tumour_is_reported_with_how_much() -> None:
    cutting = TINY.model_copy(update={"crop": "centre"})
    whole, cut = volume(box=slice(6, 18)), volume(box=slice(0, 20))
    assert cut_share(whole, (16, 16, 16)) == 0.0
    assert cut_share(cut, (16, 16, 16)) == pytest.approx(4 / 20)
    sentences = cut_sentences([whole, Volume("c", cut.images, cut.brain, cut.target, cut.grid)], cutting)
    assert "cuts the tumour of 1 of 2 scans, on average by 20.0 %" in sentences[0]
    assert "ends at the border of its array (c)" in sentences[1]
    assert not cut_sentences([whole], TINY)


def test_patients_are_split_by_folders_where_there_are_any_else_by_seed() -> None:
    given = split_patients(["train_1", "train_2", "val_3", "test_4"], seed=0)
    assert (given.train, given.val, given.test) == (("train_1", "train_2"), ("val_3",), ("test_4",))
    ids = [f"p{i}" for i in range(20)]
    drawn = split_patients(ids, seed=0)
    assert [len(part) for part in (drawn.train, drawn.val, drawn.test)] == [14, 3, 3]
    assert sorted((*drawn.train, *drawn.val, *drawn.test)) == sorted(ids)
    assert drawn == split_patients(ids, seed=0) != split_patients(ids, seed=1)
    with pytest.raises(InputError, match="at least three"):
        split_patients(["a", "b"], seed=0)
    with pytest.raises(InputError, match="no validation part"):
        split_patients(["train_a", "test_b"], seed=0)


def test_too_few_patients_are_refused_before_one_is_read() -> None:
    """Each was read, and a raw head prepared, before the sentence came."""
    unread = Cohort(dict.fromkeys(["a", "b"], lambda: pytest.fail("a scan was read")))
    with pytest.raises(InputError, match="2 scans cannot be split"):
        WeakToStrong(labels="otsu", steps=1).fit(patients=unread)


def test_sliding_windows_cover_a_volume_larger_than_the_window() -> None:
    torch.manual_seed(0)
    network = build(TINY.network).eval()
    one = volume((40, 20, 24))
    images, brain = one.images.float().numpy(), one.brain.numpy()
    found = probabilities(TorchNetwork(network), images, brain)
    assert found.shape == brain.shape
    assert (found > 0).all()  # every voxel of the brain was looked at
    flipped = probabilities(TorchNetwork(network), images[:, ::-1], brain[::-1])[::-1]
    assert np.allclose(found, flipped, atol=1e-4)  # left and right are treated alike
    with torch.inference_mode():
        logits = sliding_window_inference(
            torch.from_numpy(images)[None],
            TINY.network.window,
            1,
            lambda w: network(w)[0],
            overlap=0.25,
            mode="gaussian",
        )
    alone = probabilities(TorchNetwork(network), images, brain, quality="fast")
    assert np.allclose(alone, torch.sigmoid(logits)[0, 0].numpy(), atol=1e-5)


def test_truth_teaches_in_tier_s_only(tiny_npy: Size, npy: Path, tmp_path: Path) -> None:
    patients = open_cohort(npy)
    with pytest.raises(SettingsError, match="folder of label maps"):
        WeakToStrong(supervision="truth")
    model = WeakToStrong(supervision="truth", labels=str(npy), steps=2)
    assert model.tier == "S"
    model = model.fit(patients=patients)
    assert model.card["learned from"]["patients"]["test"] == ["test_3"]
    assert "all background" in model.card["held-out scans against labels of the same kind"]
    model.save(tmp_path / "model")
    loaded = (
        methods.load(tmp_path / "model")
        if "weak-to-strong" in methods.METHODS
        else WeakToStrong.load(tmp_path / "model")
    )
    assert loaded.tier == "S"
    scan = next(iter(patients))
    assert np.array_equal(loaded.score(scan)["WT"].values > 0.5, loaded.segment(scan).scores["WT"].values > 0.5)
    with learning(), pytest.raises(LeakError):  # the same lessons outside a fit of tier S
        lessons.patient_lessons(model.settings, tiny_npy, patients, model.brain)


def test_pseudo_labels_keep_the_tier_of_where_they_come_from(
    tiny: Size, subjects: list[PhantomSubject], tmp_path: Path
) -> None:
    patients = Cohort.of(subject.scan for subject in subjects)
    weak = tumour_masks(patients, tmp_path / "weak")
    model = WeakToStrong(labels=str(weak), steps=1).fit(patients=patients)
    assert model.tier == "T0"
    assert model.card["learned from"]["labels"] == "answers of otsu-tumour"
    for subject in subjects:
        methods.shipped("intensity-published").segment(subject.scan).save(tmp_path / "t2")
    assert WeakToStrong(labels=str(tmp_path / "t2"), steps=1).fit(patients=patients).tier == "T2"
    with pytest.raises(InputError, match="none were given"):
        WeakToStrong(labels="otsu", steps=1).fit()
    with pytest.raises(InputError, match="no such folder"):
        WeakToStrong(labels=str(tmp_path / "nothing"), steps=1).fit(patients=patients)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda image: image[..., :3], "3 channels"),
        (lambda image: np.where(image > image.max() * 0.9, np.nan, image), "not numbers"),
        (lambda image: image[:, :, 0, 0], r"the shape \(\d+, \d+\)"),
        (lambda image: image[:-2], "another grid"),
    ],
)
def test_npy_files_of_another_shape_or_with_nan_are_refused_in_a_sentence(
    tiny_npy: Size, npy: Path, tmp_path: Path, spoil, message: str
) -> None:
    import shutil

    shutil.copytree(npy, tmp_path / "set")
    file = tmp_path / "set" / "train" / "images" / "image_0.npy"
    np.save(file, spoil(np.load(file)))
    with pytest.raises(AnnofreeError, match=message):
        WeakToStrong(supervision="truth", labels=str(tmp_path / "set"), steps=1).fit(
            patients=open_cohort(tmp_path / "set")
        )


def test_an_image_without_a_mask_of_its_name_is_refused(tiny_npy: Size, npy: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(npy, tmp_path / "set")
    (tmp_path / "set" / "val" / "masks" / "mask_2.npy").rename(tmp_path / "set" / "val" / "masks" / "mask_7.npy")
    with pytest.raises(InputError, match="No truth for scan 'val_2'"):
        WeakToStrong(supervision="truth", labels=str(tmp_path / "set"), steps=1).fit(
            patients=open_cohort(tmp_path / "set")
        )


def test_otsu_finds_a_bright_ball_and_nothing_in_a_healthy_brain() -> None:
    found = []
    for seed in (1, 2):
        subject = phantom_subject(seed, kind="diffuse", spacing_mm=3.0)
        mask, truth = tumour_mask(subject.scan, subject.scan.foreground()), subject.labels > 0
        found.append(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
    assert max(found) > 0.5
    scan = subject.scan.replace(images={Modality.T1: subject.scan.images[Modality.T1]})
    with pytest.raises(AnnofreeError, match="lacks FLAIR"):
        tumour_mask(scan, scan.foreground())


def test_slices_come_back_from_their_frame_where_they_were() -> None:
    slices = torch.rand(2, 57, 70)
    assert torch.equal(framed(framed(slices, (64, 80)), (57, 70)), slices)


def test_a_student_learns_from_pseudo_masks(subjects: list[PhantomSubject], tmp_path: Path) -> None:
    patients = Cohort.of(subject.scan for subject in subjects[:2])
    out = tumour_masks(patients, tmp_path, StudentSettings(steps=2, batch=2, spacing_mm=6.0))
    assert out == tmp_path / "student"
    from annofree.formats import read_segmentation
    from annofree.networks import load_network

    answer = read_segmentation(out, subjects[0].scan.id)
    assert answer.provenance["tier"] == "T0"
    network, _ = load_network(tmp_path / "unet" / "last")
    one = volume_of(subjects[0].scan, 6.0, subjects[0].scan.foreground())
    assert student_mask(network, one).shape == one.brain.shape


def test_pages_can_be_made_of_pseudo_masks(tmp_path: Path) -> None:
    from annofree.formats import open_cohort
    from annofree.phantom import write_cohort
    from annofree.review import review

    write_cohort(tmp_path / "made", n=1, seed=2, spacing_mm=4.0, healthy_fraction=0.0)
    out = tumour_masks(open_cohort(tmp_path / "made" / "scans"), tmp_path / "weak")
    report = review(out)
    assert (len(report.made), report.failed) == (1, ())


def test_the_bridge_hides_blocks_and_hands_on_all_weights_but_the_last_layer(tmp_path: Path) -> None:
    volumes = [volume() for _ in range(2)]
    batch = HiddenBlocks(VolumeSampler(volumes, TINY, 2, 0), 0)(0, 0)
    assert set(batch) == {"x", "whole", "hidden"}  # no target travels along
    assert not bool(batch["x"][batch["hidden"].expand_as(batch["x"])].any())
    shown = ~batch["hidden"].expand_as(batch["x"])
    assert torch.equal(batch["x"][shown], batch["whole"][shown])
    run = pretrain(volumes, TINY, tmp_path / "pre", steps=2, seed=0)
    fresh = build(TINY.network)
    last = fresh.state_dict()["net.out.conv.conv.weight"].clone()
    taken = start_from(fresh, run.folder / "last")
    total = sum(value.numel() for value in fresh.state_dict().values())
    assert 0.99 * total < taken < total
    assert torch.equal(fresh.state_dict()["net.out.conv.conv.weight"], last)
    perfect = {"x": batch["x"][None], "whole": batch["whole"][None], "hidden": batch["hidden"][None]}
    assert float(fill_in_loss(lambda x: [batch["whole"][None]], perfect)) == 0.0  # type: ignore[arg-type]
    with pytest.raises(InputError, match="another shape"):
        start_from(build(TINY.network.model_copy(update={"hidden_size": 16})), run.folder / "last")


def test_the_tuner_gives_every_pair_the_same_and_chooses_by_validation(
    tiny_npy: Size, npy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        "supervision": "truth", "labels": str(npy), "steps": 1, "learning_rates": (1e-3, 1e-2),
        "bce_weights": (0.5,), "seeds": (0, 1),
    }  # fmt: skip
    trained, real = [], tuner.train_strong

    def stopped_at_the_third(lessons, size, place, **more):  # type: ignore[no-untyped-def]
        trained.append(place.name)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return real(lessons, size, place, **more)

    monkeypatch.setattr(tuner, "train_strong", stopped_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_step("tune", npy, tmp_path / "sweep", settings)
    with pytest.raises(OutputError, match=r"unfinished run of other settings.*other seeds \(2 before, 1 now\)"):
        run_step("tune", npy, tmp_path / "sweep", settings | {"seeds": (0,)})
    capsys.readouterr()
    lines = run_step("tune", npy, tmp_path / "sweep", settings)
    assert len(trained) == 5  # the two that were done are not trained again
    assert "training 3 of 4: rate 0.01, w 0.5, seed 0, 1 steps" in capsys.readouterr().err
    table = (tmp_path / "sweep" / "tune.tsv").read_text().splitlines()
    assert len(table) == 5
    assert (tmp_path / "sweep" / "tune.png").stat().st_size > 1000
    runs = sorted((tmp_path / "sweep" / "runs").iterdir())
    starts = {place.name: (place / "strong" / "log.jsonl").read_text().splitlines()[0] for place in runs}
    losses = {name: float(line.split('"loss": ')[1].split(",")[0]) for name, line in starts.items()}
    # one step from the same seed: the same fresh weights, the same first loss, whatever the rate
    assert losses["rate0.001_w0.5_seed0"] == pytest.approx(losses["rate0.01_w0.5_seed0"], abs=1e-6)
    assert losses["rate0.001_w0.5_seed0"] != pytest.approx(losses["rate0.001_w0.5_seed1"], abs=1e-6)
    assert sum(line.startswith("test, once") for line in lines) == 2
    assert any("all background" in line for line in lines)
    with pytest.raises(OutputError, match="a finished run or other files"):
        run_step("tune", npy, tmp_path / "sweep", settings)
    with pytest.raises(SettingsError, match="no step"):
        run_step("tumor", npy, tmp_path, {})


def test_scores_of_volumes_count_the_brain_only() -> None:
    network = build(TINY.network).eval()
    assert 0.0 <= score_volumes(network, [volume()]).dice <= 1.0
