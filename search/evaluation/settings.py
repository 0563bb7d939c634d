"""How candidates are trained and scored: the `[evaluation]` table of a search's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from autobertc.dsl.architecture import Sizes
from autobertc.dsl.errors import UserError
from autobertc.runtime.data.errors import unknown

PROXIES = ("mechanistic", "masked-lm", "tasks")
OBJECTIVES = ("score", "flops", "parameters", "latency")
DEVICES = ("cpu", "cuda", "auto")


class EvaluationError(UserError):
    """An evaluation that cannot be, in words for a user."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How a candidate is trained and scored.

    Attributes:
        proxy: "mechanistic": the mean accuracy on mechanistic tasks, trained together. "masked-lm": less the loss on
            held-out text, in nats a masked token. "tasks": the mean of tasks' own metrics, fine-tuned on each after
            pre-training as for "masked-lm".
        tasks: the proxy's tasks, by name; none for all mechanistic ones, and for "tasks" the stand-ins that little
            training can learn, corpus-of-origin and shuffled. "glue" is the nine of GLUE.
        task_data: where the rows of `tasks` are; none for where they are by default.
        steps, batch, length: of the training: updates, rows of an update, tokens of a row.
        learning_rates: each candidate is trained with every one of them, and the better training counts.
        warmup: the share of steps in which the learning rate grows before it falls to 0.
        weight_decay: of matrices and of the kernel taps in use.
        scored: rows of each mechanistic task, or held-out sequences, that a score is made on.
        symbols: of mechanistic tasks; the vocabulary needs 8 more.
        sources: of text, as on the command line.
        mask_rate, next_sentence: of pre-training.
        finetune_epochs, finetune_rate, finetune_batch: of fine-tuning (the paper's proxy: 3, 2e-5, 32).
        objectives: what is sought, of `OBJECTIVES`, the score first; all but the score are to be small.
        junk_filter: whether a candidate must pass `junk.check` before it is trained.
        hurdles: whether candidates stop at a rung whose threshold they do not reach.
        rungs: shares of the steps at which they are scored, the last 1.
        device: "cpu", "cuda", or "auto" for the latter where there is one.
    """

    proxy: str = "mechanistic"
    tasks: tuple[str, ...] = ()
    task_data: tuple[str, ...] = ()
    steps: int = 200
    batch: int = 32
    length: int = 32
    learning_rates: tuple[float, ...] = (3e-3,)
    warmup: float = 0.1
    weight_decay: float = 0.01
    scored: int = 128
    symbols: int = 24
    sources: tuple[str, ...] = ("default",)
    mask_rate: float = 0.15
    next_sentence: bool = True
    finetune_epochs: float = 3.0
    finetune_rate: float = 2e-5
    finetune_batch: int = 32
    objectives: tuple[str, ...] = ("score",)
    junk_filter: bool = True
    hurdles: bool = False
    rungs: tuple[float, ...] = (0.1, 0.25, 1.0)
    device: str = "cpu"

    def __post_init__(self) -> None:
        for what, value, choices in (
            ("proxy", self.proxy, PROXIES),
            ("device", self.device, DEVICES),
            *(("objective", objective, OBJECTIVES) for objective in self.objectives),
        ):
            if value not in choices:
                raise unknown(what, value, choices)
        if self.objectives[:1] != ("score",) or len(set(self.objectives)) < len(self.objectives):
            raise EvaluationError('objectives begin with "score", and none stands twice')
        for name in ("steps", "batch", "length", "scored", "finetune_batch", "finetune_epochs", "finetune_rate"):
            if not getattr(self, name) > 0:
                raise EvaluationError(f"{name} must be above 0, not {getattr(self, name)}")
        if not self.learning_rates or min(self.learning_rates) <= 0:
            raise EvaluationError("learning_rates needs one at least, all above 0")
        if not (0 <= self.warmup < 1 and 0 < self.mask_rate < 1 and self.weight_decay >= 0):
            raise EvaluationError("warmup must be from 0 to 1, mask_rate between, and weight_decay at least 0")
        if list(self.rungs) != sorted(set(self.rungs)) or self.rungs[-1:] != (1.0,) or self.rungs[0] <= 0:
            raise EvaluationError("rungs are shares of the steps, growing, above 0, the last 1")

    @property
    def head(self) -> str:
        """The head of the models, and of the super-net: "masked-lm" or "pre-training"."""
        return "pre-training" if self.proxy != "mechanistic" and self.next_sentence else "masked-lm"

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks with their default. Raises `DataError` for an unknown one."""
        from autobertc.runtime.mechanistic.tasks import TASKS

        if self.proxy == "mechanistic":
            for name in self.tasks:
                if name not in TASKS:
                    raise unknown("mechanistic task", name, TASKS)
            return self.tasks or tuple(TASKS)
        if self.proxy == "masked-lm":
            return ()
        from autobertc.runtime.tasks import expand

        return tuple(expand(list(self.tasks or ("corpus-of-origin", "shuffled"))))

    def check(self, sizes: Sizes) -> None:
        """Raise `UserError` where models of these sizes cannot be trained so."""
        from autobertc.runtime.mechanistic.tasks import MIN_LENGTH, vocabulary

        if self.length > sizes.max_length:
            raise EvaluationError(f"length is {self.length}, but the models have max_length {sizes.max_length}")
        if not self.task_names and self.proxy != "masked-lm":
            raise EvaluationError("there is no task")
        if self.proxy == "mechanistic":
            if self.length < MIN_LENGTH or self.symbols < 4:
                raise EvaluationError(f"mechanistic tasks need length {MIN_LENGTH} and 4 symbols at least")
            if sizes.vocab < vocabulary(self.symbols):
                raise EvaluationError(
                    f"{self.symbols} symbols need vocab {vocabulary(self.symbols)}, but the models have {sizes.vocab}"
                )

    def changed(self, **changes: Any) -> EvaluationSettings:
        """The settings with some exchanged."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """As TOML and JSON have it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> EvaluationSettings:
        """Settings from a table. Raises `UserError` for an unknown key, with the nearest, and for bad values."""
        names = [field.name for field in fields(EvaluationSettings)]
        for name in values:
            if name not in names:
                raise unknown("setting of evaluation", name, names)
        made: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return EvaluationSettings(**made)
