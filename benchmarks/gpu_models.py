"""Whole models on a GPU: the training step of autobert-zero-base beside transformers' BERT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from gpu_cases import Cell
from gpu_measure import Clock, Machine, attempt, take_turns
from gpu_work import Scope
from measure import Settings
from models import compiled, example, reference
from torch import Tensor
from training_step import labelled_batch, step

from autobertc.dsl.architecture import Architecture
from autobertc.runtime.build import modeling_module

LENGTHS = (512, 128)
GENOME = "autobert-zero-base"
OURS, OURS_COMPILED, OURS_EAGER = "kernels", "kernels + torch.compile", "eager"
BERT, BERT_COMPILED = "BERT (sdpa)", "BERT + torch.compile"
LOSS_AGREEMENT = 2e-2  # of the mean loss over some thousand tokens, weights and activations in bfloat16


@dataclass(frozen=True)
class ModelScope:
    """The models' sizes: `settings` but for the length; the genome's first `layers` layers, 0 for all."""

    scope: Scope
    settings: Settings
    layers: int = 0

    def architecture(self) -> Architecture:
        """What is compiled."""
        found = example(GENOME)
        return replace(found, layers=found.layers[: self.layers]) if self.layers else found


BASE = ModelScope(Scope(), Settings(batch=32, hidden=768, heads=12, intermediate=3072))


def smoke_models(scope: Scope) -> ModelScope:
    """A convolution and an attention, tiny."""
    return ModelScope(scope, Settings(batch=2, hidden=32, heads=2, intermediate=32, vocabulary=50), layers=2)


def make(name: str, models: ModelScope, length: int) -> tuple[Callable[[], Tensor], Callable[[], object]]:
    """A model in training mode without dropout: what gives its loss, and its training step."""
    settings = replace(models.settings, length=length)
    architecture, scope = models.architecture(), models.scope
    if name in (BERT, BERT_COMPILED):
        model = reference(architecture, settings, 0.0, "masked-lm")
    else:
        backend = "eager" if name == OURS_EAGER else "triton"
        model = compiled(architecture, settings, 0.0, "masked-lm", backend).train()
    model = model.to(scope.device, scope.dtype)
    batch = {key: value.to(scope.device) for key, value in labelled_batch(settings).items()}
    called: Any = model
    if name in (BERT_COMPILED, OURS_COMPILED):
        called = torch.compile(model, dynamic=False)

    def loss() -> Tensor:
        with torch.no_grad():
            value: Tensor = model(**batch).loss
        return value

    return loss, step(called, batch)


def implementations(scope: Scope) -> tuple[str, ...]:
    """In the order in which they are measured."""
    return (OURS, BERT, BERT_COMPILED, OURS_EAGER, OURS_COMPILED) if scope.compiles else (OURS, BERT, OURS_EAGER)


def model_cells(models: ModelScope, length: int, machine: Machine, clock: Clock) -> list[Cell]:
    """The training step of everyone at a length; the kernels' loss is compared with that of the eager backend."""
    cells, runners = [], []
    losses: dict[str, float] = {}
    for name in implementations(models.scope):
        cell = Cell("models", "masked-LM training step", name, "training step", length, None)
        if clock.left <= 0:
            cells.append(replace(cell, status="left out", note="no time left"))
            continue

        def prepare(name: str = name) -> Callable[[], object]:
            loss, work = make(name, models, length)
            if name in (OURS, OURS_EAGER):
                losses[name] = float(loss())
            return work

        runner, cell, _ = attempt(cell, prepare, machine)
        if runner is None:
            cells.append(cell)
        else:
            runner.cell = cell
            runners.append(runner)
    timed = take_turns(runners, machine, clock)
    if OURS in losses and OURS_EAGER in losses:
        error = abs(losses[OURS] - losses[OURS_EAGER]) / abs(losses[OURS_EAGER])
        wrong = {"status": "disagrees", "note": f"loss {losses[OURS]:.4f}, eager {losses[OURS_EAGER]:.4f}"}
        timed = [
            replace(cell, error=error, allowed=LOSS_AGREEMENT, **({} if error <= LOSS_AGREEMENT else wrong))
            if cell.implementation == OURS and cell.ms
            else cell
            for cell in timed
        ]
    return [*timed, *cells]


def kernel_names(models: ModelScope) -> tuple[str, ...]:
    """The programs of the genome, as its module names them."""
    return tuple(f"attention_{number}" for number, _ in enumerate(models.architecture().programs(), start=1))


def run_kernels(models: ModelScope, name: str, length: int) -> None:
    """One program's kernels, forward and backward, on tensors like those in the model: compiles them."""
    fused = modeling_module(models.architecture(), "triton").kernels(name)
    settings = models.settings
    shape = (settings.batch, length, settings.heads, settings.hidden // settings.heads)
    leaves = [
        models.scope.draw(*shape, seed=seed).transpose(1, 2).requires_grad_() for seed, _ in enumerate(fused.inputs)
    ]
    result = fused(*leaves, None, 0.0)
    torch.autograd.grad(result, leaves, torch.ones_like(result))
