"""Hostile files and surroundings: every command ends soon, with a result or one clear message, and leaves nothing."""

from __future__ import annotations

import ast
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command_line import (
    ENVIRONMENT,
    HEADER,
    MIXED,
    autobertc,
    autobertc_process,
    autobertc_together,
    heed_interrupts,
    tree,
)

from autobertc import build, load
from autobertc.compiler.canonical import canonicalise
from autobertc.compiler.keys import keys
from autobertc.dsl.checker import check
from autobertc.dsl.graph import print_program
from autobertc.dsl.parser import parse_tree
from autobertc.dsl.printer import format_tree
from autobertc.dsl.source import Source

DEPTH = 10_000
BERT = "softmax(scale(Q @ K.T)) @ V"
TEXT_COMMANDS = (["check"], ["fmt", "--check"], *(["compile", "--until", stage] for stage in ("tree", "graph")))
STAGES = tuple(["compile", "--until", stage] for stage in ("canonical", "planned", "module"))


def genome(folder: Path, text: str | bytes, name: str = "given.abz") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# ---------------------------------------------------------------- doubling


@pytest.mark.parametrize(
    ("start", "double", "use"),
    [
        ("Q", "add({0}, {0})", "softmax({0} @ K.T) @ V"),
        ("softmax(Q @ K.T)", "matmul({0}, {0})", "{0} @ V"),
        ("softmax(Q @ K.T)", "softmax({0} + {0}.T) @ {0}", "{0} @ V"),
        ("Q.T @ K", "scale(matmul({0}, {0}))", "V @ {0}"),
        ("Q", "cosine_similarity({0}, {0}) @ {0}", "{0}"),
    ],
)
def test_doublings(start: str, double: str, use: str, tmp_path: Path) -> None:
    """64 lets, each twice the one before: 2^64 operations as a tree."""
    lets = [f"let a0 = {start}", *(f"let a{i} = {double.format(f'a{i - 1}')}" for i in range(1, 65))]
    path = genome(tmp_path, HEADER + "\n".join(lets) + f"\natt: {use.format('a64')}\n")
    begin = time.monotonic()
    architecture = check(parse_tree(Source.load(path))).architecture
    (program,) = architecture.programs()
    printed = print_program(program)
    canonical = print_program(canonicalise(program))
    assert len(printed.splitlines()) < 300 and len(canonical.splitlines()) < 500
    found = keys(program)
    assert found.structural and found == keys(program)
    format_tree(parse_tree(Source.load(path)))
    model = build(architecture, head="base")
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 5:] = 0
    model(torch.arange(18).view(2, 9), attention_mask=mask).last_hidden_state.sum().backward()
    assert time.monotonic() - begin < 20
    for command in (["show", "-o", str(tmp_path / "out.svg")], ["inspect"], *STAGES):
        autobertc(*command, path)
    assert time.monotonic() - begin < 40


# ---------------------------------------------------------------- depth


def _nested(op: str, inside: str, times: int = DEPTH) -> str:
    return f"{op}(" * times + inside + ")" * times


DEEP = {
    "neg": f"att: softmax({_nested('neg', 'Q')} @ K.T) @ V",
    "softmax": f"att: {_nested('softmax', 'Q @ K.T')} @ V",
    "sum": f"att: softmax(Q @ K.T) @ ({' + '.join(['Q', 'K'] * (DEPTH // 2))})",
    "sum-to-the-right": f"att: softmax(Q @ K.T) @ {'add(Q, ' * DEPTH}K{')' * DEPTH}",
    "products": f"let a = Q @ K.T\nlet b = softmax(V @ K.T)\natt: {' @ '.join(['a', 'b'] * (DEPTH // 2))}",
    "parentheses": f"att: softmax(Q @ K.T) @ {'(' * DEPTH}V{')' * DEPTH}",
    "minus": f"att: softmax(Q @ K.T) @ {'-' * DEPTH}V",
    "transposed": f"att: softmax(Q @ K.T) @ {'(' * DEPTH}V{').T' * DEPTH}",
}
COMPILED = ("softmax", "sum")


