"""Candidates out of the super-net: built as any model is, weights taken from a snapshot, and handed back by name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autobertc.compiler.modeling.convolution import SelfConvolution
from autobertc.dsl.architecture import Architecture, Sizes
from autobertc.runtime.build import build
from autobertc.runtime.training.initial_weights import InitialWeights
from autobertc.search.biws.kernels import attach_chain, chains
from autobertc.search.biws.snapshots import FOLDER, Snapshot, SnapshotError, latest_snapshot, read_snapshot
from autobertc.search.biws.supernet import Sharing, Tensors, supernet_name
from autobertc.search.genome import Genome


def with_chains(model: nn.Module) -> nn.Module:
    """A built model whose kernels come out of the chain, so that it trains what the super-net holds."""
    for module in list(model.modules()):
        if isinstance(module, SelfConvolution):
            attach_chain(module, module.kernel.shape[-1])
    return model


def extract(snapshot: Snapshot, architecture: Architecture) -> nn.Module:
    """The model of an architecture, its kernels through the chain, with the super-net's weights.

    Raises `SnapshotError` where a tensor is missing or has another shape: a super-net of other sizes.
    """
    model = with_chains(build(architecture, head=snapshot.head, backend="eager"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            source = supernet_name(name, architecture, snapshot.sharing)
            tensor = snapshot.tensors.get(source)
            if tensor is None or tensor.shape != parameter.shape:
                found = "has none" if tensor is None else f"has {tuple(tensor.shape)}"
                raise SnapshotError(f"the super-net {found} for {source} of shape {tuple(parameter.shape)}")
            parameter.copy_(tensor)
    return model


def candidate_tensors(model: nn.Module, architecture: Architecture, sharing: Sharing) -> Tensors:
    """What a candidate trained, by the super-net's names; for a model that `extract` or `with_chains` made."""
    return {
        supernet_name(name, architecture, sharing): parameter.detach().cpu().clone()
        for name, parameter in model.named_parameters()
    }


def plain_state(model: nn.Module) -> Tensors:
    """The state of an extracted model as one without the chain has it: kernels of their own width."""
    state = {
        name: tensor.detach().clone() for name, tensor in model.state_dict().items() if ".parametrizations." not in name
    }
    for name, module in model.named_modules():
        if isinstance(module, SelfConvolution) and list(chains(module)):
            state[f"{name}.kernel"] = module.kernel.detach().clone()
    return state


def plain_model(model: nn.Module, architecture: Architecture, head: str) -> Any:
    """A model as `build` makes it with the weights of a candidate's, whatever its kernels come from."""
    made = build(architecture, head=head, backend="eager")
    made.load_state_dict(plain_state(model))
    return made.eval()


def initial_weights(run: Path, genome: Genome, sizes: Sizes) -> Tensors:
    """Weights to start pre-training a genome with, from a search's last whole snapshot (the paper's Table 2, the row
    with a star): the state of its model under the super-net's head, kernels in their own width.

    Args:
        run: the search's folder.
        sizes: those that it searched at.

    Raises `SnapshotError` where the run has no snapshot, or one of other sizes.
    """
    path = latest_snapshot(Path(run) / FOLDER)
    if path is None:
        raise SnapshotError(f"{run} has no whole snapshot of a super-net: a search without sharing leaves none")
    return plain_state(extract(read_snapshot(path), genome.architecture(sizes)))


def first_weights(run: Path) -> InitialWeights:
    """The super-net of a search's last whole snapshot as weights to start a pre-training from.

    Raises `SnapshotError` where there is none; its `load`, where the sizes are others.
    """
    snapshot = latest_snapshot(run / FOLDER)
    if snapshot is None:
        raise SnapshotError(f"{run} has no whole snapshot of a super-net: there are no weights to start from")

    def load(architecture: Architecture) -> Tensors:
        return initial_weights(run, Genome(architecture.layers), architecture.sizes)

    return InitialWeights(str(run), hashlib.sha256(snapshot.read_bytes()).hexdigest()[:32], load)
