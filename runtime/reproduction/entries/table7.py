"""Table 7: latency and memory."""

from __future__ import annotations

from autobertc.runtime.analysis.latency import measure_latency
from autobertc.runtime.flops import electra_flops, plain_flops
from autobertc.runtime.reproduction import reasons
from autobertc.runtime.reproduction.backbones import example
from autobertc.runtime.reproduction.entry import Context, Entry, Section, Table
from autobertc.runtime.reproduction.paper import TABLE7
from autobertc.runtime.reproduction.scoring import LENGTH, millions, parameters, scientific


def make(context: Context) -> Section:
    """AutoBERT-Zero-base beside BERT-base, whatever the scale: this needs no training."""
    bert, zero = TABLE7
    found = measure_latency(example(zero.example), context.scale.batch, LENGTH, context.scale.passes, limit=300)
    exact = tuple(
        (
            row.title,
            f"{row.parameters:g}M",
            millions(parameters(row.example)),
            scientific(row.flops),
            scientific(electra_flops(example(row.example), LENGTH).total),
            scientific(plain_flops(example(row.example), LENGTH).total),
            f"{row.average:.1f}",
        )
        for row in TABLE7
    )
    measured = (
        (
            bert.title,
            f"{bert.latency:g} s",
            f"{found.bert_seconds:.3f} s",
            f"{bert.memory:g} GB",
            f"{found.bert_memory / 1e9:.2f} GB",
        ),
        (
            zero.title,
            f"{zero.latency:g} s",
            f"{found.seconds:.3f} s",
            f"{zero.memory:g} GB",
            f"{found.memory / 1e9:.2f} GB",
        ),
        (
            "ratio",
            f"{zero.latency / bert.latency:.2f}",
            f"{found.ratio:.2f} ({found.low:.2f} to {found.high:.2f})",
            f"{zero.memory / bert.memory:.2f}",
            f"{found.memory / found.bert_memory:.2f}",
        ),
    )
    header = ("model", "parameters: paper", "ours", "FLOPs: paper", "ours", "ours, plain count", "GLUE: paper")
    return Section(
        done=(
            f"One batch of {found.batch} sequences of {found.length} tokens through the base model, float32, on "
            f"{found.device}: the median of {found.pairs} alternating pairs, and the 95% interval of their ratio. "
            "BERT is the library's own, with PyTorch's fused attention. Memory is weights and what the pass adds "
            "at its peak.",
        ),
        tables=(
            Table("Sizes, exact at every scale", header, exact),
            Table("Latency and memory", ("model", "latency: paper", "ours", "memory: paper", "ours"), measured),
        ),
        findings=(
            f"In the paper AutoBERT-Zero is {1 - zero.latency / bert.latency:.0%} faster than BERT-base; here it takes "
            f"{found.ratio:.2f} times BERT's time.",
        ),
        reasons=(
            *reasons.EXACT,
            "The paper's latency is over QNLI's training set at batch 128 on a V100, ours of one batch: ratios can be "
            "compared, seconds cannot.",
            *([] if found.batch == 128 else [f"The batch is {found.batch} at this scale, not 128."]),
            "The library's attention call does for BERT what the paper's BERT did in separate steps.",
            "GLUE is Table 2's.",
        ),
    )


ENTRIES = (Entry("table7", "latency and memory", make, order=7),)
