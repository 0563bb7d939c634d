"""Folders compiled from small architectures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import architecture, keep_code_away

from autobertc.runtime.emission import emit


@pytest.fixture(autouse=True, scope="session")
def modules_cache() -> None:
    keep_code_away()


@pytest.fixture(scope="session")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`emitted(layers)`: a compiled folder, made once."""
    folders: dict[str, Path] = {}

    def folder(layers: str) -> Path:
        if layers not in folders:
            folders[layers] = emit(architecture(layers), tmp_path_factory.mktemp("emitted") / "out")
        return folders[layers]

    return folder


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Three sequences of 12 tokens: whole, padded at the end, padded at the start and with a hole."""
    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(3, 12, dtype=torch.long)
    mask[1, 7:] = 0
    mask[2, :2] = mask[2, 5] = 0
    return {
        "input_ids": torch.randint(5, 200, (3, 12), generator=generator),
        "token_type_ids": torch.randint(0, 2, (3, 12), generator=generator),
        "attention_mask": mask,
    }
