"""The super-net beside the candidates that come out of it."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from biws import CHOICES, IDS, SIZES, architecture, make_snapshot

from autobertc.compiler.modeling.encoder import Layer
from autobertc.dsl.errors import UserError
from autobertc.runtime.build import build
from autobertc.search.biws.candidates import candidate_tensors, extract, initial_weights, plain_model, plain_state
from autobertc.search.biws.snapshots import FOLDER, SnapshotError, write_snapshot
from autobertc.search.biws.supernet import Sharing, choose, load_supernet, make_supernet, supernet_name
from autobertc.search.biws.write_back import Child, write_back
from autobertc.search.genome import Genome

SHARINGS = [Sharing(f, n) for f, n in product(("layer", "branch"), repeat=2)]  # type: ignore[arg-type]


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        output = model.eval()(input_ids=IDS)
    found: torch.Tensor = output.logits if hasattr(output, "logits") else output.prediction_logits
    return found


@pytest.mark.parametrize("sharing", SHARINGS, ids=str)
def test_a_candidate_is_the_supernet_run_with_that_choice(sharing: Sharing) -> None:
    """For every choice in either layer; and the same as an ordinary model with its weights."""
    snapshot = make_snapshot(sharing)
    supernet = make_supernet(SIZES, 2, "masked-lm", sharing, seed=0)
    load_supernet(supernet, snapshot.tensors)
    different = set()
    pairs = [(one, CHOICES[(number + 4) % len(CHOICES)]) for number, one in enumerate(CHOICES)]
    for layers in pairs:
        chosen = architecture(*layers)
        choose(supernet, chosen)
        expected = logits(supernet)
        candidate = extract(snapshot, chosen)
        assert torch.equal(logits(candidate), expected), layers
        plain = plain_model(candidate, chosen, "masked-lm")
        assert torch.equal(logits(plain), expected), layers
        different.add(expected.numpy().tobytes())
    assert len(different) == len(CHOICES), "two choices gave the same outputs: the test sees no difference"


def test_the_pretraining_head_is_shared() -> None:
    snapshot = make_snapshot(Sharing(), "pre-training")
    supernet = make_supernet(SIZES, 2, "pre-training", Sharing(), seed=0)
    load_supernet(supernet, snapshot.tensors)
    chosen = architecture(CHOICES[2], CHOICES[-1])
    choose(supernet, chosen)
    with torch.no_grad():
        one, other = supernet.eval()(input_ids=IDS), extract(snapshot, chosen).eval()(input_ids=IDS)
    assert torch.equal(one.prediction_logits, other.prediction_logits)
    assert torch.equal(one.seq_relationship_logits, other.seq_relationship_logits)


@pytest.mark.parametrize("sharing", SHARINGS, ids=str)
def test_write_back_then_extraction_is_the_identity(sharing: Sharing) -> None:
    snapshot = make_snapshot(sharing)
    for layers in ((CHOICES[0], CHOICES[-1]), (CHOICES[7], CHOICES[6]), (CHOICES[-2], CHOICES[3])):
        chosen = architecture(*layers)
        trained = extract(snapshot, chosen)
        with torch.no_grad():
            for parameter in trained.parameters():
                parameter.add_(torch.randn_like(parameter))
        tensors = candidate_tensors(trained, chosen, sharing)
        after, _ = write_back(snapshot.tensors, [Child(0, 0.5, tensors)])
        again = extract(type(snapshot)(after, 1, snapshot.head, sharing), chosen)
        for (name, one), other in zip(trained.named_parameters(), again.parameters(), strict=True):
            assert torch.equal(one, other), name
        untouched = set(snapshot.tensors) - set(tensors)
        assert untouched and all(torch.equal(after[name], snapshot.tensors[name]) for name in untouched)


def test_what_branches_share() -> None:
    mixed = architecture("conv: 5", "att: Q @ (K.T @ V)")

    def names(sharing: Sharing) -> set[str]:
        model = extract(make_snapshot(sharing), mixed)
        return {supernet_name(name, mixed, sharing) for name, _ in model.named_parameters() if ".layer.0." in name}

    def convolution(part: str) -> str:
        return f"bert.encoder.layer.0.convolution.{part}"

    def attention(part: str) -> str:
        return f"bert.encoder.layer.0.attention.{part}"

    norms = ("output.LayerNorm.weight", "convolution.output.LayerNorm.bias")
    for sharing in SHARINGS:
        found = names(sharing)
        own = convolution if sharing.feed_forward == "branch" else attention
        assert {own("intermediate.dense.weight"), own("output.dense.bias")} <= found
        own = convolution if sharing.norms == "branch" else attention
        assert own(norms[0]) in found
        assert own(norms[1] if sharing.norms == "branch" else "attention.output.LayerNorm.bias") in found
        assert convolution("convolution.output.dense.weight") in found, "the branch's own map is never shared"


def test_both_branches_are_there_in_full() -> None:
    supernet = make_supernet(SIZES, 3, "masked-lm", Sharing(), seed=0)
    names = dict(supernet.named_parameters())
    for number in range(3):
        place = f"bert.encoder.layer.{number}"
        for part in ("query", "key", "value", "auxiliary"):
            assert f"{place}.attention.attention.self.{part}.weight" in names
        assert names[f"{place}.convolution.convolution.self.parametrizations.kernel.original"].shape == (2, 1, 65)
    assert sum(isinstance(module, Layer) for module in supernet.modules()) == 6


def test_same_seed_same_supernet_and_torch_is_left_alone() -> None:
    state = torch.random.get_rng_state()
    one, two, other = (make_supernet(SIZES, 2, "masked-lm", Sharing(), seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_faults() -> None:
    with pytest.raises(UserError, match="norms"):
        Sharing(norms="head")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="head"):
        make_supernet(SIZES, 2, "base", Sharing(), 0)
    supernet = make_supernet(SIZES, 2, "masked-lm", Sharing(), 0)
    with pytest.raises(RuntimeError, match="choose"):
        supernet(input_ids=IDS)
    with pytest.raises(ValueError, match="2 layers, the architecture 1"):
        choose(supernet, architecture("conv: 3"))
    with pytest.raises(ValueError, match="another"):
        load_supernet(supernet, {})
    with pytest.raises(SnapshotError, match="the super-net has none for"):
        extract(make_snapshot(Sharing()), architecture("conv: 3", "conv: 3", "conv: 3"))


def test_initial_weights_are_those_of_the_last_snapshot(tmp_path: Any) -> None:
    snapshot = make_snapshot(Sharing(), "pre-training")
    write_snapshot(tmp_path / FOLDER, snapshot)
    genome = Genome.read("model m {}\nconv: 9\natt: Q @ (K.T @ P)\n")
    state = initial_weights(tmp_path, genome, SIZES)
    model = build(genome.architecture(SIZES), head="pre-training")
    model.load_state_dict(state)
    assert torch.equal(logits(model), logits(extract(snapshot, genome.architecture(SIZES))))
    assert state["bert.encoder.layer.0.convolution.self.kernel"].shape == (2, 1, 9)
    assert set(plain_state(model)) == set(state)
    with pytest.raises(SnapshotError, match="no whole snapshot"):
        initial_weights(tmp_path / "elsewhere", genome, SIZES)
