"""Fixtures of the search tests."""

from pathlib import Path

import pytest


@pytest.fixture
def examples() -> Path:
    return Path(__file__).resolve().parents[2] / "examples"
