"""Proxies: what a candidate is trained on, and the number that stands for how good a backbone it is."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from autobertc.dsl.architecture import Architecture, Sizes
from autobertc.runtime.mechanistic.training import Mechanistic, accuracies, mean
from autobertc.runtime.training.short_runs import Batch
from autobertc.search.evaluation.settings import EvaluationError, EvaluationSettings

Scores = dict[str, float]


class Proxy(Protocol):
    """Batches to train on, and scores; higher is better."""

    def batch(self, seed: int, step: int) -> Batch:
        """What a model takes, its labels with it."""
        ...

    def quick(self, model: nn.Module) -> float:
        """A score at a rung."""
        ...

    def score(self, model: nn.Module, architecture: Architecture, seed: int) -> tuple[float, Scores]:
        """The score, and what it is made of by name."""
        ...


def make_proxy(settings: EvaluationSettings, sizes: Sizes) -> Proxy:
    """The proxy of some settings for models of these sizes. Raises `UserError` where they do not fit."""
    settings.check(sizes)
    if settings.proxy == "mechanistic":
        return MechanisticProxy(settings)
    if settings.proxy == "masked-lm":
        return MaskedLMProxy(settings, sizes)
    return TaskProxy(settings, sizes)


class MechanisticProxy:
    """The mean accuracy on mechanistic tasks that are learnt together."""

    def __init__(self, settings: EvaluationSettings) -> None:
        self.problem = Mechanistic(
            settings.task_names, settings.batch, settings.length, settings.symbols, settings.scored
        )

    def batch(self, seed: int, step: int) -> Batch:
        return self.problem.batch_of(seed, step)

    def quick(self, model: nn.Module) -> float:
        return mean(list(accuracies(model, self.problem).values()))

    def score(self, model: nn.Module, architecture: Architecture, seed: int) -> tuple[float, Scores]:
        scores = accuracies(model, self.problem)
        return mean(list(scores.values())), scores


class MaskedLMProxy:
    """Less the masked-LM loss on held-out documents of the sources, in nats a masked token.

    Pairs, orders and masks are drawn by the data's own seed, so that all candidates are scored on the same; a
    candidate's seed says where in the stream of training rows it begins.
    """

    def __init__(self, settings: EvaluationSettings, sizes: Sizes) -> None:
        self.settings = settings
        self.text = _text(settings.sources, sizes.vocab, sizes.max_length, settings.length, settings.mask_rate)
        self.held_out = self._collate(
            [self.text.held_out[n] for n in range(min(settings.scored, len(self.text.held_out)))]
        )

    def batch(self, seed: int, step: int) -> Batch:
        rows, size = self.text.train, self.settings.batch
        start = seed % len(rows) + step * size
        return self._collate([rows[number % len(rows)] for number in range(start, start + size)])

    def _collate(self, rows: list[Any]) -> Batch:
        batch: Batch = self.text.collate(rows)
        if not self.settings.next_sentence:
            batch.pop("next_sentence_label")
        return batch

    def quick(self, model: nn.Module) -> float:
        return -self._losses(model)["mlm_loss"]

    def score(self, model: nn.Module, architecture: Architecture, seed: int) -> tuple[float, Scores]:
        losses = self._losses(model)
        return -losses["mlm_loss"], losses

    @torch.no_grad()
    def _losses(self, model: nn.Module) -> Scores:
        was, device = model.training, next(model.parameters()).device
        model.eval()
        sums = torch.zeros(5, dtype=torch.float64)
        for start in range(0, len(self.held_out["labels"]), self.settings.batch):
            part = {
                name: value[start : start + self.settings.batch].to(device) for name, value in self.held_out.items()
            }
            sums += self._part(model, part)
        model.train(was)
        loss, right, words, pairs_right, pairs = sums.tolist()
        found = {"mlm_loss": loss / words, "mlm_accuracy": right / words}
        return found | ({"nsp_accuracy": pairs_right / pairs} if self.settings.next_sentence else {})

    def _part(self, model: nn.Module, batch: Batch) -> Tensor:
        labels, follows = batch.pop("labels"), batch.pop("next_sentence_label", None)
        output = model(**batch)
        asked = labels != -100
        logits = (output.logits if follows is None else output.prediction_logits)[asked].float()
        loss = nn.functional.cross_entropy(logits, labels[asked], reduction="sum")
        right = (logits.argmax(-1) == labels[asked]).sum()
        guessed = 0 if follows is None else (output.seq_relationship_logits.argmax(-1) == follows).sum()
        values = [loss, right, asked.sum(), guessed, len(labels)]
        return torch.tensor([float(value) for value in values], dtype=torch.float64)


class TaskProxy(MaskedLMProxy):
    """The mean of tasks' own metrics after pre-training as for masked-LM: GLUE's, the stand-ins, by the training
    commands' code. At rungs, before the end, the masked-LM loss stands for it."""

    def __init__(self, settings: EvaluationSettings, sizes: Sizes) -> None:
        from autobertc.runtime.tasks import find

        super().__init__(settings, sizes)
        self.tasks = [find(name, *settings.task_data) for name in settings.task_names]

    def score(self, model: nn.Module, architecture: Architecture, seed: int) -> tuple[float, Scores]:
        from autobertc.runtime.emission import emit
        from autobertc.runtime.tokenizer import save_tokenizer
        from autobertc.runtime.training.finetuning import Finetuning, finetune
        from autobertc.search.biws.candidates import plain_model

        settings = self.settings
        recipe = Finetuning(
            learning_rates=(settings.finetune_rate,),
            weight_decays=(0.01,),
            epochs=settings.finetune_epochs,
            batch=settings.finetune_batch,
            length=settings.length,
            seed=seed % 2**32,
        )
        with tempfile.TemporaryDirectory(prefix="autobertc-") as place:
            words, folder = Path(place) / "words", Path(place) / "model"
            save_tokenizer(self.text.tokenizer, words)
            emit(architecture, folder, model=plain_model(model, architecture, settings.head), tokenizer=words)
            results = finetune(str(folder), self.tasks, recipe, Path(place) / "results", say=lambda line: None)
        scores = {name: float(found["best"]["median"]) for name, found in results["tasks"].items()}
        return mean(list(scores.values())), scores | self._losses(model)


class _Text:
    """Sources of text made ready: a tokenizer, rows to train on, rows held out, a collator."""

    def __init__(self, sources: tuple[str, ...], vocab: int, max_length: int, length: int, mask_rate: float) -> None:
        from autobertc.runtime.data.corpus import load_corpus
        from autobertc.runtime.data.examples import PackedExamples
        from autobertc.runtime.data.masking import Masking, MaskingCollator
        from autobertc.runtime.data.packing import Packing
        from autobertc.runtime.data.reading import quiet
        from autobertc.runtime.data.sources import TextSource
        from autobertc.runtime.data.vocabulary import train_tokenizer

        with quiet(progress=False):
            parsed = [TextSource.parse(source) for source in sources]
            self.tokenizer = train_tokenizer(parsed, vocab, max_length)
            train, rest = load_corpus(parsed, self.tokenizer).split(0.05, seed=0)
            packing = Packing(length)
            self.train = PackedExamples(train, self.tokenizer, packing, epochs=10, duplicates=10, progress=False)
            self.held_out = PackedExamples(rest, self.tokenizer, packing, progress=False)
        if len(self.tokenizer) > vocab:
            raise EvaluationError(f"the tokenizer has {len(self.tokenizer)} entries, but the models have vocab {vocab}")
        self.collate = MaskingCollator(self.tokenizer, Masking(mask_rate))


_text = lru_cache(maxsize=2)(_Text)
