"""The configuration of a compiled model: BERT's, with the list of layers in the place of their number."""

from dataclasses import field
from typing import Any

from transformers import PreTrainedConfig

BACKENDS = ("auto", "eager", "triton")


class BackboneConfig(PreTrainedConfig):
    """Sizes, rates and layers of a compiled model. Every field is a keyword argument; defaults are BERT's.

    Fields:
        vocab_size: entries of the vocabulary.
        hidden_size: width of the hidden states, a multiple of `num_attention_heads`.
        num_attention_heads: heads of attention layers, and kernels of convolution layers.
        intermediate_size: width inside the feed-forward block.
        embedding_size: width of word, position and type embeddings, which a linear map then brings to
            `hidden_size` (ELECTRA, Clark et al. 2020). None: `hidden_size`, and no such map.
        max_position_embeddings: longest sequence, in tokens.
        type_vocab_size: number of segment types.
        hidden_act: activation of the feed-forward block and of the masked-LM head, by its Hugging Face name.
        hidden_dropout_prob: dropout rate of embeddings and of the output of every block.
        attention_probs_dropout_prob: dropout rate of attention maps.
        kernel_dropout_prob: DropConnect rate of normalised convolution kernels.
        classifier_dropout: dropout rate before a classifier. None: `hidden_dropout_prob`.
        initializer_range: standard deviation of initial weights.
        layer_norm_eps: the epsilon of every LayerNorm.
        pad_token_id: the token whose word embedding stays zero.
        layers: one dictionary a layer, first to last:
            `{"type": "attention", "program": NAME}` or `{"type": "convolution", "kernel_size": K}`, K odd.
        num_hidden_layers: the length of `layers`; need not be given.
        sparse_prediction: in training, compute the masked-LM head on labelled positions only.
        backend: what runs programs and convolutions: "auto", "eager" or "triton" (backends.py).
        tie_word_embeddings: the masked-LM head shares its matrix with the word embeddings.
        genome: the architecture's text, for the reader; nothing is computed from it.

    Raises:
        ValueError: sizes or layers that do not fit each other.
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    embedding_size: int | None = None
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    kernel_dropout_prob: float = 0.1
    classifier_dropout: float | None = None
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    layers: list[dict[str, Any]] = field(default_factory=list)
    num_hidden_layers: int | None = None
    sparse_prediction: bool = True
    backend: str = "auto"
    tie_word_embeddings: bool = True
    genome: str = ""

    def __post_init__(self, **kwargs: Any) -> None:
        if self.num_hidden_layers is None:
            self.num_hidden_layers = len(self.layers)
        super().__post_init__(**kwargs)
        if self.num_hidden_layers != len(self.layers):
            raise ValueError(f"num_hidden_layers is {self.num_hidden_layers}, but layers has {len(self.layers)}")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        if self.backend not in BACKENDS:
            raise ValueError(f"there is no backend {self.backend!r}; choose one of {', '.join(BACKENDS)}")
        for number, layer in enumerate(self.layers, start=1):
            if layer.get("type") not in ("attention", "convolution"):
                raise ValueError(f"layer {number}: type is 'attention' or 'convolution', not {layer.get('type')!r}")
            if layer["type"] == "convolution" and layer["kernel_size"] % 2 == 0:
                raise ValueError(f"layer {number}: kernel_size {layer['kernel_size']} is not odd")

    @property
    def embedding_width(self) -> int:
        """`embedding_size` with its default."""
        return self.hidden_size if self.embedding_size is None else self.embedding_size

    # The library refuses attention maps under its default implementation, "sdpa". The setting has no meaning
    # here: programs are plain functions, and one that is asked for its map computes it.
    @property
    def _attn_implementation(self) -> str:
        return "eager"

    @_attn_implementation.setter
    def _attn_implementation(self, value: str | dict[str, str] | None) -> None:
        self._attn_implementation_internal = value