@pytest.mark.parametrize("name", DEEP)
def test_deep_expressions(name: str, tmp_path: Path) -> None:
    path = genome(tmp_path, f"{HEADER}{DEEP[name]}\n")
    stages = STAGES if name in ("sum", "products", "neg") else STAGES[:1]
    results = autobertc_together(*([*command, str(path)] for command in (*TEXT_COMMANDS, *stages)), timeout=120)
    assert [result.code for result in results] == [0, 1] + [0] * (len(results) - 2)
    again = genome(tmp_path, results[3].stdout, "again.abz")
    assert load(again).digest() == load(path).digest()


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_deep_expressions_compile(name: str, tmp_path: Path) -> None:
    path = genome(tmp_path, f"{HEADER}{DEEP[name]}\n")
    output = tmp_path / "out"
    commands = (["show", "-o", str(tmp_path / "out.svg")], ["inspect"], ["compile", "-o", str(output)])
    results = autobertc_together(*([*command, str(path)] for command in commands), timeout=180)
    assert [result.code for result in results] == [0, 0, 0]
    model = build(load(path), head="base").eval()
    with torch.no_grad():
        assert model(torch.arange(8)[None]).last_hidden_state.isfinite().all()


def test_deep_faults(tmp_path: Path) -> None:
    texts = (
        f"att: {'(' * DEPTH}Q\n",
        f"att: {_nested('neg', 'nonsense')}\n",
        f"att: {'neg(' * DEPTH}\n",
        f"att: Q{')' * DEPTH}\n",
        "repeat 2 {\n" * DEPTH + "conv: 3\n" + "}\n" * DEPTH,
        "repeat 2 {\n" * DEPTH,
        f"att: {' @ '.join(['Q'] * DEPTH)}\n",
    )
    paths = [str(genome(tmp_path, text, f"{number}.abz")) for number, text in enumerate(texts)]
    for result in autobertc_together(*(["check", path] for path in paths), timeout=120):
        assert result.code == 1 and len(result.stderr) < 10_000


# ---------------------------------------------------------------- length

LINES = 100_000
LONG = {
    "lets": "let a0 = Q\n"
    + "".join(f"let a{i} = a{i - 1} + K\n" for i in range(1, LINES - 1))
    + f"att: softmax(a{LINES - 2} @ K.T) @ V\n",
    "unused": "let a = Q\n" + "".join(f"let a{i} = Q\n" for i in range(LINES - 2)) + f"att: {BERT}\n",
    "comments": "# a comment\n" * (LINES - 1) + "conv: 3\n",
    "layers": f"att: {BERT}\n" * 10_000,
    "wrong-types": "".join(f"att: Q @ x{i}\n" for i in range(LINES)),
    "wrong-syntax": "att: nonsense(Q\n" * LINES,
    "too-many-layers": "conv: 3\n" * LINES,
    "one-line": f"att: {' + '.join(['Q'] * LINES)}\n",
}
WRONG = ("wrong-types", "wrong-syntax", "too-many-layers")


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_long_files(name: str, tmp_path: Path) -> None:
    path = genome(tmp_path, LONG[name])
    done = autobertc_process("check", path, expect=int(name in WRONG), timeout=60)
    assert len(done.stdout) + len(done.stderr) < 20_000
    if name == "layers":
        autobertc_process("fmt", path, timeout=60)
        autobertc_process("compile", path, "--until", "graph", timeout=60)


@pytest.mark.slow
def test_ten_thousand_layers(tmp_path: Path) -> None:
    path = genome(tmp_path, HEADER + LONG["layers"])
    inspected, shown = autobertc_together(
        ["inspect", str(path)], ["show", str(path), "-o", str(tmp_path / "out.png")], timeout=60
    )
    assert inspected.code == shown.code == 0 and len(inspected.stdout) < 5_000


# ---------------------------------------------------------------- numbers and names

DIGITS = "9" * 5_000
KEYS = ("hidden", "heads", "intermediate", "vocab", "max_length", "embedding", "types", "dropout", "kernel_dropout")


def test_long_numbers(tmp_path: Path) -> None:
    texts = [f"model m {{ {key}: {DIGITS} }}\natt: {BERT}\n" for key in KEYS]
    texts += [f"model m {{ dropout: 0.{DIGITS} }}\nconv: 3\n", f"model m {{ dropout: 1e-{DIGITS} }}\nconv: 3\n"]
    texts += [f"conv: {DIGITS}\n", f"repeat {DIGITS} {{ conv: 3 }}\n", f"conv: {'0' * 5_000}3x\n"]
    for text in texts:
        path = genome(tmp_path, text)
        done = autobertc("check", path, expect=1)
        assert len(done.stderr) < 2_000, text[:60]
        autobertc("scale", path, "--to", "base", expect=1)
    for command in (["compile", "-o", "out", "--seed"], ["inspect", "--length"]):
        autobertc(*command, DIGITS, genome(tmp_path, MIXED), expect=2, cwd=tmp_path)
        autobertc(*command, "9" * 40, genome(tmp_path, MIXED), expect=None, cwd=tmp_path)


