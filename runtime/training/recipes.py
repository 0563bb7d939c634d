"""The numbers of a pre-training, by name: the paper's (Gao et al. 2022, Table 6 and appendix D), and a modern one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from autobertc.dsl.errors import UserError
from autobertc.runtime.data.errors import unknown

OptimizerName = Literal["adamw", "muon"]
OPTIMIZERS: tuple[OptimizerName, ...] = ("adamw", "muon")
Schedule = Literal["linear", "warmup-stable-decay"]
Precision = Literal["float32", "bf16", "auto"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bf16", "auto")


class TrainingError(UserError):
    """A training that cannot start, or must stop, in words for a user."""


class NotFinite(TrainingError):
    """A training that stopped because a loss or a gradient was not a finite number."""


@dataclass(frozen=True)
class Recipe:
    """How a backbone is pre-trained.

    Attributes:
        learning_rate: the greatest.
        schedule: after the warm-up, down to 0 in a straight line; or constant, and down at the end.
        warmup: the share of steps in which the learning rate grows to its greatest.
        decay: the share of steps at the end in which it falls, where it is constant before.
        betas, epsilon, weight_decay, max_grad_norm: of AdamW; biases and LayerNorms do not decay.
        optimizer: AdamW for all parameters, or Muon for hidden matrices (`muon`).
        fused: AdamW's step as one kernel.
        dropout: all three rates of the model in pre-training; None for those of its header.
        batch: sequences a step, over all devices and micro-batches.
        batch_ramp: the share of steps at the start in which the batch grows to that in a straight line.
        length: tokens of a sequence.
        mask_rate, whole_words: what is masked (`Masking`).
        unigram_bias: whether the bias of the vocabulary's head starts at the logarithm of each token's share of the
            text, instead of 0: Adam takes thousands of steps to move a bias that far.
        next_sentence: whether there is next-sentence prediction beside masked words.
        precision: of the forward pass; "auto" is bf16 where the device has it.
        compile: `torch.compile` of embeddings and layers, on a GPU.
        steps, epochs: how long, if the user does not say; one of them is None.
    """

    learning_rate: float = 1e-4
    schedule: Schedule = "linear"
    warmup: float = 0.01
    decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-6
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    optimizer: OptimizerName = "adamw"
    fused: bool = False
    dropout: float | None = 0.1
    batch: int = 160
    batch_ramp: float = 0.0
    length: int = 128
    mask_rate: float = 0.15
    whole_words: bool = False
    unigram_bias: bool = False
    next_sentence: bool = True
    precision: Precision = "float32"
    compile: bool = False
    steps: int | None = None
    epochs: int | None = 40

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < float("inf"):
            raise TrainingError(f"the learning rate must be above 0, not {self.learning_rate:g}")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise TrainingError(f"the dropout rate must be at least 0 and below 1, not {self.dropout:g}")
        for what, number in (("batch", self.batch), ("number of steps", self.steps), ("number of epochs", self.epochs)):
            if number is not None and number < 1:
                raise TrainingError(f"the {what} must be at least 1, not {number}")
        if not 0 <= self.batch_ramp < 1:
            raise TrainingError(
                f"the batch's ramp must be at least 0 and below 1 of the steps, not {self.batch_ramp:g}"
            )
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        if self.optimizer not in OPTIMIZERS:
            raise unknown("optimizer", self.optimizer, OPTIMIZERS)

    @property
    def head(self) -> str:
        """The model's head."""
        return "pre-training" if self.next_sentence else "masked-lm"

    def warmup_steps(self, steps: int) -> int:
        """How many of a run's steps the warm-up has."""
        return round(self.warmup * steps)

    def decay_steps(self, steps: int) -> int:
        """How many of a run's steps the decay at the end has."""
        return max(1, round(self.decay * steps))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "betas": list(self.betas)}


PRESETS: dict[str, Recipe] = {
    "small": Recipe(batch=320),
    "base": Recipe(batch=160),
    "large": Recipe(batch=80, warmup=0.02),
    "fast": Recipe(learning_rate=2e-4, batch=160, warmup=0.02, steps=40_000, epochs=None),
    # What Cramming, MosaicBERT and ModernBERT share (Geiping & Goldstein 2023; Portes et al. 2023; Warner et al. 2024).
    "modern": Recipe(
        learning_rate=5e-4,
        schedule="warmup-stable-decay",
        warmup=0.06,
        decay=0.2,
        betas=(0.9, 0.98),
        fused=True,
        dropout=0.0,
        batch=256,
        mask_rate=0.3,
        unigram_bias=True,
        next_sentence=False,
        precision="auto",
    ),
}
"""Table 6 for three sizes; appendix D.1's fast pre-training; and what later recipes have in common. The paper does not
say epsilon, weight decay and clipping: they are BERT's."""


def recipe(preset: str, changes: Mapping[str, Any]) -> Recipe:
    """A preset with some of its numbers changed; those that are None stay. Steps replace epochs and epochs steps.

    Raises `DataError` for an unknown preset, `TrainingError` for numbers that cannot be.
    """
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    given = {name: value for name, value in changes.items() if value is not None}
    if "steps" in given and "epochs" in given:
        raise TrainingError("give steps or epochs, not both")
    if "steps" in given:
        given["epochs"] = None
    elif "epochs" in given:
        given["steps"] = None
    return replace(PRESETS[preset], **given)
