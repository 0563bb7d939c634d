"""First steps: compile a backbone, load it through Hugging Face, fill masks, train on real text, fill masks again.

The text is the reference manual that comes with Python, so nothing is downloaded. Run by `make demo`.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from pydoc_data.topics import topics

import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerBase,
    logging,
    pipeline,
    set_seed,
)

ROOT = Path(__file__).parents[1]
SENTENCES = ("The [MASK] of the function is returned.", "If the object is not a [MASK], an exception is raised.")
LENGTH = 128
BATCH = 16


def write_text(path: Path) -> int:
    """The manual, a paragraph a line; returns the number of words."""
    paragraphs = [" ".join(part.split()) for topic in topics.values() for part in topic.split("\n\n")]
    path.write_text("\n".join(paragraph for paragraph in paragraphs if paragraph), encoding="utf-8")
    return sum(len(paragraph.split()) for paragraph in paragraphs)


def compile_backbone(architecture: Path, text: Path, folder: Path) -> None:
    """`autobertc compile`, as from a shell."""
    shutil.rmtree(folder, ignore_errors=True)
    command = ["autobertc", "compile", str(architecture), "-o", str(folder), "--tokenizer", str(text)]
    print("$", " ".join(command), flush=True)
    subprocess.run([sys.executable, "-m", *command], check=True)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=True)


def blocks(folder: Path, text: Path) -> torch.Tensor:
    """Token ids in rows of LENGTH, special tokens at both ends."""
    tokenizer = load_tokenizer(folder)
    lines = text.read_text(encoding="utf-8").splitlines()
    ids = [token for row in tokenizer(lines, add_special_tokens=False)["input_ids"] for token in row]
    inner = LENGTH - 2
    rows = torch.tensor(ids[: len(ids) // inner * inner]).view(-1, inner)
    ends = torch.tensor([[tokenizer.cls_token_id], [tokenizer.sep_token_id]]).expand(2, len(rows)).unsqueeze(-1)
    return torch.cat([ends[0], rows, ends[1]], dim=1)


def fill(folder: Path, model: torch.nn.Module) -> None:
    """Print what the model puts in the place of each mask."""
    tokenizer = load_tokenizer(folder)
    predict = pipeline("fill-mask", model=model.eval(), tokenizer=tokenizer)
    for sentence in SENTENCES:
        words = ", ".join(f"{found['token_str']} {found['score']:.3f}" for found in predict(sentence, top_k=4))
        print(f"    {sentence}  ->  {words}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("architecture", nargs="?", type=Path, default=ROOT / "examples" / "autobert-zero-small.abz")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "demo")
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    options.output.mkdir(parents=True, exist_ok=True)
    text, folder = options.output / "manual.txt", options.output / options.architecture.stem

    print(f"{write_text(text):,} words of Python's reference manual in {text}")
    compile_backbone(options.architecture, text, folder)

    set_seed(0)
    model = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)
    # The tokenizer learnt fewer words from so little text than the architecture has room for.
    model.resize_token_embeddings(len(load_tokenizer(folder)))
    print(f"loaded {type(model).__name__}: {model.num_parameters():,} parameters, {len(model.config.layers)} layers")
    print("masks filled before training:")
    fill(folder, model)

    rows = blocks(folder, text)
    collate = DataCollatorForLanguageModeling(load_tokenizer(folder), mlm_probability=0.15)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.01)
    model.train()
    start = time.perf_counter()
    print(f"training on {len(rows):,} rows of {LENGTH} tokens, {options.steps} steps of {BATCH} rows:")
    for step in range(options.steps):
        batch = collate([{"input_ids": row} for row in rows[torch.randint(len(rows), (BATCH,))]])
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step == 0 or (step + 1) % 10 == 0:
            rate = (step + 1) * BATCH * LENGTH / (time.perf_counter() - start)
            print(f"    step {step + 1:3}  masked-LM loss {loss.item():.3f}  {rate:,.0f} tokens/s", flush=True)
    print("masks filled after training:")
    fill(folder, model)
    model.save_pretrained(folder)
    print(f"the trained model is in {folder}")


if __name__ == "__main__":
    main()
