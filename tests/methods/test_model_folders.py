"""A model folder that is damaged, foreign or changed by hand ends in one sentence that names it, never in an answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from annofree.errors import AnnofreeError
from annofree.methods import WEIGHTS, load
from annofree.pipeline import Choice
from annofree.refine import from_dict

WEIGHT, ONNX = "network/model.safetensors", "network/model.onnx"


def cut(name: str, keep: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return change


def foreign(name: str, method: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((WEIGHTS / method / name).read_bytes())


def without(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def config(name: str = "config.yaml", **changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        values = yaml.safe_load((folder / name).read_text())
        values.update(changes)
        (folder / name).write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))

    return change


def text(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content) and None


CHANGES: dict[str, Callable[[Path], object]] = {
    "weights cut": cut(WEIGHT, 0.7),
    "weights empty": cut(WEIGHT, 0),
    "weights of another model": lambda folder: shutil.copy(
        WEIGHTS / "mvit-ae/networks/0/model.safetensors", folder / WEIGHT
    ),
    "weights of another network": foreign(WEIGHT, "weak-to-strong"),
    "no weights": without(WEIGHT),
    "onnx cut": cut(ONNX, 0.7),
    "onnx empty": cut(ONNX, 0),
    "onnx of another network": foreign(ONNX, "weak-to-strong"),
    "no network": without("network"),
    "no files": without(ONNX, WEIGHT),
    "weights cut and no onnx": lambda folder: (cut(WEIGHT, 0.7)(folder), without(ONNX)(folder)),
    "other weights and no onnx": lambda folder: (foreign(WEIGHT, "weak-to-strong")(folder), without(ONNX)(folder)),
    "no config": without("config.yaml"),
    "no card": without("card.json"),
    "card cut": cut("card.json", 0.5),
    "config is text": text("config.yaml", "a letter"),
    "config is a list": text("config.yaml", "- method: dae\n"),
    "config is no yaml": text("config.yaml", "method: [dae"),
    "no settings": config(settings=None),
    "no thresholds": config(thresholds=None),
    "an unknown key": config(sharpness=1),
    "a misspelt key": config(setings={}),
    "settings of the wrong type": config(settings=["a"]),
    "a setting of the wrong type": config(settings={"quality": 7, "seed": "many"}),
    "an unknown setting": config(settings={"sharpness": 1}),
    "thresholds of the wrong type": config(thresholds="mad"),
    "no method": config(method=None),
    "an unknown method": config(method="dad"),
    "a method of the wrong type": config(method=["dae"]),
    "network config is text": text("network/config.yaml", "a letter"),
    "network config of the wrong type": config("network/config.yaml", network=[1, 2]),
    "network config of another": config("network/config.yaml", network={"kind": "ae", "channels": 3}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_bad_model_folder_is_one_sentence(tmp_path: Path, change: Callable[[Path], object]) -> None:
    folder = tmp_path / "my-model"
    shutil.copytree(WEIGHTS / "dae", folder)
    change(folder)
    with pytest.raises(AnnofreeError) as caught:
        Choice(model=str(folder)).build()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert any(word in sentence for word in ("my-model", "Settings", "method"))
    assert "Traceback" not in sentence


@pytest.mark.parametrize("folder", sorted(path.parent for path in WEIGHTS.glob("*/config.yaml")), ids=lambda f: f.name)
def test_a_shipped_model_leaves_no_setting_of_its_refiners_open(folder: Path) -> None:
    """What is not written down does in older models what was done then."""
    chains = yaml.safe_load((folder / "config.yaml").read_text()).get("refiners", {})
    for told in (one for chain in chains.values() for one in chain):
        assert set(from_dict(told).to_dict()) == set(told)


def test_a_good_copy_loads(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS / "dae", tmp_path / "my-model")
    assert load(tmp_path / "my-model").name == "dae"


@pytest.mark.parametrize("made", ["nowhere", "file", "empty"])
def test_no_model_folder_at_all(tmp_path: Path, made: str) -> None:
    path = tmp_path / made
    if made == "file":
        path.write_text("x")
    if made == "empty":
        path.mkdir()
    with pytest.raises(AnnofreeError, match=made):
        Choice(model=str(path)).build()
