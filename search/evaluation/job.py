"""What goes to a worker and what comes back: plain data, so that processes and machines can pass it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["complete", "stopped", "failed"]


@dataclass(frozen=True)
class CandidateJob:
    """One evaluation.

    Attributes:
        number: of the trial; a re-scored parent or an anchor has the number of its own trial.
        round: the round it is evaluated in.
        slot: its place in the round.
        genome: the `.abz` text, sizes in the header.
        seed: of everything random in it.
        purpose: "candidate", "parent" (scored again), "anchor", "gate" or "final" (from scratch).
        snapshot: the super-net's weights to start from, a safetensors file; None starts from scratch.
        output: where to leave the tensors it trained, a safetensors file; None leaves none.
        thresholds: the score to reach at each rung, from finished rounds; empty without hurdles.
        settings: how to train and to score, as the configuration has it.
    """

    number: int
    round: int
    slot: int
    genome: str
    seed: int
    purpose: str = "candidate"
    snapshot: str | None = None
    output: str | None = None
    thresholds: tuple[float, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CandidateResult:
    """What an evaluation gave.

    Attributes:
        number, state, reason: `reason` is one line for a failed candidate, and the rung for a stopped one.
        values: the objectives, higher better, as measured; empty unless complete.
        scores: each task's score by name.
        rungs: the score at each rung reached.
        timings: seconds by part: "build", "train", "score", ...
        flops: of a forward pass for one sequence.
        parameters: how many numbers are trained.
        latency: seconds of a forward pass for one sequence, measured; 0 where it was not.
        tensors: the file of trained tensors, if any were asked for.
    """

    number: int
    state: State
    reason: str = ""
    values: tuple[float, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    rungs: tuple[float, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    flops: int = 0
    parameters: int = 0
    latency: float = 0.0
    tensors: str | None = None
