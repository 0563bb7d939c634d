"""The base model: embeddings, encoder, pooler; and what every head on it shares."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils.output_capturing import capture_outputs

from .attention import Program, SelfAttention
from .configuration import BackboneConfig
from .convolution import SelfConvolution
from .embeddings import Embeddings
from .encoder import Encoder, Layer
from .linear import Linear


class PreTrainedBackbone(PreTrainedModel):
    """What all compiled models share: how they are configured, loaded, initialised and observed."""

    config: BackboneConfig
    config_class = BackboneConfig
    base_model_prefix = "bert"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True
    _no_split_modules: ClassVar[list[str]] = ["Embeddings", "Layer"]
    # The first result of a class listed under "hidden_states" is recorded, the second of any other.
    _can_record_outputs: ClassVar[dict[str, type[nn.Module]]] = {
        "hidden_states": Layer,
        "attentions": SelfAttention,
    }

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, SelfConvolution):
            init.xavier_uniform_(module.kernel)


class Pooler(nn.Module):
    """`tanh(dense(x))` of the first token."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`[batch, N, hidden]` to `[batch, hidden]`."""
        return torch.tanh(self.dense(hidden_states[:, 0]))


class Model(PreTrainedBackbone):
    """The base model. A compiled model is a subclass with its own `config_class` and `programs`."""

    programs: ClassVar[Mapping[str, Program]] = {}

    def __init__(self, config: BackboneConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.has_projection = config.embedding_width != config.hidden_size
        if self.has_projection:
            self.embeddings_project = Linear(config.embedding_width, config.hidden_size)
        self.encoder = Encoder(config, self.programs)
        self.pooler = Pooler(config) if add_pooling_layer else None
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.embeddings.word_embeddings = value

    @capture_outputs
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling:
        """Hidden states of every token, and the pooled first one.

        Args:
            input_ids: `[batch, N]`; or `inputs_embeds` instead.
            attention_mask: `[batch, N]`, non-zero (or True) for real tokens. None: all are.
            token_type_ids: `[batch, N]`, the segment of each token. None: 0.
            position_ids: `[batch, N]` or `[1, N]`. None: 0, 1, 2, ...
            inputs_embeds: `[batch, N, embedding_size]`.
            kwargs: `output_hidden_states`, `output_attentions` and `return_dict`, as in every Hugging Face
                model. Attention maps are a tuple over the layers that have one.

        Raises:
            ValueError: both or neither of `input_ids` and `inputs_embeds`, a mask of another shape, too long
                a sequence, or maps asked of a model in which no layer has any.
        """
        output_attentions = bool(kwargs.get("output_attentions", self.config.output_attentions))
        if output_attentions and not self._has_attention_maps():
            raise ValueError("output_attentions: no layer of this model has an attention map")

        hidden_states = self.embeddings(input_ids, token_type_ids, position_ids, inputs_embeds)
        if self.has_projection:
            hidden_states = self.embeddings_project(hidden_states)
        mask = _real_tokens(attention_mask, hidden_states)
        hidden_states = self.encoder(hidden_states, mask, output_attentions)
        pooled = self.pooler(hidden_states) if self.pooler is not None else None
        return BaseModelOutputWithPooling(last_hidden_state=hidden_states, pooler_output=pooled)

    def _has_attention_maps(self) -> bool:
        layers = [layer for layer in self.config.layers if layer["type"] == "attention"]
        return any(self.programs[layer["program"]].with_map is not None for layer in layers)


class Head(PreTrainedBackbone):
    """A base model under the name `bert`, for subclasses to put something on.

    All their forwards take the base model's arguments and pass them on, `kwargs` among them. A compiled
    model's head is a subclass of one of them with its own `config_class` and `model_class`.
    """

    model_class: ClassVar[type[Model]] = Model
    pooled: ClassVar[bool] = False

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__(config)
        self.bert = self.model_class(config, add_pooling_layer=self.pooled)

    def encode(self, *inputs: Tensor | None, **kwargs: Any) -> BaseModelOutputWithPooling:
        """The base model's output, a `ModelOutput` whatever `return_dict` says."""
        return self.bert(*inputs, **{**kwargs, "return_dict": True})


def _real_tokens(attention_mask: Tensor | None, hidden_states: Tensor) -> Tensor | None:
    """The mask as programs take it: `[batch, N]`, bool, True for real tokens; None when all are."""
    if attention_mask is None:
        return None
    if attention_mask.shape != hidden_states.shape[:2]:
        raise ValueError(
            f"attention_mask is {tuple(attention_mask.shape)}; a compiled model takes [batch, sequence], "
            f"here {tuple(hidden_states.shape[:2])}"
        )
    mask = attention_mask.bool()
    # Without a mask everything is faster. Looking would make a graph depend on data, or make a GPU wait.
    if not torch.compiler.is_compiling() and mask.device.type == "cpu" and mask.all():
        return None
    return mask
