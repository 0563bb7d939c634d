"""The pre-training models: masked language modelling, with or without next-sentence prediction."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.modeling_outputs import MaskedLMOutput
from transformers.utils import ModelOutput, can_return_tuple

from .configuration import BackboneConfig
from .linear import Linear
from .model import Head

IGNORED = -100  # the label of a position that is not predicted


class PredictionTransform(nn.Module):
    """Linear map to the width of the embeddings, activation, LayerNorm."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.dense = Linear(config.hidden_size, config.embedding_width)
        self.activation = ACT2FN[config.hidden_act]
        self.LayerNorm = nn.LayerNorm(config.embedding_width, eps=config.layer_norm_eps)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`[..., hidden]` to `[..., embedding]`."""
        output: Tensor = self.LayerNorm(self.activation(self.dense(hidden_states)))
        return output


class LanguageModelHead(nn.Module):
    """Scores of every word of the vocabulary. The decoder's matrix is that of the word embeddings."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.transform = PredictionTransform(config)
        self.decoder: nn.Linear = Linear(config.embedding_width, config.vocab_size)
        # The decoder's bias once more: BERT's checkpoints have it under this name.
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`[..., hidden]` to `[..., vocabulary]`."""
        output: Tensor = self.decoder(self.transform(hidden_states))
        return output


class PreTrainingHeads(nn.Module):
    """The masked-LM head and, if asked for, the next-sentence head."""

    def __init__(self, config: BackboneConfig, next_sentence: bool) -> None:
        super().__init__()
        self.predictions = LanguageModelHead(config)
        if next_sentence:
            self.seq_relationship = nn.Linear(config.hidden_size, 2)


class MaskedLanguageModel(Head):
    """What the two pre-training models share: the tied vocabulary head, and its loss.

    The head is most of a small model's work, and 85% of it would be for positions without a label. With
    `labels`, and logits not asked for, it is computed for labelled positions only. `output_logits` asks for
    logits; None asks for them except in training with `labels` and `config.sparse_prediction`. Without labels
    there are always logits.
    """

    _tied_weights_keys: ClassVar[dict[str, str]] = {
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    }

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__(config)
        self.cls = PreTrainingHeads(config, next_sentence=self.pooled)
        self.loss_type = "ForMaskedLM"  # which of the library's losses `loss_function` is
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, LanguageModelHead):
            init.zeros_(module.bias)

    def get_output_embeddings(self) -> nn.Linear:
        return self.cls.predictions.decoder

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        self.cls.predictions.decoder = new_embeddings
        self.cls.predictions.bias = new_embeddings.bias

    def predict(
        self, hidden_states: Tensor, labels: Tensor | None, output_logits: bool | None, **kwargs: Any
    ) -> tuple[Tensor | None, Tensor | None]:
        """Logits `[batch, N, vocabulary]` and the masked-LM loss, each None if not asked for.

        Args:
            hidden_states: `[batch, N, hidden]`.
            labels: `[batch, N]`, -100 where nothing is predicted.
            output_logits: see the class.
            kwargs: `num_items_in_batch`, what to divide the sum of losses by, by default the number of labels
                (a Trainer that accumulates gradients gives that of all its steps). No labels: the loss is 0.
        """
        if labels is None:
            return self.cls.predictions(hidden_states), None
        if output_logits is None:
            output_logits = not (self.training and self.config.sparse_prediction)
        labels = labels.to(hidden_states.device)

        # The number of labelled positions is data, and a compiled graph has fixed shapes.
        if output_logits or torch.compiler.is_compiling():
            logits = self.cls.predictions(hidden_states)
            loss = self._masked_lm_loss(logits, labels, **kwargs)
            return logits if output_logits else None, loss
        labels = labels.flatten()
        labelled = (labels != IGNORED).nonzero().squeeze(1)
        logits = self.cls.predictions(hidden_states.flatten(0, 1).index_select(0, labelled))
        return None, self._masked_lm_loss(logits, labels[labelled], **kwargs)

    def _masked_lm_loss(
        self, logits: Tensor, labels: Tensor, num_items_in_batch: Tensor | int | None = None, **kwargs: Any
    ) -> Tensor:
        count = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        count = count + (count == 0)  # the sum is 0 then, and must not become 0 / 0
        loss: Tensor = self.loss_function(logits, labels, self.config.vocab_size, num_items_in_batch=count, **kwargs)
        return loss


class ForMaskedLM(MaskedLanguageModel):
    """Masked language modelling."""

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_logits: bool | None = None,
        **kwargs: Any,
    ) -> MaskedLMOutput:
        """`labels` `[batch, N]`: the right word where one is predicted, -100 elsewhere."""
        inputs = (input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        encoded = self.encode(*inputs, **kwargs)
        logits, loss = self.predict(encoded.last_hidden_state, labels, output_logits, **kwargs)
        return MaskedLMOutput(
            loss=loss, logits=logits, hidden_states=encoded.hidden_states, attentions=encoded.attentions
        )


@dataclass
class PreTrainingOutput(ModelOutput):
    """Both losses added up; logits `[batch, N, vocabulary]` and `[batch, 2]`."""

    loss: Tensor | None = None
    prediction_logits: Tensor | None = None
    seq_relationship_logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class ForPreTraining(MaskedLanguageModel):
    """BERT's pre-training: masked language modelling and next-sentence prediction."""

    pooled = True

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        next_sentence_label: Tensor | None = None,
        output_logits: bool | None = None,
        **kwargs: Any,
    ) -> PreTrainingOutput:
        """`labels` `[batch, N]`: the right word where one is predicted, -100 elsewhere.

        `next_sentence_label` `[batch]`: 0 if the second sentence follows the first, 1 if it is a random one.
        """
        inputs = (input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds)
        encoded = self.encode(*inputs, **kwargs)
        logits, loss = self.predict(encoded.last_hidden_state, labels, output_logits, **kwargs)
        relationship = self.cls.seq_relationship(encoded.pooler_output)
        if next_sentence_label is not None:
            sentence_loss = F.cross_entropy(relationship.float(), next_sentence_label.view(-1))
            count = kwargs.get("num_items_in_batch")
            if labels is not None and count is not None:
                # One of several steps whose losses are added up: this one has its share of the predictions.
                sentence_loss = sentence_loss * ((labels != IGNORED).sum() / (count + (count == 0)))
            loss = sentence_loss if loss is None else loss + sentence_loss
        return PreTrainingOutput(
            loss=loss,
            prediction_logits=logits,
            seq_relationship_logits=relationship,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )
