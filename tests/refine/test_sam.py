"""SAM as a refiner: the whole path with tiny random models, the geometry with one that sees, the words without one."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from annofree.cli.main import main
from annofree.errors import InputError, OptionalDependency, SettingsError
from annofree.phantom import write_cohort
from annofree.pipeline import Choice
from annofree.refine import RefineContext, Sam, from_dict, parse
from annofree.refine.sam import model, refiner
from annofree.refine.sam.picture import prompt_for
from annofree.scan import Modality

needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None, reason="transformers is not installed (extra 'sam')"
)

PIXELS = 64
#: Not cubic and not a cube, so that swapped axes show.
SHAPE, SPACING_MM = (40, 48, 20), (1.0, 1.0, 2.5)


def tiny(kind: str) -> Any:
    """A random SAM of a few thousand weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    prompt = {"hidden_size": 16, "image_size": PIXELS, "patch_size": 16, "mask_input_channels": 4}
    decoder = {
        "hidden_size": 16,
        "mlp_dim": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "iou_head_depth": 2,
        "iou_head_hidden_dim": 16,
    }
    if kind == "sam":
        vision = {
            "hidden_size": 16,
            "output_channels": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": PIXELS,
            "patch_size": 16,
            "window_size": 2,
            "global_attn_indexes": [0],
            "num_pos_feats": 8,
            "mlp_dim": 16,
        }
        prompt["image_embedding_size"] = PIXELS // 16
        config = transformers.SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
        return transformers.SamModel(config)
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [PIXELS, PIXELS],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "blocks_per_stage": [1, 1, 2, 1],
        "global_attention_blocks": [3],
        "window_size_per_stage": [4, 2, 2, 2],
    }
    vision = {
        "backbone_config": backbone,
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "fpn_hidden_size": 16,
    }
    config = {"vision_config": vision, "prompt_encoder_config": prompt, "mask_decoder_config": decoder}
    if kind == "sam2":
        return transformers.Sam2Model(transformers.Sam2Config(**config))
    memory = {
        "image_size": PIXELS,
        "memory_attention_hidden_size": 16,
        "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 16,
        "memory_encoder_hidden_size": 16,
        "memory_encoder_output_channels": 8,
        "mask_downsampler_embed_dim": 16,
        "memory_fuser_embed_dim": 16,
        "memory_fuser_intermediate_dim": 16,
    }
    return transformers.Sam2VideoModel(transformers.Sam2VideoConfig(**config, **memory))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a tiny SAM, a SAM 2, and a SAM 2 for videos, as which the public SAM 2 are stored."""
    made = {kind: tmp_path_factory.mktemp(kind) for kind in ("sam", "sam2", "sam2_video")}
    for kind, folder in made.items():
        tiny(kind).save_pretrained(folder)
    return made


def lesion() -> tuple[np.ndarray, RefineContext]:
    """A bright crooked lesion off the middle in a noisy brain, and a rough mask's context."""
    rng = np.random.default_rng(3)
    mm = [np.arange(n) * s for n, s in zip(SHAPE, SPACING_MM, strict=True)]
    x, y, z = np.meshgrid(*mm, indexing="ij")
    brain = ((x - 20) / 19) ** 2 + ((y - 24) / 23) ** 2 + ((z - 24) / 22) ** 2 < 1
    truth = (((x - 25) / 7) ** 2 + ((y - 16) / 5) ** 2 + ((z - 30) / 9) ** 2 < 1) | (
        ((x - 28) / 4) ** 2 + ((y - 23) / 6) ** 2 + ((z - 27) / 6) ** 2 < 1
    )
    image = np.where(brain, 100 + 100 * truth + 5 * rng.standard_normal(SHAPE), 0).astype(np.float32)
    scores = ndimage.gaussian_filter(truth.astype(np.float32), 1.0)
    return truth, RefineContext(scores, brain, SPACING_MM, {Modality.FLAIR: image})


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


