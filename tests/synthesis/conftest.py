"""Anatomies and cases that the synthesis tests share."""

from __future__ import annotations

import pytest

from annofree.synthesis import LabelMapBank


@pytest.fixture(scope="session")
def mni_bank() -> LabelMapBank:
    """The anatomy of the MNI tissue maps."""
    return LabelMapBank.from_mni()
