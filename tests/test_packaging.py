"""What an installation holds."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import autobertc

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NOT_INSTALLED = {"tests", "benchmarks", "examples", "docs", "build"}


def _packages() -> set[str]:
    """The folders with Python files in them, tests and what is hidden or generated apart."""
    found = set()
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts[:-1]
        if parts and parts[0] in NOT_INSTALLED:
            continue
        if any(part.startswith("__") or "." in part for part in parts):
            continue
        if any((ROOT.joinpath(*parts[:depth]) / "pyvenv.cfg").exists() for depth in range(1, len(parts) + 1)):
            continue
        found.add(".".join(("autobertc", *parts)))
    return found


def test_every_folder_is_listed() -> None:
    assert sorted(_packages()) == SETTINGS["tool"]["setuptools"]["packages"]


def test_every_package_is_one() -> None:
    for name in SETTINGS["tool"]["setuptools"]["packages"]:
        assert (ROOT.joinpath(*name.split(".")[1:]) / "__init__.py").exists(), name


def test_version() -> None:
    assert autobertc.__version__ == SETTINGS["project"]["version"]
    assert set(autobertc.__all__) <= set(dir(autobertc))
    assert all(getattr(autobertc, name) is not None for name in autobertc.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = autobertc.nonsense


@pytest.mark.slow
def test_wheel(tmp_path: Path) -> None:
    """It holds everything the program needs, and works where the sources are not."""
    copy = tmp_path / "sources"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():  # building leaves files beside the sources
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "-w",
        tmp_path,
        copy,
    ]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    (wheel,) = tmp_path.glob("autobertc-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    installed = {name for name in names if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in installed} == {"autobertc"}
    expected = {"autobertc/py.typed", *(f"autobertc/{path.relative_to(ROOT)}" for path in ROOT.glob("grammars/*.lark"))}
    expected |= {f"autobertc/{path.relative_to(ROOT)}" for path in ROOT.glob("compiler/templates/*.jinja")}
    expected |= {f"autobertc/search/report/{name}" for name in ("page.html.jinja", "style.css.jinja", "script.js")}
    expected |= {f"autobertc/{path.relative_to(ROOT)}" for path in ROOT.glob("search/*/*.toml")}
    expected |= {"autobertc/search/tabular/standard.jsonl"}
    expected |= {f"autobertc/{path.relative_to(ROOT)}" for path in ROOT.glob("examples/*.abz")}
    for name in SETTINGS["tool"]["setuptools"]["packages"]:
        folder = ROOT.joinpath(*name.split(".")[1:])
        expected |= {f"autobertc/{path.relative_to(ROOT)}" for path in folder.glob("*.py")}
    assert installed == expected
    assert any(name.endswith("/LICENSE") for name in names)

    zipfile.ZipFile(wheel).extractall(tmp_path / "elsewhere")
    (tmp_path / "genome.abz").write_text("model m { hidden: 64 vocab: 50 max_length: 8 }\natt: softmax(Q @ K.T)\n")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'elsewhere')!r})\n"
        "import autobertc\n"
        f"assert autobertc.__file__.startswith({str(tmp_path)!r}), autobertc.__file__\n"
        "sys.argv = ['autobertc', 'compile', 'genome.abz', '-o', 'out']\n"
        "from autobertc.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out" / "model.safetensors").exists() and (tmp_path / "out" / "functional.py").exists()
