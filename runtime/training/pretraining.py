"""A pre-training run: from sources of text and an architecture to a model folder, stopped and resumed at will.

While it runs everything is in `RUN.training`: settings, checkpoints, and the state where numbers ended. At the end the
model folder appears as `RUN`, whole, and the other goes. Rows have their order from the seed and their masks from seed,
epoch and example, so what a checkpoint has to say of the data is the number of its step.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import TrainerCallback, TrainingArguments

from autobertc.runtime.data.masking import MaskingCollator
from autobertc.runtime.data.reading import quiet
from autobertc.runtime.emission import emit, initial_model
from autobertc.runtime.files import OutputError, new_directory, write_text
from autobertc.runtime.tokenizer import save_tokenizer
from autobertc.runtime.training import checkpoints
from autobertc.runtime.training.devices import device_name, has_bf16, peak_flops
from autobertc.runtime.training.initial_weights import begin_from
from autobertc.runtime.training.model_card import write_card
from autobertc.runtime.training.preparation import Prepared, Pretraining, accumulation, masking, prepare, step_flops
from autobertc.runtime.training.progress import Progress
from autobertc.runtime.training.recipes import TrainingError
from autobertc.runtime.training.reports import check_reports
from autobertc.runtime.training.silence import library_silent
from autobertc.runtime.training.trainer import Identified, PretrainingTrainer

COMPILER = "inductor"
_DROPOUTS = {
    "hidden_dropout_prob": "hidden_dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "kernel_dropout_prob": "kernel_dropout",
}


def pretrain(
    run: Pretraining, output: Path, *, resume: bool = False, say: Callable[[str], None] = print, bars: bool = False
) -> dict[str, Any]:
    """Train, write the model folder `output`, and return its metrics.

    Args:
        resume: go on from the latest whole checkpoint of an interrupted run with the same settings, if there is one.
        say: prints a line for the user.
        bars: whether a terminal looks on.

    Raises `UserError` for all that is wrong with settings, data or output before training starts, and
    `TrainingError` where a loss is not finite.
    """
    output = Path(output).absolute()
    work = output.with_name(f"{output.name}.training")
    main = int(os.environ.get("RANK", "0")) == 0
    say = say if main else _silent
    if resume and (output / "training.json").is_file():
        say(f"{output} is finished")
        shutil.rmtree(work, ignore_errors=True)
        return dict(json.loads((output / "training.json").read_text(encoding="utf-8"))["metrics"])
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise OutputError(f"cannot write {output}: it is there already")
    if work.exists() and not resume and main:
        raise OutputError(f"{work} holds an unfinished run: go on with --resume, or remove it")
    check_reports(run.report_to)
    with library_silent(), quiet(progress=bars and main):
        prepared = prepare(run, say, bars and main)
        checkpoint = _enter(work, prepared.settings, say) if main else checkpoints.latest(work / "checkpoints")[0]
        begin = say if checkpoint is None else _silent
        trainer = make_trainer(run, prepared, work, say, bars and main, first_weights(run, prepared, begin))
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        metrics = _finish(run, prepared, trainer, output, work, say)
        # Several processes' group: one that ends with it open may abort at its exit, its threads still at work.
        trainer.accelerator.end_training()
        return metrics


def _silent(line: str) -> None:
    pass


def _enter(work: Path, settings: dict[str, Any], say: Callable[[str], None]) -> Path | None:
    """Make the folder of a run, or find where an interrupted one can go on. Raises `TrainingError`."""
    path = work / "run.json"
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if changed := [name for name, value in settings.items() if before.get(name) != value]:
            raise TrainingError(
                f"cannot resume {work}: other settings than it was started with: {', '.join(changed)}; "
                "give the same ones, or remove the folder"
            )
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {work}: {error.strerror}") from error
    write_text(path, json.dumps(settings, indent=1) + "\n")
    found, broken = checkpoints.latest(work / "checkpoints")
    for folder in broken:
        say(f"passing over {folder.name}: it is not whole")
        shutil.rmtree(folder, ignore_errors=True)
    if found is not None:
        say(f"resuming after step {checkpoints.step_of(found):,}")
    return found


class _LogAtEnd(TrainerCallback):
    """The last window of steps is logged even where it is shorter."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_log = True


def first_weights(run: Pretraining, prepared: Prepared, say: Callable[[str], None]) -> Any:
    """The model with weights drawn from the seed, or taken from where the run begins. Raises `UserError`."""
    rate = run.recipe.dropout
    dropout = {} if rate is None else dict.fromkeys(_DROPOUTS, rate)
    padding = {"pad_token_id": prepared.tokenizer.pad_token_id}
    model = initial_model(prepared.architecture, run.seed, run.recipe.head, **padding, **dropout)
    if run.recipe.unigram_bias:
        # Entries that only fill up the vocabulary stay as rare as the rarest.
        shares = torch.from_numpy(prepared.log_shares)
        bias = torch.full(model.cls.predictions.bias.shape, float(shares.min()))
        bias[: len(shares)] = shares
        model.cls.predictions.bias.data.copy_(bias)
    if run.initial is not None:
        begin_from(model, run.initial, run.architecture, prepared.tokenizer, say)
    return model


