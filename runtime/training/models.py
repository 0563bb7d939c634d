"""Models to fine-tune: folders that autobertc wrote, and any BERT of the library's."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast, set_seed

from autobertc.runtime.data.errors import reason
from autobertc.runtime.tasks.base import SequenceTask, Task
from autobertc.runtime.tokenizer import holds_tokenizer, save_tokenizer
from autobertc.runtime.training.recipes import TrainingError

_AUTO_CLASSES = {
    "sequence-classification": "AutoModelForSequenceClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "multiple-choice": "AutoModelForMultipleChoice",
}


def is_ours(model: str) -> bool:
    """Whether a folder is autobertc's: its own code runs, no other."""
    return (Path(model) / "modeling_autobertc.py").is_file()


def check_model(model: str) -> tuple[Any, PreTrainedTokenizerFast]:
    """The configuration and the tokenizer of a model folder, or of a model of the Hub. Raises `TrainingError`."""
    path = Path(model)
    if path.is_file() or (path.is_dir() and not (path / "config.json").is_file()):
        raise TrainingError(f"{model} is not a model folder: it has no config.json")
    if path.is_dir() and not holds_tokenizer(path):
        raise TrainingError(f"{model} has no tokenizer: compile with --tokenizer, or pre-train it")
    try:
        trusted = is_ours(model)  # never None: the library would ask, on standard input
        config = AutoConfig.from_pretrained(model, trust_remote_code=trusted)
        tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(model, trust_remote_code=trusted)
    except Exception as error:  # the library raises many kinds
        raise TrainingError(f"cannot load the model {model}: {reason(error)}") from error
    return config, tokenizer


def load_model(model: str, task: Task, seed: int) -> Any:
    """A model with the task's head, whose new weights are drawn from a seed. Raises `TrainingError`."""
    set_seed(seed)
    labels = list(task.labels) if isinstance(task, SequenceTask) and task.num_labels > 1 else []
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: n for n, name in enumerate(labels)}}
    try:
        return getattr(transformers, _AUTO_CLASSES[task.head]).from_pretrained(
            model,
            trust_remote_code=is_ours(model),
            ignore_mismatched_sizes=True,  # a classifier of another task
            **(names if labels else {"num_labels": task.num_labels}),
        )
    except Exception as error:
        raise TrainingError(f"cannot load the model {model}: {reason(error)}") from error


def save_model(model: Any, tokenizer: PreTrainedTokenizerFast, source: str, folder: Path) -> None:
    """Write a fine-tuned model so that it loads as the one it came from does."""
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    if is_ours(source):
        for path in [*Path(source).glob("*.py"), Path(source) / "genome.abz"]:
            shutil.copy(path, folder / path.name)
