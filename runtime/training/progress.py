"""What a person sees of a training: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from tqdm.auto import tqdm
from transformers import TrainerCallback

_SHOWN = (
    ("loss", "loss", "{:.4f}"),
    ("mlm_loss", "mlm", "{:.4f}"),
    ("mlm_accuracy", "mlm acc", "{:.3f}"),
    ("nsp_loss", "nsp", "{:.4f}"),
    ("nsp_accuracy", "nsp acc", "{:.3f}"),
    ("learning_rate", "lr", "{:.2e}"),
    ("tokens_per_second", "tokens/s", "{:,.0f}"),
    ("mfu", "mfu", "{:.1%}"),
)


def describe(logs: Mapping[str, float]) -> str:
    """The numbers of a log that a person looks at."""
    return "  ".join(f"{title} {form.format(logs[key])}" for key, title, form in _SHOWN if key in logs)


class Progress(TrainerCallback):
    """Prints logs as lines, on a terminal above a bar of steps.

    Args:
        say: prints a line.
        terminal: whether there is a bar; by default where standard error is a terminal.
    """

    def __init__(self, say: Callable[[str], None], terminal: bool | None = None) -> None:
        self.say = say
        self.terminal = sys.stderr.isatty() if terminal is None else terminal
        self.bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero and self.terminal:
            self.bar = tqdm(total=state.max_steps, initial=state.global_step, unit="step", dynamic_ncols=True)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if not state.is_world_process_zero or "loss" not in (logs or {}):
            return
        width = len(str(state.max_steps))
        line = f"step {state.global_step:{width}}/{state.max_steps}  {describe(logs)}"
        if self.bar is None:
            self.say(line)
        else:
            self.bar.write(line)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
