"""The super-net: in each layer an attention branch with every input map, and a convolution branch of width 65.

It is an ordinary model of the compiler's whose layers are two: choose a genome, and it runs as that genome's model
does. A candidate's tensors and the super-net's have names that go to and fro: `supernet_names`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from autobertc.compiler.modeling.attention import INPUT_MAPS, Program
from autobertc.compiler.modeling.configuration import BackboneConfig
from autobertc.compiler.modeling.encoder import Layer
from autobertc.compiler.modeling.model import Model
from autobertc.compiler.modeling.pretraining import ForMaskedLM, ForPreTraining, MaskedLanguageModel
from autobertc.compiler.module_text import configuration_fields
from autobertc.dsl.architecture import Architecture, AttentionLayer, Sizes
from autobertc.dsl.errors import UserError
from autobertc.runtime.build import modeling_module
from autobertc.search.biws.kernels import WIDEST, WIDTHS, KernelChain, attach_chain

Scope = Literal["layer", "branch"]
Tensors = dict[str, Tensor]
BRANCHES = ("attention", "convolution")
_EVERYTHING = "everything"


@dataclass(frozen=True)
class Sharing:
    """What belongs to a layer, whichever branch is taken, and what to the branch.

    Attributes:
        feed_forward: the two linear maps of the feed-forward block.
        norms: the LayerNorm after the mixing and that after the feed-forward block.
    """

    feed_forward: Scope = "layer"
    norms: Scope = "layer"

    def __post_init__(self) -> None:
        for name in ("feed_forward", "norms"):
            if getattr(self, name) not in ("layer", "branch"):
                raise UserError(f'sharing: {name} is "layer" or "branch", not {getattr(self, name)!r}')


class SuperLayer(nn.Module):
    """Two layers, one taken at a time; what they share is one module under two names."""

    def __init__(self, config: BackboneConfig, sharing: Sharing) -> None:
        super().__init__()
        every = Program(tuple(INPUT_MAPS), _unchosen)
        self.attention = Layer(config, {"type": "attention", "program": _EVERYTHING}, {_EVERYTHING: every})
        self.convolution = Layer(config, {"type": "convolution", "kernel_size": WIDEST}, {})
        self.chain: list[KernelChain] = []  # in a list: it is a sub-module already
        if sharing.feed_forward == "layer":
            self.convolution.intermediate = self.attention.intermediate
            self.convolution.output.dense = self.attention.output.dense
        if sharing.norms == "layer":
            self.convolution.output.LayerNorm = self.attention.output.LayerNorm
            self.convolution.convolution.output.LayerNorm = self.attention.attention.output.LayerNorm
        self.branch = "attention"

    def attach(self) -> None:
        """Put the chain on, once weights are drawn."""
        self.chain.append(attach_chain(self.convolution.convolution.self, WIDEST, narrowest=WIDTHS[-1]))

    def choose(self, choice: Program | int) -> None:
        """Take a branch: a compiled program, or a kernel size."""
        if isinstance(choice, int):
            self.branch, self.chain[0].width = "convolution", choice
        else:
            self.branch, self.attention.attention.self.program = "attention", choice

    def forward(self, hidden_states: Tensor, mask: Tensor | None = None, output_attentions: bool = False) -> Tensor:
        """As a layer's."""
        output: Tensor = getattr(self, self.branch)(hidden_states, mask, output_attentions)
        return output


def _unchosen(*inputs: Any) -> Tensor:
    raise RuntimeError("choose a genome before the super-net runs")


class _SuperModel(Model):
    """The base model with super-layers, chosen by `config.supernet`."""

    def __init__(self, config: Any, add_pooling_layer: bool = True) -> None:
        super().__init__(config, add_pooling_layer)
        sharing = Sharing(**config.supernet["sharing"])
        self.encoder.layer = nn.ModuleList(SuperLayer(config, sharing) for _ in range(config.supernet["layers"]))


class SuperMaskedLM(ForMaskedLM):
    """The super-net with a masked-LM head."""

    model_class = _SuperModel


class SuperPreTraining(ForPreTraining):
    """The super-net with pooler, masked-LM and next-sentence heads."""

    model_class = _SuperModel


_CLASSES: dict[str, type[MaskedLanguageModel]] = {"masked-lm": SuperMaskedLM, "pre-training": SuperPreTraining}


def make_supernet(sizes: Sizes, layers: int, head: str, sharing: Sharing, seed: int) -> MaskedLanguageModel:
    """A super-net with weights drawn from a seed as a model's are.

    `head` is "masked-lm" or "pre-training". Raises `ValueError` for another.
    """
    if head not in _CLASSES:
        raise ValueError(f"a super-net's head is one of {', '.join(_CLASSES)}, not {head!r}")
    config = BackboneConfig(
        **configuration_fields(sizes),
        backend="eager",
        supernet={"layers": layers, "sharing": {"feed_forward": sharing.feed_forward, "norms": sharing.norms}},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _CLASSES[head](config)
        for module in model.modules():
            if isinstance(module, SuperLayer):
                module.attach()
    return model


def choose(supernet: MaskedLanguageModel, architecture: Architecture) -> None:
    """Make the super-net run as an architecture. Raises `ValueError` for another number of layers."""
    layers: Any = supernet.bert.encoder.layer
    if len(layers) != len(architecture.layers):
        raise ValueError(f"the super-net has {len(layers)} layers, the architecture {len(architecture.layers)}")
    module = modeling_module(architecture)
    for layer, entry in zip(layers, module.AutobertcConfig().layers, strict=True):
        assert isinstance(layer, SuperLayer)
        layer.choose(module.PROGRAMS[entry["program"]] if entry["type"] == "attention" else entry["kernel_size"])


def supernet_tensors(supernet: MaskedLanguageModel) -> Tensors:
    """Every tensor of a super-net, each once: what branches share is under the attention branch's name."""
    return {name: parameter.detach().clone() for name, parameter in supernet.named_parameters()}


def load_supernet(supernet: MaskedLanguageModel, tensors: Mapping[str, Tensor]) -> None:
    """Give a super-net the weights of a snapshot. Raises `ValueError` where they are another super-net's."""
    parameters = dict(supernet.named_parameters())
    if set(parameters) != set(tensors):
        raise ValueError("the tensors are those of another super-net")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])


def supernet_name(name: str, architecture: Architecture, sharing: Sharing) -> str:
    """The super-net's name of a candidate's tensor."""
    head, mark, rest = name.partition("encoder.layer.")
    if not mark:
        return name
    number, _, part = rest.partition(".")
    attention = isinstance(architecture.layers[int(number)], AttentionLayer)
    branch = "attention" if attention else "convolution"
    owner = branch
    is_norm = ".LayerNorm." in f".{part}"
    is_feed_forward = part.startswith(("intermediate.", "output.dense."))
    if (is_norm and sharing.norms == "layer") or (is_feed_forward and sharing.feed_forward == "layer"):
        owner = BRANCHES[0]
        part = part.replace("convolution.output.LayerNorm", "attention.output.LayerNorm")
    return f"{head}{mark}{number}.{owner}.{part}"
