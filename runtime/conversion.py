"""Weights of a Hugging Face BERT into a compiled model, wherever names and shapes agree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from autobertc.dsl.architecture import Architecture
from autobertc.dsl.errors import UserError
from autobertc.runtime.emission import check_memory, initial_model

# What a BERT's weights mean beside the sizes.
SHARED_FIELDS = ("hidden_act", "layer_norm_eps", "pad_token_id")


class ConversionError(UserError):
    """Weights that cannot be read or do not fit, in words for a user."""


@dataclass(frozen=True)
class Copied:
    """Where a model's weights came from, by name in the model's state.

    Attributes:
        copied: taken from those given.
        initial: as they were: nothing of that name was given.
        mismatched: as they were: the given one has another shape; (name, the model's shape, the given one's).
        unused: given ones that the model has no place for.
    """

    copied: tuple[str, ...]
    initial: tuple[str, ...]
    mismatched: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    unused: tuple[str, ...]


@dataclass(frozen=True)
class Conversion(Copied):
    """A pre-training model with a BERT's weights, and what is of the BERT and what was drawn anew."""

    model: PreTrainedModel


def read_weights(directory: Path) -> dict[str, Tensor]:
    """The weights of a Hugging Face folder: safetensors, in one file or several, or PyTorch's format.

    Raises `ConversionError`.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise ConversionError(f"there is no folder {directory}")
    weights: dict[str, Tensor] = {}
    try:
        index = directory / "model.safetensors.index.json"
        if index.exists():
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
            for name in names:
                weights |= load_file(directory / name)
        elif (directory / "model.safetensors").exists():
            weights = load_file(directory / "model.safetensors")
        elif (directory / "pytorch_model.bin").exists():
            weights = torch.load(directory / "pytorch_model.bin", map_location="cpu", weights_only=True)
        else:
            raise ConversionError(f"{directory} holds no weights (model.safetensors or pytorch_model.bin)")
    except ConversionError:
        raise
    except Exception as error:  # the libraries raise many kinds for a broken file
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ConversionError(f"cannot read the weights of {directory}: {reason}") from error
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise ConversionError(f"cannot read the weights of {directory}: not tensors by name")
    return weights


def model_name(name: str) -> str:
    """The name a BERT weight has in a pre-training model."""
    name = name.replace("gamma", "weight").replace("beta", "bias") if "LayerNorm" in name else name
    return name if name.startswith(("bert.", "cls.")) else f"bert.{name}"


def read_configuration(directory: Path, architecture: Architecture) -> dict[str, Any]:
    """What of a BERT's configuration a model with its weights must share, as fields of its own.

    Weights can fit where the meaning does not: the number of heads, the activation and the epsilon of LayerNorm
    leave no trace in a shape. Raises `ConversionError` where the BERT computes with other sizes than the
    architecture says.
    """
    path = Path(directory) / "config.json"
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConversionError(f"cannot read {path}: {error}") from error
    if not isinstance(given, dict):
        raise ConversionError(f"cannot read {path}: not a configuration")
    sizes = architecture.sizes
    wanted = {"hidden_size": ("hidden", sizes.hidden), "num_attention_heads": ("heads", sizes.heads)}
    for key, (header_key, value) in wanted.items():
        found = given.get(key)
        if found is not None and found != value:
            raise ConversionError(
                f"{directory} has {key} {found}, the architecture {value}: set `{header_key}: {found}` in its header"
            )
    if (kind := given.get("position_embedding_type") or "absolute") != "absolute":
        raise ConversionError(f"{directory} has {kind} position embeddings, a compiled model has absolute ones")
    return {key: given[key] for key in SHARED_FIELDS if given.get(key) is not None}


def convert(architecture: Architecture, directory: str | Path, seed: int = 0) -> Conversion:
    """A pre-training model of the architecture with a BERT's weights in it.

    Raises `ConversionError` where the folder cannot be read, its hidden size or number of heads differ, or nothing
    of it fits; `OutputError` where the weights would not fit in memory.
    """
    directory = Path(directory)
    weights = {model_name(name): tensor for name, tensor in read_weights(directory).items()}
    shared = read_configuration(directory, architecture)
    check_memory(architecture)
    try:
        model = initial_model(architecture, seed, **shared)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise ConversionError(f"{directory} has a configuration that a compiled model cannot take: {error}") from error
    found = copy_weights(model, weights)
    if not found.copied:
        raise ConversionError(f"no weight of {directory} has a name and a shape of this model")
    return Conversion(**vars(found), model=model)


def copy_weights(model: PreTrainedModel, weights: Mapping[str, Tensor]) -> Copied:
    """Put weights into a model wherever it has the name and the shape."""
    state = model.state_dict()
    # The decoder is the word embeddings, and its bias a parameter of the head: one tensor under two names.
    tied = set(getattr(model, "_tied_weights_keys", {}))
    copied, initial, mismatched = [], [], []
    with torch.no_grad():
        for name, tensor in state.items():
            if name in tied:
                continue
            if name not in weights:
                initial.append(name)
            elif weights[name].shape != tensor.shape:
                mismatched.append((name, tuple(tensor.shape), tuple(weights[name].shape)))
            else:
                tensor.copy_(weights[name])
                copied.append(name)
    unused = [name for name in weights if name not in state and not name.endswith("position_ids")]
    return Copied(tuple(copied), tuple(initial), tuple(mismatched), tuple(unused))
