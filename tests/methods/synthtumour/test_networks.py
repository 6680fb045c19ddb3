"""Which of a model's networks answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annofree.methods.synthtumour.method import SynthTumour
from annofree.networks.unet import ThinUNetSettings
from annofree.phantom import phantom_subject
from annofree.scan import Modality, Scan


class Sure:
    """A network that is equally sure everywhere, and remembers how often it was asked."""

    def __init__(self, probability: float) -> None:
        self.logit, self.asked = np.log(probability / (1 - probability)), 0
        self.settings = ThinUNetSettings(full=4, widths=(4, 8), deep_supervision=1)

    def __call__(self, *inputs: NDArray[Any]) -> NDArray[np.float32]:
        self.asked += 1
        return np.full((1, 3, *inputs[0].shape[2:]), self.logit, np.float32)


@pytest.fixture(scope="module")
def scan() -> Scan:
    return phantom_subject(3, kind="glioblastoma", spacing_mm=4.0).scan


def _with(*names: str) -> Callable[[Scan], Scan]:
    return lambda scan: scan.replace(images={Modality[n]: scan.images[Modality[n]] for n in names})


@pytest.mark.parametrize(
    ("sequences", "special"),
    [(("FLAIR",), True), (("T1", "FLAIR"), True), (("T1", "T2", "FLAIR"), False), (("T1C", "FLAIR"), False)],
)
def test_a_network_for_few_sequences_answers_for_these_alone(
    scan: Scan, sequences: tuple[str, ...], special: bool
) -> None:
    general, few = Sure(0.2), Sure(0.7)
    networks = [(general, {"spacing_mm": 4.0}), (few, {"spacing_mm": 4.0, "only": ["T1", "FLAIR"]})]
    method = SynthTumour().replace(networks=networks)
    seen = _with(*sequences)(scan)
    whole = method.score(seen).scores["WT"].values
    assert (few.asked, general.asked) == ((2, 0) if special else (0, 2))
    inside = whole[seen.foreground()]
    assert np.median(inside) == pytest.approx(0.7 if special else 0.2, abs=0.01)


def test_two_networks_share_the_passes_and_all_take_all_in_best(scan: Scan) -> None:
    one, other = Sure(0.2), Sure(0.6)
    networks = [(one, {"spacing_mm": 4.0}), (other, {"spacing_mm": 4.0})]
    whole = SynthTumour().replace(networks=networks).score(scan).scores["WT"].values
    assert (one.asked, other.asked) == (1, 1)
    assert np.median(whole[scan.foreground()]) == pytest.approx(0.4, abs=0.01)
    SynthTumour(quality="best").replace(networks=networks).score(scan)
    assert (one.asked, other.asked) == (7, 7)


def test_what_a_network_is_for_is_kept_in_the_models_folder(tmp_path: Path) -> None:
    import torch

    from annofree.inference.torch_network import TorchNetwork
    from annofree.networks.build import build

    torch.manual_seed(0)
    module = build(ThinUNetSettings(full=4, widths=(4, 8), deep_supervision=1)).eval()
    extra = {"spacing_mm": 4.0, "only": ["T1", "FLAIR"]}
    SynthTumour().replace(networks=[(TorchNetwork(module), extra)]).save_weights(tmp_path)
    ((_, config),) = SynthTumour().load_weights(tmp_path)["networks"]
    assert config["only"] == ["T1", "FLAIR"]