class Seeing:
    """Stands for a good SAM: it outlines the bright thing at the positive points, in the box, off the negative ones."""

    size = 128
    belief = 0.95

    def embed(self, picture: np.ndarray) -> np.ndarray:
        assert picture.shape == (self.size, self.size)
        assert picture.dtype == np.uint8
        return picture

    def ask(
        self, picture: np.ndarray, boxes: np.ndarray, points: np.ndarray, positive: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        left, top, right, bottom = boxes[0] * self.size
        rows, columns = np.mgrid[: self.size, : self.size] + 0.5
        inside = (columns > left) & (columns < right) & (rows > top) & (rows < bottom)
        parts, _ = ndimage.label((picture > 150) & inside)
        at = np.floor(points[0] * self.size).astype(int)
        here = parts[at[:, 1], at[:, 0]]
        assert (picture[at[~positive[0], 1], at[~positive[0], 0]] < 150).all()
        found = np.isin(parts, here[positive[0] & (here > 0)])
        logits = np.stack([np.full(found.shape, 1.0), np.where(found, 4.0, -4.0)]).astype(np.float32)
        return logits[None], np.array([[0.1, self.belief]], dtype=np.float32)


@pytest.mark.parametrize("planes", ["axial", "three"])
def test_a_good_model_s_outline_lands_where_the_lesion_is(planes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refiner, "load_sam", lambda folder: Seeing())
    truth, context = lesion()
    rough = ndimage.binary_opening(np.roll(truth, (1, -1, 0), (0, 1, 2)), iterations=2)
    assert dice(rough, truth) < 0.8
    result = Sam(planes=planes, margin_mm=6.0).apply(rough, context)
    assert dice(result[:, :, rough.any((0, 1))], truth[:, :, rough.any((0, 1))]) > 0.97


def test_a_model_that_doubts_changes_nothing_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refiner, "load_sam", lambda folder: Seeing())
    truth, context = lesion()
    result = Sam(gate=0.96).apply(truth, context)
    np.testing.assert_array_equal(result, truth)
    assert len(context.notes) == 1
    assert "kept the mask's own outline" in context.notes[0]


def test_an_answer_is_not_followed_far_from_the_mask_or_out_of_the_brain(monkeypatch: pytest.MonkeyPatch) -> None:
    class Greedy(Seeing):
        def ask(self, picture: np.ndarray, *prompt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.ones((1, 1, 32, 32), np.float32), np.ones((1, 1), np.float32)

    monkeypatch.setattr(refiner, "load_sam", lambda folder: Greedy())
    truth, context = lesion()
    result = Sam(reach_mm=4.0).apply(truth, context)
    distance = ndimage.distance_transform_edt(~truth, sampling=SPACING_MM)
    assert result.sum() > truth.sum()
    assert not (result & ((distance > 4.0) | ~context.brain)).any()


def test_without_the_image_it_wants_the_mask_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refiner, "load_sam", lambda folder: Seeing())
    truth, context = lesion()
    np.testing.assert_array_equal(Sam(sequence=Modality.T1).apply(truth, context), truth)
    assert "not at hand" in context.notes[0]
    assert not Sam().apply(np.zeros_like(truth), context).any()


def test_points_lie_where_the_score_says_and_the_seed_decides() -> None:
    outline = np.zeros((30, 30), dtype=bool)
    outline[10:20, 12:18] = True
    score = np.where(outline, 1.0, -np.arange(30)).astype(np.float32)  # ever less abnormal to one side
    score[10:15] += outline[10:15]
    brain = np.ones_like(outline)

    def ask(seed: int) -> Any:
        rng = np.random.default_rng(seed)
        return prompt_for(
            outline,
            score,
            brain,
            outline,
            positives=4,
            negatives=6,
            margin_mm=2.0,
            around_mm=6.0,
            spacing_mm=(1.0, 2.0),
            rng=rng,
        )

    prompt = ask(0)
    inside, outside = prompt.points[prompt.positive].astype(int), prompt.points[~prompt.positive].astype(int)
    assert (len(inside), len(outside)) == (4, 6)
    assert (inside[:, 0] < 15).all()
    assert (outside[:, 1] >= 12).all()
    np.testing.assert_allclose(prompt.box, [[7.5, 10.5], [21.5, 18.5]])
    np.testing.assert_array_equal(ask(0).points, prompt.points)
    assert not np.array_equal(ask(1).points, prompt.points)


