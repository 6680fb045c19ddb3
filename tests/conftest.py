"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("annofree", deadline=None, derandomize=True, suppress_health_check=slow)
settings.load_profile("annofree")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans; tests that use it carry `@pytest.mark.real`."""
    if not (SHARED_DATA / "patients").is_dir():
        pytest.skip("real scans are absent (../shared/data)")
    return SHARED_DATA
