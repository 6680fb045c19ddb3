"""The default method's labels stay what they are unless a change means to move them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from frozen_labels import FILE, PATIENTS, PHANTOMS, frozen, labels_of

KEPT = json.loads(FILE.read_text())
REFRESH = "meant? then: python tests/methods/frozen_labels.py"


@pytest.mark.parametrize("case", PHANTOMS)
def test_the_default_answers_phantoms_as_it_did(case: str) -> None:
    assert frozen(labels_of(case)) == KEPT[case], REFRESH


@pytest.mark.real
@pytest.mark.parametrize("case", PATIENTS)
def test_the_default_answers_patients_as_it_did(shared_data: Path, case: str) -> None:
    assert frozen(labels_of(case)) == KEPT[case], REFRESH
