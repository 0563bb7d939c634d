"""An invented search, for the tests of its report. No number in it was measured."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from autobertc.dsl.architecture import KERNEL_SIZES, ConvolutionLayer, Sizes
from autobertc.search.genome import Genome
from autobertc.search.randomness import generator
from autobertc.search.report.data import (
    Candidate,
    Contender,
    Fidelity,
    Gate,
    LastStage,
    Ledger,
    Objective,
    PriorityMap,
    ReportData,
    Winner,
)

SIZES = Sizes(hidden=64, heads=2, intermediate=256, vocab=512, max_length=64)
PROGRAMS = (
    "softmax(scale(Q @ K.T)) @ V",
    "softmax(scale(Q @ logsigmoid(-K).T)) @ add(K, Q)",
    "softmax(-euclidean_distance(Q, K)) @ V",
    "softmax(cosine_similarity(add(P, Q), K)) @ logsigmoid(V)",
    "softmax(scale(Q @ (K + P).T)) @ V",
    "(Q @ softmax(K.T @ V))",
)
OPS = ("add", "cosine_similarity", "euclidean_distance", "logsigmoid", "matmul", "neg", "scale", "softmax", "softsign")
TASKS = ("recall", "selective copy", "induction", "n-gram completion")


def random_layers(rng: np.random.Generator, count: int) -> list[str]:
    return [_layer(rng) for _ in range(count)]


def _layer(rng: np.random.Generator) -> str:
    if rng.random() < 0.5:
        return f"att: {PROGRAMS[rng.integers(len(PROGRAMS))]}"
    return f"conv: {KERNEL_SIZES[rng.integers(7)]}"


def genome(layers: list[str]) -> Genome:
    return Genome.read("model m { hidden: 64 heads: 2 vocab: 512 }\n" + "\n".join(layers) + "\n")


def quality(layers: list[str]) -> float:
    """What the invented score goes by: attention 2 and 4 at the end, small kernels at the start."""
    total = 0.0
    for index, layer in enumerate(layers):
        if layer.startswith("conv"):
            total += 0.04 - 0.0008 * int(layer.split()[1]) - 0.004 * index
        else:
            total += 0.012 * (PROGRAMS.index(layer.removeprefix("att: ")) in (1, 3)) * index
    return 0.35 + total / len(layers) * 6


def candidates(count: int, layers: int, objectives: int, seed: int = 0) -> tuple[Candidate, ...]:
    """A first population of 24 at random, then five children of the five best a round."""
    rng = generator(seed, "synthetic report")
    found: list[Candidate] = []
    texts: list[list[str]] = []
    clock = 0.0
    for number in range(count):
        first = number < min(24, count)
        round_ = number // 6 if first else 4 + (number - 24) // 25
        clock += float(rng.uniform(3, 9))
        parents, edits, probabilities = (), (), ()
        own = random_layers(rng, layers)
        if not first:
            done = [each for each in found if each.state == "complete" and each.round < round_]
            best = sorted(done, key=lambda each: -each.values[0])[:5]
            parent = best[rng.integers(len(best))]
            place = int(rng.integers(layers))
            own = [*texts[parent.number]]
            own[place] = _layer(rng)
            parents = (parent.number,)
            edits = (f"layer {place + 1}: {texts[parent.number][place]} becomes {own[place]}",)
            probabilities = (float(rng.uniform(0.03, 0.35)),)
        read = genome(own)
        score = quality(own) + float(rng.normal(0, 0.012))
        if probabilities:
            score += 0.05 * (probabilities[0] - 0.2)
        state = "complete" if rng.random() > 0.08 or first else ("failed" if rng.random() < 0.5 else "stopped")
        values = (score, -float(20 + 4 * sum(text.startswith("att") for text in own) + rng.normal()))[:objectives]
        reasons = ("went non-finite at step 120", "out of memory: killed at 2.0 GiB", "raised ValueError: <b>x</b>")
        texts.append(own)
        found.append(
            Candidate(
                number,
                round_,
                number % 6 if first else (number - 24) % 25,
                "child" if parents else "random",
                state,  # type: ignore[arg-type]
                tuple(each.kernel if isinstance(each, ConvolutionLayer) else 0 for each in read.layers),
                read.text(SIZES, f"candidate-{number}"),
                reason=reasons[number % 3] if state == "failed" else ("rung 1" if state == "stopped" else ""),
                values=values if state == "complete" else (),
                scores={task: score + float(rng.normal(0, 0.02)) for task in TASKS} if state == "complete" else {},
                parents=parents,
                edits=edits,
                probabilities=probabilities,
                started=clock - 5,
                finished=clock,
                device_seconds=float(rng.uniform(2, 6)),
                flops=10**8,
            )
        )
    return tuple(found)


def last_stage(rng: np.random.Generator, winner: int) -> LastStage:
    seeds = (0, 1, 2, 3, 4)
    base = rng.normal(0, 0.008, 5)
    made = [("the winner", "winner", 0.712), ("candidate 96", "top", 0.704), ("candidate 81", "top", 0.69)]
    made += [("best random", "random", 0.671), ("median random", "random median", 0.633), ("BERT", "bert", 0.645)]
    contenders = []
    for name, role, level in made:
        scores = tuple(float(each) for each in level + base + rng.normal(0, 0.007, 5))
        tasks = {task: tuple(float(each + rng.normal(0, 0.03)) for each in scores) for task in TASKS}
        contenders.append(
            Contender(
                name,
                role,  # type: ignore[arg-type]
                scores,
                winner if role == "winner" else None,
                tasks,
                steps=int(rng.integers(900, 1200)),
                training_flops=3.1e13,
                seconds=tuple(float(each) for each in rng.uniform(20, 30, 5)),
                parameters=int(rng.integers(210_000, 260_000)),
            )
        )
    return LastStage("mean accuracy", "FLOPs", seeds, tuple(contenders))


def priorities(rng: np.random.Generator, layers: int) -> tuple[PriorityMap, ...]:
    def table(rows: tuple[str, ...], columns: tuple[str, ...], title: str) -> PriorityMap:
        raw = np.exp(rng.normal(0, 0.9, (len(rows), len(columns))))
        raw[rng.random(raw.shape) < 0.08] = 0
        shares = raw / raw.sum(0)
        return PriorityMap(
            title,
            rows,
            columns,
            tuple(tuple(float(share) if share else None for share in row) for row in shares),
            tuple(tuple(int(each) for each in row) for row in rng.integers(0, 60, raw.shape)),
        )

    positions = tuple(f"position {index}" for index in range(1, 9))
    kernels = tuple(str(kernel) for kernel in KERNEL_SIZES)
    maps = [table(OPS, positions, "all layers")]
    maps.append(table(kernels, tuple(f"layer {index + 1}" for index in range(layers)), "kernel sizes"))
    maps += [table(OPS, positions, f"layer {index + 1}") for index in range(min(layers, 3))]
    return tuple(maps)


def fidelity(rng: np.random.Generator) -> tuple[Fidelity, ...]:
    tasks = []
    for index, task in enumerate(TASKS):
        quality = rng.normal(0.6, 0.05, 12)
        points = [
            (f"candidate {number}", float(each), float(0.1 + each + rng.normal(0, 0.02 + 0.03 * index)))
            for number, each in enumerate(quality)
        ]
        tasks.append(Fidelity(task, tuple(points)))
    return tuple(tasks)


def full(count: int = 120, layers: int = 6, objectives: int = 2, seed: int = 0) -> ReportData:
    """A finished search with everything."""
    rng = generator(seed, "synthetic report", "rest")
    found = candidates(count, layers, objectives, seed)
    best = max((each for each in found if each.values), key=lambda each: each.values[0])
    return ReportData(
        name="tiny-recall",
        objectives=(Objective("accuracy"), Objective("latency", -1, "ms"))[:objectives],
        candidates=found,
        strategy="OP-NAS",
        proxy="mechanistic tasks",
        started="2026-03-01 10:12",
        seconds=found[-1].finished,
        workers=2,
        proposed=count + 31,
        duplicates=22,
        rejections={"mixes no tokens": 6, "grows faster than N squared": 3},
        priorities=priorities(rng, layers),
        fidelity=fidelity(rng),
        last_stage=last_stage(rng, best.number),
        gate=Gate(6, 3, 0.041, 0.012, True),
        ledger=Ledger("CPU", True, {"train": 301.0, "score": 88.0, "build": 12.5, "propose": 1.9}, 21.0, "one in ten"),
        winner=Winner(best.number, best.genome, "autobertc pretrain winner.abz -o trained --preset base", 233_472),
        configuration='[study]\nname = "tiny-recall"\nseed = 0\n\n[strategy]\nname = "op-nas"\n',
        facts={"autobertc": "0.1.0", "threads a worker": "1", "storage": "sqlite:///study.db"},
    )


def empty() -> ReportData:
    """A search that was started a second ago."""
    return ReportData("just-started", (Objective("accuracy"),), state="running")


if __name__ == "__main__":
    from autobertc.search.report import write_report

    print(write_report(full(), Path(sys.argv[1])))
