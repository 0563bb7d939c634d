"""What there is to tell of an architecture."""

import json

import pytest
from tiny import LAYERS, architecture

from autobertc.runtime.build import build
from autobertc.runtime.inspection import count_parameters, inspect


@pytest.mark.parametrize("layers", [*LAYERS, "conv: 3\n" * 3 + "att: Q @ (K.T @ P)\n" * 2])
def test_parameters(layers: str) -> None:
    """All of the base model's, each in one part."""
    counts = count_parameters(architecture(layers))
    model = build(architecture(layers), head="base")
    assert counts["total"] == sum(parameter.numel() for parameter in model.parameters())
    assert counts["total"] == sum(count for part, count in counts.items() if part != "total")
    structure = sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if any(f".{key}." in name for key in ("query", "key", "value", "auxiliary", "self.input"))
        or name.endswith("self.kernel")
    )
    assert counts["structure"] == structure


@pytest.mark.parametrize("layers", LAYERS)
def test_is_ready_for_json(layers: str) -> None:
    facts = inspect(architecture(layers))
    assert json.loads(json.dumps(facts)) == facts
    assert len(facts["layers"]) == len(architecture(layers).layers)
    assert [program["name"] for program in facts["programs"]] == [
        f"attention_{number + 1}" for number in range(len(facts["programs"]))
    ]


def test_length() -> None:
    assert inspect(architecture("bert"))["flops"]["length"] == 64  # no longer than the model takes
    assert inspect(architecture("bert", ""))["flops"]["length"] == 128
    with pytest.raises(ValueError, match="max_length"):
        inspect(architecture("bert"), 65)
