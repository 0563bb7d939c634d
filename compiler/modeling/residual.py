"""The end of every block of a layer: back to the hidden width, add the block's input, normalise."""

from torch import Tensor, nn

from .configuration import BackboneConfig
from .linear import Linear


class ResidualOutput(nn.Module):
    """`LayerNorm(dropout(dense(x)) + residual)`, BERT's post-norm.

    Args:
        input_size: width of `x`; the result has `config.hidden_size`.
    """

    def __init__(self, config: BackboneConfig, input_size: int) -> None:
        super().__init__()
        self.dense = Linear(input_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden_states: Tensor, residual: Tensor) -> Tensor:
        """`[batch, N, input_size]` and `[batch, N, hidden]` to `[batch, N, hidden]`."""
        output: Tensor = self.LayerNorm(self.dropout(self.dense(hidden_states)) + residual)
        return output
