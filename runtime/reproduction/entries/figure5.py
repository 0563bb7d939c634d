"""Figure 5: token uniformity by layer."""

from __future__ import annotations

from autobertc.runtime.analysis.drawings import draw_uniformity
from autobertc.runtime.analysis.figures import save
from autobertc.runtime.analysis.loading import Pair, open_model
from autobertc.runtime.analysis.uniformity import MEASURES, token_uniformity
from autobertc.runtime.data.errors import DataError
from autobertc.runtime.reproduction import reasons
from autobertc.runtime.reproduction.entry import Context, Entry, Section, Table
from autobertc.runtime.reproduction.runs import backbone_of, pretrained
from autobertc.runtime.tasks import find
from autobertc.runtime.training.silence import library_silent

_MODELS = {"BERT-base": "bert-base", "AutoBERT-Zero": "autobert-zero-base"}


def sentence_pairs(context: Context) -> tuple[list[Pair], str]:
    """The scale's number of pairs: STS-B's where it is to be had, neighbouring sentences of the text elsewhere."""
    if context.data is not None or context.scale.hub:
        try:
            rows = find("stsb", *([] if context.data is None else [str(context.data)])).load()["train"]
        except DataError as error:
            if context.data is not None:
                raise
            context.say(f"sentences of the text, for {error}")
        else:
            return _first(context, rows), "STS-B"
    text = context.task_sources
    return _first(
        context, find("next-sentence", *text, seed=context.seed).load()["train"]
    ), "sentence pairs of the text"


def _first(context: Context, rows: object) -> list[Pair]:
    columns = [rows[name][: context.scale.pairs] for name in ("sentence1", "sentence2")]  # type: ignore[index]
    return list(zip(*columns, strict=True))


def make(context: Context) -> Section:
    """The outputs of two pre-trained backbones on the same sentences."""
    pairs, called = sentence_pairs(context)
    found, metrics = {}, {}
    for title, name in _MODELS.items():
        folder, metrics[name] = pretrained(context, name)
        length = min(128, backbone_of(context, name).sizes.max_length)
        with library_silent():
            found[title] = token_uniformity(open_model(str(folder)), pairs, length)
    figure, _ = save(draw_uniformity(found), context.figures, "uniformity")
    rows = tuple((title, *(f"{each[name][-1]:.3f}" for name in MEASURES)) for title, each in found.items())
    bert, zero = found.values()
    holds = {
        "larger residual": zero["residual_one_infinity"][-1] > bert["residual_one_infinity"][-1],
        "lower similarity": zero["cosine"][-1] < bert["cosine"][-1],
    }
    return Section(
        done=(
            f"Pre-trained as in Table 2, not fine-tuned; means over {len(pairs):,} of {called}. A residual near 0 "
            "and a cosine near 1 mean that all tokens have become the same.",
        ),
        tables=(Table("After the last layer, ours", ("model", *MEASURES.values()), rows),),
        figures=(figure,),
        findings=tuple(
            f"The paper sees {what} in AutoBERT-Zero than in BERT; here {'also' if held else 'not'}."
            for what, held in holds.items()
        ),
        reasons=(
            "The paper gives the curves as a figure, without numbers.",
            *(
                []
                if called == "STS-B"
                else ["The sentences are not STS-B's, whose rows were not to be had (`--data`)."]
            ),
            *reasons.of_training(context, _MODELS.values(), metrics),
        ),
    )


ENTRIES = (Entry("figure5", "token uniformity by layer", make, order=15),)