KEYWORDS = ("class", "def", "lambda", "None", "True", "import", "async", "torch", "F", "mask", "dropout_p", "head_dim")
RESERVED = ("attention_1", "compiled", "softmax_1", "matmul_1", "PROGRAMS", "__class__", "self", "select_rows", "x0")


@pytest.mark.parametrize("word", [*KEYWORDS, *RESERVED])
def test_python_words_are_names(word: str, tmp_path: Path) -> None:
    path = genome(
        tmp_path,
        f"model {word} {{ hidden: 32 heads: 2 vocab: 50 max_length: 16 }}\n"
        f"let {word} = logsigmoid(Q)\natt: softmax({word} @ K.T) @ {word}\natt: {word} + Q @ (K.T @ V)\n",
    )
    architecture = load(path)
    module = autobertc("compile", path, "--until", "module").stdout
    ast.parse(module)
    model = build(architecture, head="base").eval()
    with torch.no_grad():
        result = model(torch.arange(8)[None]).last_hidden_state
        plain = Source("plain", path.read_text(encoding="utf-8").replace(word, "plain"))
        other = build(check(parse_tree(plain)).architecture, head="base").eval()
        other.load_state_dict(model.state_dict())
        assert torch.equal(other(torch.arange(8)[None]).last_hidden_state, result)


INJECTIONS = (
    'model """; import os #',
    'model x""" + __import__("os").system("touch ran") + """',
    "model x\n import os",
    "model {{ cycler.__init__ }}",
    "model ../../../etc/passwd",
    "model x\\",
    "model x'",
)


@pytest.mark.parametrize("header", INJECTIONS)
def test_injections(header: str, tmp_path: Path) -> None:
    for text in (
        f"{header} {{ hidden: 64 }}\nconv: 3\n",
        f"let {header[6:]} = Q\natt: Q @ (K.T @ V)\n",
        f"att: {header[6:]}(Q)\n",
        f'model m {{ hidden: __import__("os") }}\nconv: 3\n{header[6:]}',
    ):
        done = autobertc("compile", genome(tmp_path, text), "-o", tmp_path / "out", expect=1, cwd=tmp_path)
        assert "error: " in done.stderr
    # In a comment it is harmless, and goes along as the text it is.
    path = genome(tmp_path, f"{MIXED}# {header}\n".replace("\n import", " import"))
    assert "import os" not in autobertc("compile", path, "--until", "module").stdout
    assert tree(tmp_path) == ["given.abz"]


# ---------------------------------------------------------------- not a file of text


@pytest.mark.parametrize(
    "command",
    [
        ["check"],
        ["fmt"],
        ["compile", "-o", "out"],
        ["inspect"],
        ["show", "-o", "out.svg"],
        ["scale", "--to", "base"],
        ["convert", "--from", ".", "-o", "out"],
        ["compile", "--until", "graph"],
        ["compile", "--until", "tree"],
    ],
    ids=" ".join,
)
def test_unreadable_files(command: list[str], tmp_path: Path) -> None:
    files = {
        "not UTF-8": genome(tmp_path, b"# \xff\xfe\nconv: 3\n", "latin.abz"),
        "NUL": genome(tmp_path, b"conv: 3\n\0", "nul.abz"),
        "is a directory": tmp_path,
        "no such file": tmp_path / "none.abz",
        "at least one layer": genome(tmp_path, b"", "empty.abz"),
    }
    before = tree(tmp_path)
    for words, path in files.items():
        if words == "at least one layer" and (command[0] == "fmt" or command[-1] == "tree"):
            continue
        done = autobertc(*command, path, expect=1, cwd=tmp_path)
        assert words in done.stderr and str(path) in done.stderr and done.stdout == ""
    assert tree(tmp_path) == before


