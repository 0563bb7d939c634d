"""One candidate's evaluation."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from jobs import LAYERS, SIZES, first_snapshot, job

from autobertc.dsl.errors import UserError
from autobertc.search.biws.kernels import centre
from autobertc.search.biws.snapshots import SnapshotError, read_snapshot, read_tensors
from autobertc.search.evaluation import candidate, junk
from autobertc.search.evaluation.candidate import evaluate
from autobertc.search.evaluation.job import CandidateResult

WIDE = "bert.encoder.layer.0.convolution.convolution.self.parametrizations.kernel.original"


def repeatable(result: CandidateResult) -> CandidateResult:
    return replace(result, timings={}, latency=0.0, tensors=None)


def test_plain_data_in_and_out() -> None:
    result = evaluate(pickle.loads(pickle.dumps(job())))
    assert pickle.loads(pickle.dumps(result)) == result
    assert result.state == "complete" and result.tensors is None and result.rungs == ()
    assert set(result.scores) == {"associative-recall", "local-completion"}
    assert result.values == (pytest.approx(sum(result.scores.values()) / 2),)
    assert result.flops > 0 and result.parameters > 0 and result.latency > 0
    assert {"build", "junk", "train", "score"} <= set(result.timings) and min(result.timings.values()) >= 0


def test_the_seed_decides_and_torch_is_left_alone() -> None:
    torch.manual_seed(9)
    state = torch.random.get_rng_state()
    one, two = (repeatable(evaluate(job(seed=1))) for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert one == two
    assert evaluate(job(seed=2)).scores != one.scores


def test_from_a_snapshot_it_trains_what_it_uses(tmp_path: Path) -> None:
    start = first_snapshot(tmp_path / "supernet")
    before = read_snapshot(start).tensors
    output = tmp_path / "0.safetensors"
    result = evaluate(job(snapshot=str(start), output=str(output)))
    assert result.tensors == str(output)
    tensors, _ = read_tensors(output)
    assert set(tensors) < set(before)
    # The key's bias moves by rounding alone, and the rows of unseen tokens not at all.
    changed = {name for name in tensors if not torch.equal(tensors[name], before[name])}
    assert {name for name in tensors if name.endswith("weight")} <= changed
    wide, was = tensors[WIDE], before[WIDE]
    assert not torch.equal(centre(wide, 31), centre(was, 31))
    assert torch.equal(wide[..., :17], was[..., :17]) and torch.equal(wide[..., 48:], was[..., 48:])
    matrices = [name for name in tensors if ".matrices." in name]
    assert sorted(name.rpartition(".")[2] for name in matrices) == ["15", "31", "5", "7", "9"]
    assert changed >= set(matrices)
    assert not any("auxiliary" in name for name in tensors), "the program does not use P"


def test_a_candidate_from_a_snapshot_starts_where_the_supernet_is(tmp_path: Path) -> None:
    start = str(first_snapshot(tmp_path))
    one = evaluate(job(seed=1, snapshot=start, learning_rates=(1e-12,), junk_filter=False))
    two = evaluate(job(seed=2, snapshot=start, learning_rates=(1e-12,), junk_filter=False))
    assert one.scores == two.scores, "without training the seed changes nothing"


def test_the_better_of_two_learning_rates_counts() -> None:
    one, two = (evaluate(job(steps=30, learning_rates=(rate,))) for rate in (1e-7, 1e-2))
    both = evaluate(job(steps=30, learning_rates=(1e-7, 1e-2)))
    assert one.values != two.values
    assert both.values == max(one.values, two.values)
    assert both.scores == max((one, two), key=lambda result: result.values).scores


def test_objectives() -> None:
    result = evaluate(job(objectives=("score", "parameters", "flops", "latency")))
    assert result.values[1:] == (-result.parameters, -result.flops, -result.latency)


def test_hurdles() -> None:
    free = evaluate(job(steps=10, hurdles=True))
    assert free.state == "complete" and len(free.rungs) == 3 and free.rungs[-1] == free.values[0]
    low = evaluate(job(steps=10, hurdles=True, thresholds=(-1.0, -1.0)))
    assert repeatable(low) == repeatable(free), "scoring at rungs and passing changes nothing"
    stopped = evaluate(job(steps=10, hurdles=True, thresholds=(-1.0, 2.0)))
    assert (stopped.state, stopped.values, stopped.rungs) == ("stopped", (), free.rungs[:2])
    assert stopped.reason.startswith("at 25% of the steps") and "below 2.0" in stopped.reason
    for purpose in ("anchor", "parent", "gate", "final"):
        assert evaluate(job(steps=10, hurdles=True, thresholds=(2.0, 2.0), purpose=purpose)).state == "complete"
    plain = evaluate(job(steps=10))
    assert plain.values == free.values and plain.rungs == ()


def test_numbers_that_end() -> None:
    result = evaluate(job(steps=40, learning_rates=(1e18,)))
    assert result.state == "failed" and result.values == () and "not a finite number in step" in result.reason
    saved = evaluate(job(steps=20, learning_rates=(1e18, 1e-3)))
    assert saved.state == "complete", "the other learning rate counts"


def test_junk_is_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    # A layer that mixes nothing is legal to write: each token sees itself.
    alone = "att: mul(Q, K)\natt: mul(Q, V)\n"
    monkeypatch.setattr(candidate, "train_steps", None)
    result = evaluate(job(layers=alone))
    assert result.state == "failed" and result.reason == "junk: the output at a token does not depend on other tokens"


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ("att: relu(neg(exp(Q @ K.T))) @ V\nconv: 3\n", "no gradient reaches"),
        ("att: exp(exp(exp(exp(exp(Q @ K.T))))) @ V\nconv: 3\n", "not a finite"),
    ],
)
def test_junk(layers: str, reason: str) -> None:
    result = evaluate(job(layers=layers))
    assert result.state == "failed" and result.reason.startswith("junk: ") and reason in result.reason


def test_what_is_named_passes() -> None:
    from autobertc.search.evaluation.named import NAMES, named

    for name in NAMES:
        architecture = named(name, 4).text(SIZES)
        assert evaluate(job(genome=architecture, steps=1)).state == "complete", name


def test_the_filter_leaves_a_model_as_it_was() -> None:
    one, two = (evaluate(job(junk_filter=filtered)) for filtered in (True, False))
    assert one.scores == two.scores
    assert issubclass(junk.Junk, Exception)


def test_faults(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"setting of evaluation 'stepps'.*steps"):
        evaluate(replace(job(), settings={"stepps": 3}))
    with pytest.raises(UserError, match="max_length 32"):
        evaluate(job(length=64))
    with pytest.raises(UserError, match="need vocab 48"):
        evaluate(job(symbols=40))
    with pytest.raises(SnapshotError, match="there is no snapshot"):
        evaluate(job(snapshot=str(tmp_path / "none")))
    other = first_snapshot(tmp_path / "other", head="pre-training")
    with pytest.raises(SnapshotError, match="the proxy needs masked-lm"):
        evaluate(job(snapshot=str(other)))
    cut = first_snapshot(tmp_path / "cut")
    cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(SnapshotError, match="cut short"):
        evaluate(job(layers=LAYERS, snapshot=str(cut)))
