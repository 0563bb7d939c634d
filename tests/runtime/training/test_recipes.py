"""Presets are the paper's numbers; checkpoints are whole or passed over."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from autobertc.dsl.errors import UserError
from autobertc.runtime.training import checkpoints
from autobertc.runtime.training.recipes import PRESETS, recipe


@pytest.mark.parametrize(("name", "batch", "warmup"), [("small", 320, 0.01), ("base", 160, 0.01), ("large", 80, 0.02)])
def test_table_6(name: str, batch: int, warmup: float) -> None:
    found = PRESETS[name]
    assert (found.batch, found.warmup, found.learning_rate) == (batch, warmup, 1e-4)
    assert (found.betas, found.dropout, found.length, found.epochs) == ((0.9, 0.999), 0.1, 128, 40)
    assert found.schedule == "linear" and found.next_sentence


def test_appendix_d_fast() -> None:
    fast = PRESETS["fast"]
    assert (fast.learning_rate, fast.batch, fast.warmup, fast.steps, fast.epochs) == (2e-4, 160, 0.02, 40_000, None)


def test_changes_replace_and_none_stays() -> None:
    changed = recipe("fast", {"epochs": 2, "batch": None, "learning_rate": 1e-3})
    assert (changed.epochs, changed.steps, changed.batch, changed.learning_rate) == (2, None, 160, 1e-3)


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        ("bse", {}, "did you mean `base`"),
        ("base", {"steps": 1, "epochs": 1}, "not both"),
        ("base", {"steps": 0}, "number of steps must be at least 1"),
        ("base", {"batch": 0}, "batch must be at least 1"),
        ("base", {"learning_rate": 0.0}, "learning rate must be above 0"),
        ("base", {"dropout": 1.0}, "dropout"),
        ("base", {"precision": "bf61"}, "did you mean `bf16`"),
        ("base", {"optimizer": "moun"}, "did you mean `muon`"),
        ("base", {"batch_ramp": 1.0}, "the batch's ramp must be at least 0"),
    ],
)
def test_numbers_that_cannot_be(preset: str, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        recipe(preset, changes)


def _checkpoint(place: Path, step: int) -> Path:
    folder = place / checkpoints.name(step)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    (folder / "trainer_state.json").write_text("{}")
    checkpoints.seal(folder)
    return folder


def test_the_latest_whole_checkpoint_is_found(tmp_path: Path) -> None:
    whole = [_checkpoint(tmp_path, step) for step in (9, 10, 100)]
    assert checkpoints.latest(tmp_path) == (whole[2], [])
    (whole[2] / checkpoints.SEAL).unlink()  # killed before the seal
    assert checkpoints.latest(tmp_path) == (whole[1], [whole[2]])
    (whole[1] / "model.safetensors").write_bytes(b"x" * 99)  # cut short
    assert checkpoints.latest(tmp_path) == (whole[0], [whole[2], whole[1]])
    shutil.rmtree(whole[0])
    assert checkpoints.latest(tmp_path)[0] is None


def test_older_ones_go_and_broken_ones_too(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        _checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-3" / "model.safetensors").unlink()
    (tmp_path / "checkpoint-other").mkdir()
    checkpoints.keep_last(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-4", "checkpoint-other"]
