"""check, fmt, ops, scale and what does not depend on a command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import MIXED, autobertc, autobertc_process, tree

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMANDS = ("check", "fmt", "ops", "compile", "inspect", "show", "scale", "convert")
HEAVY = ("torch", "transformers", "tokenizers", "matplotlib", "numpy", "jinja2")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.abz"
    path.write_text(MIXED, encoding="utf-8")
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.abz"
    path.write_text("att: softmax(Q @ K) @ V\nconv: 4\n", encoding="utf-8")
    return path


def test_help_and_version() -> None:
    shown = autobertc("--help").stdout
    assert all(command in shown for command in COMMANDS)
    assert autobertc("--version").stdout.startswith("autobertc 0.")
    for command in COMMANDS:
        assert "Usage:" in autobertc(command, "--help").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["check"],
        ["fmt"],
        ["check", "--nonsense", "x.abz"],
        ["compile", "x.abz"],
        ["compile", "x.abz", "--until", "nonsense"],
        ["compile", "x.abz", "-o", "out", "--backend", "nonsense"],
        ["compile", "x.abz", "-o", "out", "--seed", "-1"],
        ["inspect", "x.abz", "--length", "0"],
        ["inspect", "x.abz", "--length", "many"],
        ["scale", "x.abz"],
        ["scale", "x.abz", "--to", "huge"],
        ["show", "x.abz"],
        ["convert", "x.abz", "-o", "out"],
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str], tmp_path: Path) -> None:
    done = autobertc(*arguments, expect=2, cwd=tmp_path)
    assert "Usage:" in done.stderr and done.stdout == ""
    assert tree(tmp_path) == []


def test_no_command_shows_the_help() -> None:
    done = autobertc(expect=2)
    assert "Usage:" in done.stdout + done.stderr


def test_check(good: Path) -> None:
    done = autobertc("check", good)
    assert "3 layers: 2 attention (2 programs), 1 convolution" in done.stdout
    assert done.stderr == ""


def test_check_goes_on_after_a_bad_file(good: Path, bad: Path, tmp_path: Path) -> None:
    done = autobertc("check", bad, tmp_path / "none.abz", good, expect=1)
    assert f"{good}: 3 layers" in done.stdout
    assert f"{bad}:1:" in done.stderr and f"{bad}:2:" in done.stderr
    assert "none.abz: error: no such file" in done.stderr


def test_notes_and_warnings_are_no_errors(tmp_path: Path) -> None:
    path = tmp_path / "noted.abz"
    path.write_text("let unused = Q\natt: softmax(Q @ K.T)\natt: Q + K\n", encoding="utf-8")
    done = autobertc("check", path)
    assert "2 layers" in done.stdout
    for words in ("note: ", "applied to V", "warning: ", "never used", "does not mix tokens"):
        assert words in done.stderr and words not in done.stdout


@pytest.mark.parametrize("arguments", [["check", "{}"], ["fmt", "--check", "{}"], ["ops"]], ids=lambda given: given[0])
def test_starts_light(arguments: list[str]) -> None:
    """The language costs nothing to start."""
    path = EXAMPLES / "autobert-zero-base.abz"
    script = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({HEAVY!r}))\n"  # an import of one of these raises
        f"sys.argv = ['autobertc', *{[given.format(path) for given in arguments]!r}]\n"
        "from autobertc.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout or arguments[0] == "fmt"


def test_fmt_in_place(tmp_path: Path) -> None:
    path = tmp_path / "loose.abz"
    path.write_text("# kept\natt :   softmax( Q@K.T )@ V   # and this\n", encoding="utf-8")
    path.chmod(0o640)
    text = path.read_text(encoding="utf-8")
    autobertc("fmt", path)
    formatted = path.read_text(encoding="utf-8")
    assert formatted != text and "# kept" in formatted and "# and this" in formatted
    assert path.stat().st_mode & 0o777 == 0o640
    before = path.stat().st_mtime_ns
    assert autobertc("fmt", path).stdout == ""
    assert path.stat().st_mtime_ns == before, "a formatted file was written again"
    assert tree(tmp_path) == ["loose.abz"]


def test_fmt_check(good: Path) -> None:
    text = good.read_text(encoding="utf-8")
    assert autobertc("fmt", "--check", good, expect=1).stdout == f"would reformat {good}\n"
    assert good.read_text(encoding="utf-8") == text
    autobertc("fmt", good)
    assert autobertc("fmt", "--check", good).stdout == ""


def test_fmt_several_with_one_bad(good: Path, bad: Path) -> None:
    text = bad.read_text(encoding="utf-8").replace("att:", "att")
    bad.write_text(text, encoding="utf-8")
    done = autobertc("fmt", bad, good, expect=1)
    assert bad.read_text(encoding="utf-8") == text
    assert f"reformatted {good}" in done.stdout and f"{bad}:1:" in done.stderr


def test_fmt_standard_input(good: Path) -> None:
    autobertc("fmt", good)
    formatted = good.read_text(encoding="utf-8")
    assert autobertc("fmt", "-", stdin=MIXED).stdout == formatted
    assert autobertc("fmt", "-", "--check", stdin=formatted).stdout == ""
    done = autobertc("fmt", "-", stdin="att: (", expect=1)
    assert done.stdout == "" and "<stdin>:1:" in done.stderr
    for data, words in ((b"# \xff\nconv: 3\n", "not UTF-8"), (b"# \0\nconv: 3\n", "NUL")):
        assert words in autobertc("fmt", "-", stdin=data, expect=1).stderr


def test_fmt_keeps_links(good: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.abz"
    link.symlink_to(good)
    autobertc("fmt", link)
    assert link.is_symlink() and good.read_text(encoding="utf-8") != MIXED


def test_ops() -> None:
    shown = autobertc("ops").stdout
    for words in ("matmul x y", "[a,b] [b,c] -> [a,c]", "euclidean_distance", "softsign", "sigmoid", "square"):
        assert words in shown


def test_a_terminal_without_unicode(tmp_path: Path) -> None:
    path = tmp_path / "mixed.abz"
    path.write_text("# größe ∑\nconv: 3\n", encoding="utf-8")
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    autobertc_process("fmt", "-", input=path.read_bytes(), env=ascii_only)
    autobertc_process("ops", env=ascii_only)
    path.write_text("att: größe\n", encoding="utf-8")
    autobertc_process("check", path, env=ascii_only, expect=1)


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "autobertc", "ops"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert done.returncode in (0, 1) and done.stderr == b""


@pytest.mark.parametrize("to", ["small", "base", "large"])
def test_scale(to: str, tmp_path: Path) -> None:
    source, output = EXAMPLES / "autobert-zero-base.abz", tmp_path / "scaled.abz"
    printed = autobertc("scale", source, "--to", to).stdout
    assert autobertc("scale", source, "--to", to, "-o", output).stdout == f"wrote {output}\n"
    assert output.read_text(encoding="utf-8") == printed
    assert autobertc("fmt", "--check", output).stdout == ""
    assert f"{24 if to == 'large' else 12} layers" in autobertc("check", output).stdout
    assert tree(tmp_path) == ["scaled.abz"]


def test_scale_what_cannot_be(good: Path) -> None:
    done = autobertc("scale", good, "--to", "large", expect=1)
    assert "odd number" in done.stderr and done.stdout == ""


def test_output_to_a_device(good: Path) -> None:
    """Nothing takes the place of what is no file."""
    printed = autobertc("scale", good, "--to", "base").stdout
    assert autobertc_process("scale", good, "--to", "base", "-o", "/dev/stdout").stdout.startswith(printed)
    autobertc("scale", good, "--to", "base", "-o", "/dev/null")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("stem", ["a b", 'quo"te', "new\nline", "ünïcode ∑", '"""', "-o", "class", "x" * 200, ".h"])
def test_names_of_files(stem: str, tmp_path: Path) -> None:
    """A file without a header is named after itself; what is printed of it re-reads."""
    path = tmp_path / f"{stem}.abz"
    path.write_text("conv: 3\n", encoding="utf-8")
    again = tmp_path / "again.abz"
    autobertc("check", "--", path)
    for arguments in (["scale", "--to", "base"], ["compile", "--until", "graph"], ["compile", "--until", "tree"]):
        again.write_text(autobertc(*arguments, "--", path).stdout, encoding="utf-8")
        autobertc("check", again)
