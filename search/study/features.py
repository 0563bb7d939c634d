"""The coarse features of a genome, as parameters of an Optuna trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autobertc.dsl.architecture import KERNEL_SIZES, AttentionLayer
from autobertc.dsl.graph import post_order
from autobertc.search.genome import Genome


@dataclass(frozen=True)
class Features:
    """Kind, kernel, inputs and length of each layer.

    Every layer has all four, 0 where its kind has none: Optuna's importance looks only at parameters that all trials
    have, with ranges that do not change.
    """

    layers: int
    max_operations: int

    def of(self, genome: Genome) -> tuple[dict[str, Any], dict[str, Any]]:
        """Values and Optuna's distributions, by name."""
        from optuna.distributions import CategoricalDistribution, IntDistribution

        values: dict[str, Any] = {}
        kinds: dict[str, Any] = {}
        digits = len(str(self.layers))
        for index, layer in enumerate(genome.layers):
            name = f"layer {index + 1:0{digits}}"
            attention = isinstance(layer, AttentionLayer)
            nodes = list(post_order(layer.program.root)) if isinstance(layer, AttentionLayer) else []
            operations = sum(bool(node.operands) for node in nodes)
            values[f"{name} kind"] = "attention" if attention else "convolution"
            kinds[f"{name} kind"] = CategoricalDistribution(("attention", "convolution"))
            values[f"{name} kernel"] = 0 if isinstance(layer, AttentionLayer) else layer.kernel
            kinds[f"{name} kernel"] = CategoricalDistribution((0, *KERNEL_SIZES))
            values[f"{name} inputs"] = sum(not node.operands for node in nodes)
            kinds[f"{name} inputs"] = IntDistribution(0, 4)
            values[f"{name} length"] = min(operations, self.max_operations)
            kinds[f"{name} length"] = IntDistribution(0, self.max_operations)
        return values, kinds
