"""BERT's embeddings: word, position and segment type, added and normalised."""

import torch
from torch import Tensor, nn

from .configuration import BackboneConfig


class Embeddings(nn.Module):
    """The sum of three embeddings of width `config.embedding_width`, then LayerNorm and dropout."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        width = config.embedding_width
        self.word_embeddings = nn.Embedding(config.vocab_size, width, padding_idx=config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self,
        input_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """`input_ids` `[batch, N]` or `inputs_embeds` `[batch, N, embedding]`, to the latter's shape.

        Types default to 0, positions to 0, 1, 2, ...

        Raises:
            ValueError: both or neither of the two, or a sequence longer than the position embeddings.
        """
        if input_ids is not None and inputs_embeds is None:
            embeddings = self.word_embeddings(input_ids)
        elif inputs_embeds is not None and input_ids is None:
            embeddings = inputs_embeds
        else:
            raise ValueError("give either input_ids or inputs_embeds")

        if token_type_ids is None:  # one row, which broadcasts
            token_type_ids = torch.zeros(1, 1, dtype=torch.long, device=embeddings.device)
        if position_ids is None:
            length, longest = embeddings.shape[1], self.position_embeddings.num_embeddings
            if length > longest:
                raise ValueError(f"a sequence of {length} tokens, but max_position_embeddings is {longest}")
            position_ids = torch.arange(length, device=embeddings.device)[None]

        embeddings = embeddings + self.token_type_embeddings(token_type_ids)
        embeddings = embeddings + self.position_embeddings(position_ids)
        output: Tensor = self.dropout(self.LayerNorm(embeddings))
        return output
