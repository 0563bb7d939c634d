"""Muon for the matrices inside a backbone's layers, AdamW for all else.

Muon (Jordan et al. 2024) makes the momentum of a matrix orthogonal before it is applied. It is meant for hidden
matrices: the embeddings, the vocabulary's head, kernels of convolutions, biases and LayerNorms stay with AdamW. Its
step is scaled by 0.2 sqrt(max(rows, columns)) (Liu et al. 2025, equation 4), the root mean square of AdamW's: one
learning rate and one weight decay serve both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

_SCALING = "match_rms_adamw"


def is_hidden_matrix(name: str, parameter: Tensor) -> bool:
    """Whether Muon trains a parameter: a matrix of an encoder's layer."""
    return parameter.ndim == 2 and ".encoder.layer." in f".{name}"


class MuonWithAdamW(Optimizer):
    """Two optimizers as one: a schedule, a checkpoint and a step are those of both.

    Args:
        matrices: for Muon.
        groups: for AdamW, as it takes them.
        weight_decay: of the matrices; groups have their own.
        options: of AdamW.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        groups: Sequence[dict[str, Any]],
        learning_rate: float,
        weight_decay: float,
        **options: Any,
    ) -> None:
        self.parts: tuple[Optimizer, ...] = (
            Muon(list(matrices), lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn=_SCALING),
            AdamW(list(groups), lr=learning_rate, **options),
        )
        super().__init__([group for part in self.parts for group in part.param_groups], {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step of both."""
        if closure is not None:
            raise ValueError("closures are not supported")
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Those of both."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Both; groups are the parts' own again."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def make_optimizer(
    model: nn.Module, decaying: Iterable[str], learning_rate: float, weight_decay: float, **options: Any
) -> MuonWithAdamW:
    """The optimizer of a model, of whose parameters those named by `decaying` decay."""
    decaying = set(decaying)
    matrices: list[Tensor] = []
    rest: tuple[list[Tensor], list[Tensor]] = ([], [])
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (matrices if is_hidden_matrix(name, parameter) else rest[name in decaying]).append(parameter)
    groups = [{"params": rest[1], "weight_decay": weight_decay}, {"params": rest[0], "weight_decay": 0.0}]
    return MuonWithAdamW(matrices, groups, learning_rate, weight_decay, **options)
