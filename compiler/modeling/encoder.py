"""One layer, and the stack of them."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from .attention import Attention, Program
from .configuration import BackboneConfig
from .convolution import Convolution
from .feed_forward import Intermediate
from .residual import ResidualOutput


class Layer(GradientCheckpointingLayer):
    """Attention or convolution, then the feed-forward block.

    Args:
        layer: the layer's entry in `config.layers`.
        programs: the model's attention programs by name.

    Raises:
        ValueError: `layer` names a program that is not there.
    """

    def __init__(self, config: BackboneConfig, layer: Mapping[str, Any], programs: Mapping[str, Program]) -> None:
        super().__init__()
        self.is_attention = layer["type"] == "attention"
        if self.is_attention:
            if layer["program"] not in programs:
                known = ", ".join(programs) or "none"
                raise ValueError(f"no attention program {layer['program']!r} in this model (there is: {known})")
            self.attention = Attention(config, programs[layer["program"]])
        else:
            self.convolution = Convolution(config, layer["kernel_size"])
        self.intermediate = Intermediate(config)
        self.output = ResidualOutput(config, config.intermediate_size)

    def forward(self, hidden_states: Tensor, mask: Tensor | None = None, output_attentions: bool = False) -> Tensor:
        """`[batch, N, hidden]`, mask `[batch, N]` (bool, True for real tokens) or None, to the former."""
        if self.is_attention:
            hidden_states = self.attention(hidden_states, mask, output_attentions)
        else:
            hidden_states = self.convolution(hidden_states, mask)
        output: Tensor = self.output(self.intermediate(hidden_states), hidden_states)
        return output


class Encoder(nn.Module):
    """The layers of `config.layers`, in order."""

    def __init__(self, config: BackboneConfig, programs: Mapping[str, Program]) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config, layer, programs) for layer in config.layers)

    def forward(self, hidden_states: Tensor, mask: Tensor | None = None, output_attentions: bool = False) -> Tensor:
        """As `Layer.forward`."""
        for layer in self.layer:
            hidden_states = layer(hidden_states, mask, output_attentions)
        return hidden_states
