"""What models learn of mechanistic tasks, and what they cannot."""

from __future__ import annotations

import torch
from tiny import architecture

from autobertc.runtime.emission import initial_model
from autobertc.runtime.mechanistic.training import Mechanistic, accuracies, train_and_score
from autobertc.runtime.training.short_runs import ShortRun

HEADER = "model tiny { hidden: 32  heads: 2  intermediate: 64  vocab: 32  max_length: 24  dropout: 0.0 }\n"
RECALL = Mechanistic(("associative-recall",), batch=16, length=20, symbols=16, scored_rows=64)
RUN = ShortRun(steps=120, learning_rate=5e-3)


def learnt(layers: str, problem: Mechanistic, run: ShortRun = RUN) -> float:
    model = initial_model(architecture(layers, HEADER), seed=0, head="masked-lm", backend="eager")
    return train_and_score(model, problem, run)["mean"]


def test_attention_recalls_and_convolution_does_not() -> None:
    by_attention = learnt("att: softmax(scale(Q @ K.T)) @ V\n" * 2, RECALL)
    by_convolution = learnt("conv: 31\n" * 2, RECALL)
    assert by_attention > 0.6 > 0.45 > by_convolution, (by_attention, by_convolution)


def test_convolution_completes_locally_and_attention_does_not() -> None:
    problem = Mechanistic(("local-completion",), batch=16, length=20, symbols=16, scored_rows=64)
    by_convolution = learnt("conv: 5\n" * 2, problem)
    by_attention = learnt("att: softmax(scale(Q @ K.T)) @ V\n" * 2, problem)
    assert by_convolution > 0.48 > 0.43 > by_attention, (by_convolution, by_attention)


def test_scores_by_task() -> None:
    model = initial_model(architecture("conv: 3\n", HEADER), seed=0, head="masked-lm").train()
    problem = Mechanistic(length=16, batch=8, scored_rows=8)
    found = accuracies(model, problem)
    assert set(found) == set(problem.tasks) and all(0 <= value <= 1 for value in found.values())
    assert model.training and found == accuracies(model, problem)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    assert all(value < 0.5 for value in accuracies(model, problem).values())