def test_random_bytes_in_a_path(tmp_path: Path) -> None:
    done = autobertc_process("check", os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.abz"), expect=1)
    assert "no such file" in done.stderr


# ---------------------------------------------------------------- outputs that cannot be


OUTPUTS = (["compile", "-o"], ["show", "-o"], ["scale", "--to", "base", "-o"])


@pytest.mark.parametrize("command", OUTPUTS, ids=lambda command: command[0])
@pytest.mark.parametrize("place", ["file", "proc", "long"])
def test_impossible_places(command: list[str], place: str, tmp_path: Path) -> None:
    path = genome(tmp_path, MIXED)
    before = tree(tmp_path)
    parents = {"file": path, "proc": Path("/proc"), "long": tmp_path / ("x" * 300)}
    done = autobertc(*command, parents[place] / "deep.svg", path, expect=1)
    assert len(done.stderr.splitlines()) == 1
    assert ("File name too long" if place == "long" else "cannot write") in done.stderr
    assert tree(tmp_path) == before


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 KiB, which is nearly full."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("may not mount a file system")
    yield place
    subprocess.run(["mount", "-o", "remount,rw", place], check=True)
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("command", [*OUTPUTS, ["fmt"]], ids=lambda command: command[0])
def test_full_disk(command: list[str], mounted: Path, tmp_path: Path) -> None:
    path = genome(mounted if command == ["fmt"] else tmp_path, "att:  Q @ (K.T @ V)\n")
    before, text = tree(mounted), path.read_bytes()
    with (mounted / "filler").open("wb") as file:
        free = os.statvfs(mounted)
        file.write(b"x" * (free.f_bavail * free.f_bsize))
    arguments = [] if command == ["fmt"] else [mounted / "out.svg"]
    done = autobertc(*command, *arguments, path, expect=1)
    assert len(done.stderr.splitlines()) == 1
    assert "No space left" in done.stderr or "are free" in done.stderr
    assert tree(mounted) == ["filler", *before] and path.read_bytes() == text


@pytest.mark.parametrize("command", [*OUTPUTS, ["fmt"]], ids=lambda command: command[0])
def test_read_only_disk(command: list[str], mounted: Path, tmp_path: Path) -> None:
    path = genome(mounted if command == ["fmt"] else tmp_path, "att:  Q @ (K.T @ V)\n")
    before = tree(mounted)
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    arguments = [] if command == ["fmt"] else [mounted / "out.svg"]
    done = autobertc(*command, *arguments, path, expect=1)
    assert "Read-only" in done.stderr and len(done.stderr.splitlines()) == 1
    assert tree(mounted) == before


LIMITS = {"compile": (1_000, 5_000, 30_000), "show": (1_000,), "scale": (20,), "fmt": (20,)}


@pytest.mark.parametrize("command", [*OUTPUTS, ["fmt"]], ids=lambda command: command[0])
def test_write_that_fails_midway(command: list[str], tmp_path: Path) -> None:
    """No file may grow beyond a limit: at the sources, the tokenizer, the weights."""
    path = genome(tmp_path, MIXED)
    (tmp_path / "text.txt").write_text("some words and some more words\n" * 9, encoding="utf-8")
    before = tree(tmp_path)
    arguments = [] if command == ["fmt"] else [str(tmp_path / "out.svg")]
    options = ["--tokenizer", str(tmp_path / "text.txt")] if command[0] == "compile" else []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for limit in LIMITS[command[0]]:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
            done = autobertc(*command, *arguments, path, *options, expect=None)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert done.code == 1 and len(done.stderr.splitlines()) == 1, done
        assert "too large" in done.stderr
        assert tree(tmp_path) == before and path.read_text(encoding="utf-8") == MIXED
    signal.signal(signal.SIGXFSZ, handler)


def test_too_large_a_model(tmp_path: Path) -> None:
    path = genome(
        tmp_path, f"model huge {{ hidden: 65536 heads: 4096 }}\nrepeat 1000 {{ repeat 10 {{ att: {BERT} }} }}\n"
    )
    begin = time.monotonic()
    done = autobertc("compile", path, "-o", tmp_path / "out", expect=1)
    assert "GB" in done.stderr and len(done.stderr.splitlines()) == 1
    assert time.monotonic() - begin < 20 and tree(tmp_path) == ["given.abz"]
    autobertc("inspect", path)


# ---------------------------------------------------------------- interruption


def _started(folder: Path, path: Path) -> subprocess.Popen[str]:
    """A compilation that has begun to write."""
    command = [sys.executable, "-m", "autobertc", "compile", str(path), "-o", str(folder / "out")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENVIRONMENT},
        preexec_fn=heed_interrupts,
    )
    end = time.monotonic() + 60
    while not list(folder.glob(".*.partial")):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.002)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_interruption(number: signal.Signals, tmp_path: Path) -> None:
    # Large enough that it takes its time: 60 million weights.
    path = genome(tmp_path, f"repeat 8 {{ att: {BERT} }}\n")
    place = tmp_path / "place"
    place.mkdir()
    process = _started(place, path)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and "Traceback" not in errors
    assert not (place / "out").exists()
    if number != signal.SIGKILL:
        assert tree(place) == []
