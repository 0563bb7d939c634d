"""Where numbers are reported to, as the library names it."""

from __future__ import annotations

from collections.abc import Sequence

from transformers.integrations import INTEGRATION_TO_CALLBACK, get_available_reporting_integrations

from autobertc.runtime.data.errors import unknown
from autobertc.runtime.training.recipes import TrainingError


def check_reports(names: Sequence[str]) -> None:
    """Raise `UserError` where one is not known, or its package is not installed."""
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            raise unknown("place to report to", name, INTEGRATION_TO_CALLBACK)
        if name not in get_available_reporting_integrations():
            raise TrainingError(f"cannot report to {name}: its package is not installed (`pip install {name}`)")
