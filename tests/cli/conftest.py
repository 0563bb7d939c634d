"""The command line's tests load what they compile."""

import pytest
from tiny import keep_code_away


@pytest.fixture(autouse=True, scope="session")
def modules_cache() -> None:
    keep_code_away()
