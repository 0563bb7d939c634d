"""The first half of BERT's feed-forward block; a `ResidualOutput` is the second."""

from torch import Tensor, nn
from transformers.activations import ACT2FN

from .configuration import BackboneConfig
from .linear import Linear


class Intermediate(nn.Module):
    """A linear map to `config.intermediate_size` and the activation."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.dense = Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`[batch, N, hidden]` to `[batch, N, intermediate]`."""
        output: Tensor = self.activation(self.dense(hidden_states))
        return output
