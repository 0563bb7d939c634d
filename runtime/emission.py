"""`autobertc compile`: a folder that Hugging Face loads where autobertc is not installed."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from autobertc import __version__
from autobertc.compiler.module_text import BACKENDS, HEADS, ModuleText, module_text
from autobertc.dsl.architecture import Architecture, print_architecture, safe_name
from autobertc.runtime.build import build, check_choice, count_weights
from autobertc.runtime.files import OutputError, new_directory
from autobertc.runtime.inspection import inspect_plans
from autobertc.runtime.tokenizer import make_tokenizer, save_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

AUTO_CLASSES = {
    "AutoModel": "base",
    "AutoModelForPreTraining": "pre-training",
    "AutoModelForMaskedLM": "masked-lm",
    "AutoModelForSequenceClassification": "sequence-classification",
    "AutoModelForTokenClassification": "token-classification",
    "AutoModelForQuestionAnswering": "question-answering",
    "AutoModelForMultipleChoice": "multiple-choice",
}
_README = """\
---
library_name: transformers
tags: [autobertc]
---

# {name}

A language-model backbone compiled by autobertc from this architecture:

```
{genome}```

```python
from transformers import AutoModelForMaskedLM

model = AutoModelForMaskedLM.from_pretrained("path/to/this/folder", trust_remote_code=True)
```

The weights are {weights}.
"""


def _auto_map() -> dict[str, str]:
    classes = {auto: f"modeling_autobertc.{HEADS[head]}" for auto, head in AUTO_CLASSES.items()}
    return {"AutoConfig": "configuration_autobertc.AutobertcConfig", **classes}


def _write_sources(text: ModuleText, directory: Path) -> None:
    for source in files("autobertc.compiler.modeling").iterdir():
        if source.name.endswith(".py") and source.name != "__init__.py":
            (directory / source.name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    (directory / "configuration_autobertc.py").write_text(text.configuration, encoding="utf-8")
    (directory / "modeling_autobertc.py").write_text(text.modeling, encoding="utf-8")


def _write_kernels(text: ModuleText, architecture: Architecture, directory: Path) -> None:
    """The kernels, and beside them the plan that they follow. Tile sizes are no part of it: a device chooses them."""
    if text.kernels is None:
        return
    (directory / "kernels_autobertc.py").write_text(text.kernels, encoding="utf-8")
    plan = {"autobertc": __version__, **inspect_plans(architecture, names=text.fused)}
    (directory / "plan.json").write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")


def check_room(architecture: Architecture, directory: Path) -> None:
    """Raise `OutputError` where the weights would not fit in memory or on the disk of `directory`."""
    size = check_memory(architecture)
    place = directory.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if size > free:
        raise OutputError(
            f"cannot write {directory}: the weights take {size / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free"
        )


def check_memory(architecture: Architecture) -> int:
    """The size of the weights in bytes. Raises `OutputError` where they would not fit in memory."""
    size = 4 * sum(count for _, count in count_weights(architecture))
    memory = Path("/proc/meminfo")
    if memory.exists():
        fields = dict(line.split(":") for line in memory.read_text().splitlines())
        available = int(fields["MemAvailable"].split()[0]) * 1024
        if size > available:
            raise OutputError(
                f"cannot build the model: the weights take {size / 1e9:,.1f} GB, and {available / 1e9:,.1f} GB of "
                "memory are available"
            )
    return size


def initial_model(
    architecture: Architecture, seed: int = 0, head: str = "pre-training", **overrides: Any
) -> PreTrainedModel:
    """A model with weights drawn from a seed; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(architecture, head=head, **overrides).eval()


def emit(
    architecture: Architecture,
    directory: str | Path,
    *,
    model: PreTrainedModel | None = None,
    source: str | None = None,
    tokenizer: str | Path | None = None,
    backend: str = "auto",
    seed: int = 0,
    replace: bool = False,
) -> Path:
    """Write an architecture as a folder that `AutoModel....from_pretrained(..., trust_remote_code=True)` loads.

    The same arguments give the same bytes. The folder appears whole or not at all.

    Args:
        architecture: what `parse` or `load` returned.
        directory: the folder to make; it must not exist, or be empty, unless `replace`.
        model: whose weights to write; by default a pre-training model with weights drawn from `seed`.
        source: the text the architecture was read from, kept as `genome.abz`; by default it is printed.
        tokenizer: a folder that holds a tokenizer, or a text file (or a folder of `.txt` files) to train one on.
        backend: what the model runs on, kept in its configuration: "eager", "triton", or "auto", which picks by device.
            An eager model has no kernels in its folder.
        replace: replace a folder that `emit` wrote before.

    Raises:
        OutputError: the folder cannot be written.
        TokenizerError: there is no such tokenizer, or it does not fit.
        ValueError: an unknown backend.
        MissingKernel: under "triton", a primitive that has no kernel.
    """
    directory = Path(directory)
    check_choice("backend", backend, BACKENDS)
    occupied = directory.is_dir() and any(directory.iterdir())
    if replace and occupied and not (directory / "modeling_autobertc.py").exists():
        raise OutputError(f"cannot replace {directory}: it is not a compiled model")
    with new_directory(directory, replace) as folder:
        text = module_text(architecture, backend=backend)
        sizes = architecture.sizes
        words = make_tokenizer(Path(tokenizer), sizes.vocab, sizes.max_length) if tokenizer else None
        if model is None:
            check_room(architecture, directory)
        weights = "given ones" if model else f"initial ones, drawn from seed {seed}: train the model before use"
        padding = {} if words is None else {"pad_token_id": words.pad_token_id}
        if model is None:
            model = initial_model(architecture, seed, **padding)
        else:
            model.config.update(padding)
        model.config.auto_map = _auto_map()
        model.config.backend = backend
        if words is not None:
            save_tokenizer(words, folder)
        _write_sources(text, folder)
        _write_kernels(text, architecture, folder)
        genome = source or print_architecture(architecture)
        (folder / "genome.abz").write_text(genome, encoding="utf-8")
        name = safe_name(architecture.name)
        readme = _README.format(name=name, genome=print_architecture(architecture, name), weights=weights)
        (folder / "README.md").write_text(readme, encoding="utf-8")
        try:
            model.save_pretrained(folder)
        except SafetensorError as error:
            raise OutputError(f"cannot write {directory}: {error}") from error
    return directory
