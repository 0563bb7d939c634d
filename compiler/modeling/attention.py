"""The attention layer: linear maps of the input, a compiled program on them, a linear map back."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from .backends import run
from .configuration import BackboneConfig
from .linear import Linear
from .residual import ResidualOutput

# A program's inputs and the linear maps that make them, under BERT's names; P, the fourth, has none there.
INPUT_MAPS = {"Q": "query", "K": "key", "V": "value", "P": "auxiliary"}


@dataclass(frozen=True)
class Program:
    """A compiled attention program.

    Attributes:
        inputs: those of Q, K, V and P that it uses, in the order in which its functions take them.
        function: `function(*inputs, mask, dropout_p)`, inputs `[batch, heads, N, D]`, mask `[batch, N]`
            (bool, True for real tokens) or None for all real; the result is `[batch, heads, N, D]`.
        with_map: the same, returning `(result, map)`, the map `[batch, heads, N, N]`; None for a program
            without a softmax map.
        kernels: gives the function in fused kernels, when first called; None where there are none.
    """

    inputs: tuple[str, ...]
    function: Callable[..., Tensor]
    with_map: Callable[..., tuple[Tensor, Tensor]] | None = None
    kernels: Callable[[], Callable[..., Tensor]] | None = None


class SelfAttention(nn.Module):
    """The linear maps that a program uses, split into heads, and the program on each head."""

    def __init__(self, config: BackboneConfig, program: Program) -> None:
        super().__init__()
        self.program = program
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.dropout_p = config.attention_probs_dropout_prob
        self.backend = config.backend
        for name in program.inputs:
            self.add_module(INPUT_MAPS[name], Linear(config.hidden_size, config.hidden_size))

    def forward(
        self, hidden_states: Tensor, mask: Tensor | None = None, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """`[batch, N, hidden]` to the same, and the attention map if there is one and it is asked for."""
        inputs = []
        for name in self.program.inputs:
            projected = getattr(self, INPUT_MAPS[name])(hidden_states)
            inputs.append(projected.unflatten(-1, (-1, self.head_dim)).transpose(1, 2))
        dropout_p = self.dropout_p if self.training else 0.0

        attention_map = None
        if output_attentions and self.program.with_map is not None:
            output, attention_map = self.program.with_map(*inputs, mask, dropout_p)
        else:
            output = run(self.backend, self.program.function, self.program.kernels, tuple(inputs), mask, dropout_p)
        return output.transpose(1, 2).flatten(2), attention_map


class Attention(nn.Module):
    """`SelfAttention` and the residual connection around it."""

    def __init__(self, config: BackboneConfig, program: Program) -> None:
        super().__init__()
        self.self = SelfAttention(config, program)
        self.output = ResidualOutput(config, config.hidden_size)

    def forward(self, hidden_states: Tensor, mask: Tensor | None = None, output_attentions: bool = False) -> Tensor:
        """`[batch, N, hidden]` to the same. Maps are recorded where `SelfAttention` returns them."""
        mixed, _ = self.self(hidden_states, mask, output_attentions)
        output: Tensor = self.output(mixed, hidden_states)
        return output
