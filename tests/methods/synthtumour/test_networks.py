"""Several networks in one model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annofree.methods.synthtumour.method import SynthTumour
from annofree.networks.unet import ThinUNetSettings
from annofree.phantom import phantom_subject
from annofree.scan import Scan


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


def test_two_networks_share_the_passes_and_all_take_all_in_best(scan: Scan) -> None:
    one, other = Sure(0.2), Sure(0.6)
    networks = [(one, {"spacing_mm": 4.0}), (other, {"spacing_mm": 4.0})]
    whole = SynthTumour().replace(networks=networks).score(scan).scores["WT"].values
    assert (one.asked, other.asked) == (1, 1)
    assert np.median(whole[scan.foreground()]) == pytest.approx(0.4, abs=0.01)
    SynthTumour(quality="best").replace(networks=networks).score(scan)
    assert (one.asked, other.asked) == (7, 7)