def make_trainer(
    run: Pretraining, prepared: Prepared, work: Path, say: Callable[[str], None], bars: bool, model: Any
) -> PretrainingTrainer:
    """A model in its trainer."""
    recipe, steps = run.recipe, prepared.steps
    micro, times = accumulation(run)
    bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and has_bf16())
    if recipe.compile:
        # The head sees another number of masked words each step: only what is in front of it is compiled.
        model.base_model.compile(backend=COMPILER)
    gpu = torch.cuda.is_available()
    stable = recipe.schedule == "warmup-stable-decay"
    if run.report_to:
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(work / "logs"))
    arguments = TrainingArguments(
        output_dir=str(work / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=micro,
        per_device_eval_batch_size=micro,
        gradient_accumulation_steps=times,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="warmup_stable_decay" if stable else "linear",
        lr_scheduler_kwargs={"num_decay_steps": recipe.decay_steps(steps), "decay_type": "linear"} if stable else {},
        warmup_steps=recipe.warmup_steps(steps),
        optim="adamw_torch_fused" if recipe.fused else "adamw_torch",
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        adam_epsilon=recipe.epsilon,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        bf16=bf16,
        seed=run.seed % 2**32,
        logging_steps=prepared.log_every,
        logging_nan_inf_filter=False,  # such a number stops the run
        save_steps=prepared.save_every,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        dataloader_num_workers=run.workers if run.workers is not None else (4 if gpu else 0),
        dataloader_pin_memory=gpu,
        disable_tqdm=True,
        report_to=list(run.report_to),
        use_cpu=not gpu,
        accelerator_config={"dispatch_batches": False},  # each process reads its own rows of a stream
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # one process a device: torchrun
    collate = MaskingCollator(prepared.tokenizer, masking(recipe), seed=run.seed, multiple=8 if gpu else 1)
    devices = arguments.world_size
    peak = peak_flops(bf16)
    trainer = PretrainingTrainer(
        model=model,
        args=arguments,
        train_dataset=prepared.examples,
        data_collator=Identified(collate, recipe.next_sentence),
        callbacks=[_LogAtEnd(), Progress(say, bars)],
        sequence_flops=step_flops(prepared.architecture, recipe),
        peak=None if peak is None else peak * devices,
        growing=prepared.sizes if recipe.batch_ramp else None,
        muon=recipe.optimizer == "muon",
    )
    trainer.remove_callback(transformers.PrinterCallback)
    many = f", {devices} devices" if devices > 1 else ""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    say(f"model: {parameters:,} parameters; {device_name()}{many}, {'bf16' if bf16 else 'float32'}")
    return trainer


def _finish(
    run: Pretraining,
    prepared: Prepared,
    trainer: PretrainingTrainer,
    output: Path,
    work: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Score what was held out, and write the model folder."""
    windows = [log for log in trainer.state.log_history if "mlm_loss" in log]
    metrics = {name: value for name, value in windows[-1].items() if name.startswith(("loss", "mlm", "nsp"))}
    sequence_flops = step_flops(prepared.architecture, run.recipe)
    metrics |= {"steps": prepared.steps, "training_flops": sequence_flops * float(prepared.sizes.sum())}
    metrics |= prepared.baselines
    if prepared.held_out is not None:
        metrics |= trainer.held_out(prepared.held_out)
    if not trainer.is_world_process_zero():
        return metrics
    model = trainer.accelerator.unwrap_model(trainer.model)
    # Rates of pre-training are not those of fine-tuning: the folder has the header's.
    for name, of_header in _DROPOUTS.items():
        setattr(model.config, name, getattr(prepared.architecture.sizes, of_header))
    model = model.float().cpu().eval()
    with new_directory(output) as folder:
        words = work / "tokenizer"
        save_tokenizer(prepared.tokenizer, words)
        emit(prepared.architecture, folder, model=model, source=prepared.source, tokenizer=words)
        if (work / "logs").is_dir():
            shutil.copytree(work / "logs", folder / "logs")
        begun = {} if run.initial is None else {"begun_from": run.initial.name}
        write_card(folder, prepared.architecture, {**prepared.settings, **begun}, metrics, windows)
    shutil.rmtree(work, ignore_errors=True)
    if "held_out_mlm_loss" in metrics:
        say(
            f"held out: mlm {metrics['held_out_mlm_loss']:.4f}  mlm acc {metrics['held_out_mlm_accuracy']:.3f}  "
            f"(unigram {metrics['held_out_unigram_loss']:.4f})"
        )
    say(f"wrote {output}")
    return metrics