@needs_transformers
@pytest.mark.parametrize("kind", ["sam", "sam2", "sam2_video"])
def test_a_scan_is_segmented_with_a_model_from_a_folder(
    kind: str, folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = write_cohort(tmp_path / "in", n=1, seed=4, spacing_mm=4.0, healthy_fraction=0.0)
    command = ["segment", str(written.scans), "-o", str(tmp_path / "out"), "--method", "intensity-published"]
    command += ["--refine", "own", "--refine", "sam:gate=0,planes=three", "--sam", str(folders[kind])]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--no-locate", "--no-review"])
    assert ended.value.code == 0
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    chain = told["method"]["refiners"]["WT"]
    assert [one["kind"] for one in chain] == ["eroded-brain", "components", "sam"]
    assert chain[-1]["folder"] == str(folders[kind])
    assert len((tmp_path / "out" / "results.tsv").read_text().splitlines()) == 2
    # progress alone: no warning and no bar of transformers
    assert [line for line in capsys.readouterr().err.splitlines() if not line.startswith("[1/1] phantom-000: ")] == []


@needs_transformers
def test_a_random_model_is_not_believed_and_answers_the_same_twice(folders: dict[str, Path]) -> None:
    truth, context = lesion()
    np.testing.assert_array_equal(Sam(folder=str(folders["sam"])).apply(truth, context), truth)
    assert "kept the mask's own outline" in context.notes[0]
    believing = Sam(folder=str(folders["sam"]), gate=0.0)
    np.testing.assert_array_equal(believing.apply(truth, context), believing.apply(truth, context))


@needs_transformers
def test_pictures_are_prepared_as_transformers_does_it(folders: dict[str, Path]) -> None:
    processors = pytest.importorskip("transformers.models.sam.image_processing_pil_sam")
    picture = np.random.default_rng(0).integers(0, 256, (96, 96)).astype(np.uint8)
    size = {"longest_edge": PIXELS}
    theirs = processors.SamImageProcessorPil(size=size, pad_size={"height": PIXELS, "width": PIXELS})(
        np.repeat(picture[..., None], 3, axis=2), return_tensors="pt"
    )["pixel_values"]
    ours = model.load_sam(str(folders["sam"])).pixels(picture)
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) < 1e-4


@needs_transformers
def test_half_a_model_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folders["sam"] / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("mask_decoder.iou")}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text((folders["sam"] / "config.json").read_text())
    with pytest.raises(InputError, match="tensors are missing"):
        model.load_sam(str(tmp_path))


def test_a_folder_that_will_not_do_is_refused_with_the_way_out(tmp_path: Path) -> None:
    def refusal(folder: Path | None) -> str:
        with pytest.raises((InputError, SettingsError)) as caught:
            Sam(folder=None if folder is None else str(folder)).check()
        return str(caught.value)

    assert "hf download" in refusal(None)
    assert "does not exist" in refusal(tmp_path / "nowhere")
    (tmp_path / "sam_vit_b.pth").write_bytes(b"")
    assert "not a single file" in refusal(tmp_path / "sam_vit_b.pth")
    assert "config.json is missing" in refusal(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert "another kind of model" in refusal(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "sam"}')
    assert "save_pretrained" in refusal(tmp_path)


def usable(tmp_path: Path) -> str:
    """A folder that looks like a SAM until it is loaded."""
    (tmp_path / "config.json").write_text('{"model_type": "sam"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    return str(tmp_path)


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "find_spec", lambda name: None)
    with pytest.raises(OptionalDependency, match=r"annofree\[sam\]"):
        Sam(folder=usable(tmp_path)).check()


def test_a_broken_torchvision_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(SimpleNamespace):
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setitem(sys.modules, "transformers", Broken())
    monkeypatch.setattr(model, "find_spec", lambda name: object())
    with pytest.raises(OptionalDependency, match="pip uninstall torchvision"):
        model.load_sam(usable(tmp_path))


@needs_transformers
def test_the_choice_of_refiners_is_checked_before_any_scan_is_read(tmp_path: Path) -> None:
    folder = usable(tmp_path)
    own = Choice("intensity").build().refiners["WT"]
    both = Choice("intensity", refine=("own", "sam:planes=three"), sam=folder).build().refiners["WT"]
    assert both == (*own, Sam(folder=folder, planes="three"))
    with pytest.raises(SettingsError, match="--refine sam"):
        Choice("intensity", sam=folder).build()
    with pytest.raises(SettingsError, match="hf download"):
        Choice("intensity", refine=("sam",)).build()


def test_its_settings_survive_text_and_dictionaries() -> None:
    sam = parse("sam:/models/medsam,sequence=T1C,planes=three,gate=0.9")
    assert sam == Sam(folder="/models/medsam", sequence=Modality.T1C, planes="three", gate=0.9)
    assert from_dict(json.loads(json.dumps(sam.to_dict()))) == sam
