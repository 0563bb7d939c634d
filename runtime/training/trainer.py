"""The pre-training loop: the library's Trainer with losses apart, exact resumption, and a stop where numbers end.

Both losses are sums over the whole batch of a step, all its micro-batches and devices, divided by that batch's number
of masked tokens and of pairs: however a batch is cut, the gradient is the same.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from transformers import Trainer

from autobertc.runtime.data.masking import IGNORED
from autobertc.runtime.files import new_directory
from autobertc.runtime.training import checkpoints
from autobertc.runtime.training.batches import RampSampler
from autobertc.runtime.training.muon import make_optimizer
from autobertc.runtime.training.recipes import NotFinite

KEPT = 2  # checkpoints
_IDENTITY = ("draw", "example")
_SUMS = ("mlm_loss", "mlm_correct", "masked", "nsp_loss", "nsp_correct", "pairs", "tokens", "sequences")


class Identified:
    """A collator that passes on which examples a batch has, as `draw` and `example`, both `[batch]`."""

    def __init__(self, collate: Any, next_sentence: bool) -> None:
        self.collate, self.next_sentence = collate, next_sentence

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        batch: dict[str, Tensor] = self.collate(rows)
        if not self.next_sentence:
            batch.pop("next_sentence_label", None)
        return batch | {name: torch.tensor([row[name] for row in rows]) for name in _IDENTITY}


class PretrainingTrainer(Trainer):
    """Trains a compiled pre-training or masked-LM model on `PackedExamples` collated by `Identified`.

    Args:
        sequence_flops: of a training step on one sequence, and `peak`, of all devices in FLOP/s, or None: what the
            utilisation is told by.
        growing: sequences of each step, `[steps]`, where they differ.
        muon: whether hidden matrices are Muon's.
    """

    def __init__(
        self,
        *args: Any,
        sequence_flops: float = 0.0,
        peak: float | None = None,
        growing: NDArray[np.int64] | None = None,
        muon: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sequence_flops, self.peak, self.growing, self.muon = sequence_flops, peak, growing, muon
        self.loss_is_scaled_for_ga = True  # `compute_loss` divides by the whole batch's counts
        self.step_pairs: Any = 1
        self.step_examples: list[dict[str, list[int]]] = []
        self._predicted: Tensor | None = None
        self._remember_predictions(self.model)
        self._start_window()

    def _remember_predictions(self, model: Any) -> None:
        """The words that the head on masked positions chooses: it gives no logits, so that they are never stored."""

        def hook(module: Any, inputs: Any, output: Tensor) -> None:
            self._predicted = output.detach().argmax(-1)

        model.cls.predictions.register_forward_hook(hook)

    def create_optimizer(self, model: Any = None) -> Any:
        """The library's, or Muon and AdamW as one."""
        if not self.muon:
            return super().create_optimizer(model)
        if getattr(self, "optimizer", None) is None:
            args, trained = self.args, self.model if model is None else model
            self.optimizer = make_optimizer(
                trained,
                self.get_decay_parameter_names(trained),
                args.learning_rate,
                args.weight_decay,
                betas=(args.adam_beta1, args.adam_beta2),
                eps=args.adam_epsilon,
                fused="fused" in str(args.optim),
            )
        return self.optimizer

    def get_train_dataloader(self) -> Any:
        """The library's, or one whose batches grow."""
        if self.growing is None:
            return super().get_train_dataloader()
        args = self.args
        sampler = RampSampler(self.growing, args.gradient_accumulation_steps, args.world_size, args.process_index)
        return DataLoader(
            self.train_dataset,
            batch_sampler=sampler,
            collate_fn=self.data_collator,
            num_workers=args.dataloader_num_workers,
            pin_memory=args.dataloader_pin_memory,
        )

    def _start_window(self) -> None:
        self._sums = torch.zeros(len(_SUMS), dtype=torch.float64, device=self.args.device)
        self._window_start, self._waited = time.perf_counter(), 0.0

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """The micro-batches of a step and how many masked tokens they have, over all devices; how many pairs is kept.

        What tells their examples apart is taken out, for a message where one cannot be computed.
        """
        start = time.perf_counter()
        batches, masked = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.step_examples = [{name: batch.pop(name).tolist() for name in _IDENTITY} for batch in batches]
        pairs = torch.tensor(sum(len(batch["input_ids"]) for batch in batches), device=device)
        self.step_pairs = self.accelerator.gather(pairs).sum() if self.args.world_size > 1 else pairs
        self._micro_batch = 0
        self._waited += time.perf_counter() - start
        return batches, masked

    def compute_loss(
        self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The share of a micro-batch in the loss of its step."""
        loss, sums = self._losses(model, inputs, num_items_in_batch, self.step_pairs)
        self._sums += sums
        if not bool(torch.isfinite(loss)):
            raise self._stopped("the loss", self.step_examples[self._micro_batch : self._micro_batch + 1], inputs)
        self._micro_batch += 1
        # Gradients of devices are averaged, and each has a share of the whole.
        return loss * self.accelerator.num_processes

    def _losses(self, model: Any, inputs: dict[str, Tensor], masked: Any, pairs: Any) -> tuple[Tensor, Tensor]:
        """The loss and, as data, `_SUMS`."""
        inputs = dict(inputs)
        answers, labels = inputs.pop("next_sentence_label", None), inputs["labels"]
        outputs = model(**inputs, output_logits=False, num_items_in_batch=masked)
        loss: Tensor = outputs.loss
        words = labels[labels != IGNORED]
        predicted = self._predicted
        if predicted is None or predicted.shape != words.shape:
            raise RuntimeError("the head did not see the masked positions alone")
        self._predicted = None
        sums = [loss.detach() * masked, (predicted == words).sum(), words.numel()]
        if answers is None:
            sums += [0, 0, 0]
        else:
            scores = outputs.seq_relationship_logits.float()
            sentence_loss = F.cross_entropy(scores, answers, reduction="sum")
            sums += [sentence_loss.detach(), (scores.argmax(-1) == answers).sum(), len(answers)]
            loss = loss + sentence_loss / pairs
        sums += [inputs["attention_mask"].sum(), len(labels)]
        as_tensors = [torch.as_tensor(value, dtype=torch.float64, device=loss.device) for value in sums]
        return loss, torch.stack([value.reshape(()) for value in as_tensors])

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if not bool(torch.isfinite(torch.as_tensor(norm))):
            raise self._stopped("the gradient", self.step_examples)
        return norm

    def _stopped(
        self, what: str, examples: list[dict[str, list[int]]], inputs: dict[str, Tensor] | None = None
    ) -> NotFinite:
        """The error for a number that is none, once the state before the step is saved."""
        step = self.state.global_step + 1
        folder = Path(self.args.output_dir).parent / f"non-finite-step-{step}"
        with new_directory(folder, replace=True) as partial:
            self.save_model(str(partial), _internal_call=True)
            self._save_optimizer_and_scheduler(str(partial))
            self._save_rng_state(str(partial))
            if inputs is not None:
                torch.save({name: value.cpu() for name, value in inputs.items()}, partial / "batch.pt")
            state = {"step": step, "what": what, "examples": examples, "log": self.state.log_history[-20:]}
            (partial / "state.json").write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
        numbers = [f"{d}:{e}" for each in examples for d, e in zip(each["draw"], each["example"], strict=True)]
        shown = ", ".join(numbers[:20]) + (f" and {len(numbers) - 20} more" if len(numbers) > 20 else "")
        return NotFinite(
            f"{what} is not a finite number in step {step}; epoch:example of the batch: {shown}; "
            f"the state before the step is in {folder}; try a lower learning rate, or float32"
        )

    def summary(self, sums: Tensor) -> dict[str, float]:
        """Means out of sums over all devices."""
        if self.args.world_size > 1:
            sums = self.accelerator.gather(sums.unsqueeze(0)).sum(0)
        total = dict(zip(_SUMS, sums.tolist(), strict=True))
        means = {}
        for kind, count in (("mlm", total["masked"]), ("nsp", total["pairs"])):
            if count:
                means[f"{kind}_loss"] = total[f"{kind}_loss"] / count
                means[f"{kind}_accuracy"] = total[f"{kind}_correct"] / count
        return means | {"tokens": total["tokens"], "sequences": total["sequences"]}

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds, to what the library logs of a window of steps, the losses and accuracies apart and the speed."""
        if "loss" in logs:
            seconds = time.perf_counter() - self._window_start
            means = self.summary(self._sums)
            speed = means.pop("tokens") / seconds
            logs |= {"seconds": seconds, "tokens_per_second": speed, "input_wait": self._waited / seconds, **means}
            if self.peak:
                logs["mfu"] = self.sequence_flops * means["sequences"] / seconds / self.peak
            self._start_window()
        super().log(logs, start_time)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        start = time.perf_counter()
        place = Path(self.args.output_dir)
        folder = place / checkpoints.name(self.state.global_step)
        if self.args.should_save and folder.exists():
            shutil.rmtree(folder)  # half of one
        self.accelerator.wait_for_everyone()
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            checkpoints.seal(folder)
            checkpoints.keep_last(place, KEPT)
        self._window_start += time.perf_counter() - start  # the speed is that of training

    @torch.no_grad()
    def held_out(self, dataset: Any) -> dict[str, float]:
        """Losses and accuracies on examples, weights as they are now."""
        was = self.model.training
        self.model.eval()
        sums = torch.zeros(len(_SUMS), dtype=torch.float64, device=self.args.device)
        # Of several devices each has its own rows, none twice, as a sampler that fills up the last batch would give.
        own = Subset(dataset, range(self.args.process_index, len(dataset), self.args.world_size))
        for batch in DataLoader(own, self.args.eval_batch_size, collate_fn=self.data_collator):
            for name in _IDENTITY:
                batch.pop(name)
            inputs = self._prepare_inputs(batch)
            masked = (inputs["labels"] != IGNORED).sum()
            with self.compute_loss_context_manager(), self.accelerator.autocast():
                sums += self._losses(self.model, inputs, masked, len(inputs["labels"]))[1]
        self.model.train(was)
        means = self.summary(sums)
        return {f"held_out_{name}": value for name, value in means.items() if name.startswith(("mlm", "nsp"))}
