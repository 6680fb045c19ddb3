"""The brain network looks at each made head once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from annofree.prepare import brain_network
from remembered import remembered


@pytest.fixture(scope="session", autouse=True)
def each_head_once() -> Iterator[None]:
    """The same made heads are prepared in many ways, and the network takes longer than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brain_network, "brain_probability", remembered(brain_network.brain_probability))
        yield
