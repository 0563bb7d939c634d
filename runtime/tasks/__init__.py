"""Tasks to fine-tune on, behind one interface: GLUE, SQuAD, stand-ins that any text gives, and a user's own.

`find` gives a `Task` by name; `custom.custom_task` makes one of a user's files.
"""

from __future__ import annotations

from dataclasses import replace

from autobertc.runtime.data.errors import unknown
from autobertc.runtime.tasks import glue, squad, standins
from autobertc.runtime.tasks.base import Task

GLUE = tuple(glue.TASKS)
NAMES = (*GLUE, *squad.TASKS, *standins.STAND_INS)
"""Every task that has a name."""


def find(name: str, *data: str, seed: int = 0) -> Task:
    """A task by name.

    Args:
        name: one of `NAMES`; spelling apart from capitals and `-` or `_` counts.
        data: where its rows are: a folder (GLUE, SQuAD; without one, the Hugging Face Hub), or sources of text
            (stand-ins; without any, the text that comes with Python).
        seed: of the stand-ins' splits and draws.

    Raises `DataError` with the nearest name where there is none.
    """
    folded = {_fold(known): known for known in NAMES}
    if _fold(name) not in folded:
        raise unknown("task", name, NAMES)
    known = folded[_fold(name)]
    if known in standins.STAND_INS:
        return standins.stand_in(known, data, seed)
    if known in glue.TASKS:
        return replace(glue.TASKS[known], data=data)
    return replace(squad.TASKS[known], data=data)


def expand(names: list[str]) -> list[str]:
    """Names with `glue` replaced by its nine tasks, each once. Raises `DataError` for an unknown one."""
    found: dict[str, None] = {}
    for name in names:
        found |= dict.fromkeys(GLUE if _fold(name) == "glue" else (find(name).name,))
    return list(found)


def _fold(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
