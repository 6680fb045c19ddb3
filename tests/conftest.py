"""Fixtures that every room's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from annofree.anatomy import align
from remembered import remembered

slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("annofree", deadline=None, derandomize=True, suppress_health_check=slow)
settings.load_profile("annofree")

TESTS = Path(__file__).resolve().parent
SHARED_DATA = TESTS.parents[1] / "shared" / "data"

#: Rooms whose tests segment the same few phantoms again and again; alignment itself is tested in others.
ALIGNED_ONCE = ("batch", "bench", "cli", "evaluation", "formats", "prepare", "review", "synthesis", "test_face.py")
maximise_information = remembered(align._maximise_information)


@pytest.fixture(scope="module", autouse=True)
def each_brain_aligned_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """In these rooms each brain is aligned with the template once."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.relative_to(TESTS).parts[0] in ALIGNED_ONCE:
            patch.setattr(align, "_maximise_information", maximise_information)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans; tests that use it carry `@pytest.mark.real`."""
    if not (SHARED_DATA / "patients").is_dir():
        pytest.skip("real scans are absent (../shared/data)")
    return SHARED_DATA
