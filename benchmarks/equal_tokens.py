"""The published small backbone, BERT and the two ablations, pre-trained for equal tokens on all text out of packages.

    python benchmarks/equal_tokens.py --output FOLDER                                    # narrow models, a CPU
    python benchmarks/equal_tokens.py --output FOLDER --hidden 256 --steps 50000 --batch 256 --length 128    # a GPU

`autobertc compare` with the text of `autobertc gather` and Python's own, gathered and tokenised first: FOLDER gets
`comparison.md`, the curves and every run; an interrupted call goes on. `--keep-models` leaves the models for
`labelled_data.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from measure import Settings
from models import sized

from autobertc.dsl.architecture import print_architecture
from autobertc.runtime.comparison.compare import compare
from autobertc.runtime.comparison.settings import Comparison, Contestant
from autobertc.runtime.data.packages import gather
from autobertc.runtime.data.sources import TextSource
from autobertc.runtime.training.recipes import recipe

TEXT = ("speeches", "brown", "wikipedia", "botocore", "google-api")
BACKBONES = ("bert-small", "autobert-zero-small", "autobert-zero-attention-only", "autobert-zero-convolution-only")


def contestant(name: str, settings: Settings) -> Contestant:
    """An example at the sizes that all have."""
    architecture = sized(name, settings)
    return Contestant(name, architecture, print_architecture(architecture))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    for name, default in (
        *(("hidden", 128), ("vocab", 8192), ("steps", 1200), ("batch", 8), ("length", 64), ("seeds", 3)),
        ("log-every", 20),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-4, 1e-3, 2e-3])
    parser.add_argument("--held-out", type=float, default=0.003, help="of the documents")
    parser.add_argument("--keep-models", action="store_true")
    given = parser.parse_args()
    sources = [TextSource("default")]
    for name in TEXT:
        sources.append(TextSource(str(gather(name, say=print).folder)))
    settings = Settings(
        hidden=given.hidden,
        heads=max(4, given.hidden // 64),
        intermediate=4 * given.hidden,
        vocabulary=given.vocab,
    )
    changes = {"steps": given.steps, "batch": given.batch, "length": given.length}
    comparison = Comparison(
        tuple(contestant(name, settings) for name in BACKBONES),
        recipe("modern", changes),
        tuple(given.rates),
        seeds=tuple(range(given.seeds)),
        sources=tuple(sources),
        vocab=given.vocab,
        held_out=given.held_out,
        log_every=given.log_every,
        keep_models=given.keep_models,
    )
    compare(comparison, given.output, resume=True)
    print((given.output / "comparison.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
