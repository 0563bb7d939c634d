"""`pretrain --init-from` a search's run: its super-net's weights are those the model begins with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import architecture
from training_runs import HEADER, LAYERS

from autobertc.cli.training import weights_from
from autobertc.dsl.errors import UserError
from autobertc.runtime.conversion import copy_weights
from autobertc.runtime.emission import initial_model

candidates = pytest.importorskip("autobertc.search.biws.candidates")


def test_the_super_net_s_weights(tmp_path: Path) -> None:
    from autobertc.search.biws.snapshots import FOLDER, Snapshot, write_snapshot
    from autobertc.search.biws.supernet import Sharing, make_supernet, supernet_tensors

    backbone, sharing = architecture(LAYERS, HEADER), Sharing()
    supernet = make_supernet(backbone.sizes, len(backbone.layers), "masked-lm", sharing, seed=5)
    write_snapshot(tmp_path / FOLDER, Snapshot(supernet_tensors(supernet), 0, "masked-lm", sharing))
    weights = weights_from(tmp_path)
    assert weights.name == str(tmp_path) and weights.digest == weights_from(tmp_path).digest
    model = initial_model(backbone, 0, "masked-lm")
    copied = copy_weights(model, weights.load(backbone))
    assert not copied.initial and not copied.mismatched and not copied.unused
    given, state = supernet_tensors(supernet), model.state_dict()
    words = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(state[words], given[words])


def test_a_search_without_a_whole_snapshot(tmp_path: Path) -> None:
    from autobertc.search.biws.snapshots import FOLDER

    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "round-000000.safetensors").write_bytes(b"cut")
    with pytest.raises(UserError, match="no whole snapshot"):
        weights_from(tmp_path)
