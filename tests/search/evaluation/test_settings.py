"""The `[evaluation]` table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autobertc.dsl.errors import UserError
from autobertc.search.evaluation.settings import EvaluationSettings


def test_there_and_back() -> None:
    settings = EvaluationSettings(tasks=("induction",), learning_rates=(1e-3, 3e-3), objectives=("score", "flops"))
    assert EvaluationSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert EvaluationSettings.from_dict({}) == EvaluationSettings()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"proxy": "masked-ml"}, "masked-lm"),
        ({"device": "gpu"}, "cpu"),
        ({"objectives": ("flops",)}, 'begin with "score"'),
        ({"objectives": ("score", "flops", "flops")}, "none stands twice"),
        ({"objectives": ("score", "speed")}, "objective 'speed'"),
        ({"steps": 0}, "steps must be above 0"),
        ({"learning_rates": ()}, "learning_rates"),
        ({"learning_rates": (1e-3, -1.0)}, "learning_rates"),
        ({"rungs": (0.5, 0.1, 1.0)}, "rungs"),
        ({"rungs": (0.1, 0.5)}, "rungs"),
        ({"rungs": ()}, "rungs"),
        ({"mask_rate": 1.0}, "mask_rate"),
    ],
)
def test_faults(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        EvaluationSettings(**changes)


def test_tasks() -> None:
    assert len(EvaluationSettings().task_names) == 4
    assert EvaluationSettings(proxy="masked-lm").task_names == ()
    assert EvaluationSettings(proxy="tasks").task_names == ("corpus-of-origin", "shuffled")
    assert len(EvaluationSettings(proxy="tasks", tasks=("glue",)).task_names) == 9
    with pytest.raises(UserError, match="induction"):
        _ = EvaluationSettings(tasks=("inductoin",)).task_names
    assert EvaluationSettings().head == "masked-lm" and EvaluationSettings(proxy="tasks").head == "pre-training"
