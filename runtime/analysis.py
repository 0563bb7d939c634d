"""What is inside a model: how alike its tokens become from layer to layer, its parameters and operations.

Dong, Cordonnier & Loukas (2021) show that attention alone makes all tokens the same with depth; Figure 5 of Gao et al.
(2022) compares backbones by it. X is a layer's output for one sequence, `[N, hidden]`, real tokens only, and
R = X - 1 x^T with x the mean token what is left once the tokens' common part is taken away.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModel, PreTrainedTokenizerFast

from autobertc.dsl.checker import load
from autobertc.runtime.data.errors import reason
from autobertc.runtime.files import new_directory
from autobertc.runtime.flops import flops
from autobertc.runtime.inspection import count_parameters
from autobertc.runtime.training.models import check_model, is_ours
from autobertc.runtime.training.recipes import TrainingError
from autobertc.runtime.training.silence import library_silent

PAIRS = 1280
"""Sentence pairs that the paper's figure is the mean over."""
MEASURES = {
    "residual_frobenius": "relative residual, Frobenius norm",
    "residual_one_infinity": "relative residual, sqrt(1-norm x inf-norm)",
    "cosine": "mean cosine of two tokens",
}


@dataclass(frozen=True)
class Analysis:
    """One model's numbers; `uniformity` has the mean over sequences of each of `MEASURES`, embeddings first, then
    layer by layer. Parameters and FLOPs are of models that autobertc wrote."""

    name: str
    uniformity: dict[str, list[float]]
    parameters: int
    flops: dict[str, int | dict[str, int]] | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"model": self.name, "parameters": self.parameters, "flops": self.flops, "uniformity": self.uniformity}


def one_infinity(matrix: Tensor) -> Tensor:
    """sqrt(|M|_1 |M|_inf): the greatest column sum and the greatest row sum of absolute values."""
    return (matrix.abs().sum(-2).amax(-1) * matrix.abs().sum(-1).amax(-1)).sqrt()


def uniformity(hidden: Tensor) -> dict[str, float]:
    """The three measures of one sequence, `[N, hidden]`. A residual of 0 and a cosine of 1: all tokens are the same."""
    hidden = hidden.double()
    residual = hidden - hidden.mean(0, keepdim=True)
    count = len(hidden)
    units = torch.nn.functional.normalize(hidden, dim=-1)
    # The sum over all pairs is the square of the sum, less each with itself.
    pairs = (units.sum(0).square().sum() - units.square().sum()) / (count * (count - 1))
    return {
        "residual_frobenius": float(torch.linalg.norm(residual) / torch.linalg.norm(hidden)),
        "residual_one_infinity": float(one_infinity(residual) / one_infinity(hidden)),
        "cosine": float(pairs),
    }


@torch.no_grad()
def token_uniformity(
    model: Any, tokenizer: PreTrainedTokenizerFast, pairs: Sequence[tuple[str, str]], length: int, batch: int = 32
) -> dict[str, list[float]]:
    """The measures' means over sentence pairs by layer, `[1 + layers]` each; the model sees them without dropout."""
    sums: NDArray[np.float64] | None = None
    model.eval()
    for start in range(0, len(pairs), batch):
        firsts, seconds = zip(*pairs[start : start + batch], strict=True)
        inputs = tokenizer(
            list(firsts), list(seconds), truncation=True, max_length=length, padding=True, return_tensors="pt"
        ).to(model.device)
        layers = model(**inputs, output_hidden_states=True).hidden_states
        for number, mask in enumerate(inputs["attention_mask"].bool()):
            found = np.array([list(uniformity(layer[number][mask]).values()) for layer in layers])
            sums = found if sums is None else sums + found
    if sums is None:
        raise TrainingError("there are no sentence pairs to analyse")
    return {name: (sums[:, i] / len(pairs)).tolist() for i, name in enumerate(MEASURES)}


def analyse(model: str, pairs: Sequence[tuple[str, str]], length: int = 128) -> Analysis:
    """A model folder's numbers. Raises `TrainingError` where it cannot be loaded."""
    with library_silent():
        config, tokenizer = check_model(model)
        try:
            loaded = AutoModel.from_pretrained(model, trust_remote_code=is_ours(model))
        except Exception as error:  # the library raises many kinds
            raise TrainingError(f"cannot load the model {model}: {reason(error)}") from error
        length = min(length, config.max_position_embeddings)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        measured = token_uniformity(loaded.to(device), tokenizer, pairs, length)
    parameters, operations = sum(each.numel() for each in loaded.parameters()), None
    if is_ours(model):
        architecture = load(Path(model) / "genome.abz").architecture
        parameters, operations = count_parameters(architecture)["total"], flops(architecture, length)
    return Analysis(model, measured, parameters, operations)


def write_analyses(found: Sequence[Analysis], output: Path) -> Path:
    """Write `analysis.json` and the curves of all models side by side, PNG and SVG, as a new folder.

    Raises `OutputError`.
    """
    with new_directory(output) as folder:
        content = json.dumps([each.to_dict() for each in found], indent=1) + "\n"
        (folder / "analysis.json").write_text(content, encoding="utf-8")
        _draw(found, [folder / f"uniformity.{suffix}" for suffix in ("png", "svg")])
    return output


def _draw(found: Sequence[Analysis], paths: Iterable[Path]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(MEASURES), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, title) in zip(figure.subplots(1, len(MEASURES)), MEASURES.items(), strict=True):
        for each in found:
            values = each.uniformity[name]
            axes.plot(range(len(values)), values, marker="o", markersize=3, label=each.name)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("layer (0: embeddings)", fontsize=8)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.tick_params(labelsize=8)
    axes.legend(fontsize=7)
    for path in paths:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
