"""Outputs, whole or not at all."""

import os
import stat
from pathlib import Path

import pytest
from command_line import tree

from autobertc.runtime.files import OutputError, new_directory, write_text


def test_a_new_directory_appears_at_the_end(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    with new_directory(place) as folder:
        (folder / "file").write_text("x", encoding="utf-8")
        (folder / "inner").mkdir()
        (folder / "inner" / "private").write_text("x", encoding="utf-8")
        (folder / "inner" / "private").chmod(0o600)
        assert not place.exists() and folder.parent == place.parent
    assert tree(tmp_path) == ["a", "a/b", "a/b/file", "a/b/inner", "a/b/inner/private"]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (place, place / "inner", place / "inner" / "private")]
    mask = os.umask(0)
    os.umask(mask)
    assert modes == [0o777 & ~mask, 0o777 & ~mask, 0o666 & ~mask]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_a_directory_that_fails_is_gone(error: type[BaseException], tmp_path: Path) -> None:
    expected = OutputError if error is OSError else error
    (tmp_path / "kept").mkdir()
    for place in (tmp_path / "a" / "b", tmp_path / "kept" / "b", tmp_path / "kept"):
        with pytest.raises(expected), new_directory(place) as folder:
            (folder / "file").write_text("x", encoding="utf-8")
            raise error
    assert tree(tmp_path) == ["kept"]


def test_replacing_a_directory(tmp_path: Path) -> None:
    place = tmp_path / "out"
    for text in ("first", "second"):
        with new_directory(place, replace=True) as folder:
            (folder / text).write_text(text, encoding="utf-8")
    assert tree(tmp_path) == ["out", "out/second"]
    with pytest.raises(RuntimeError), new_directory(place, replace=True):
        raise RuntimeError
    with pytest.raises(OutputError, match="not empty"), new_directory(place):
        pass
    assert tree(tmp_path) == ["out", "out/second"]


def test_a_replacement_that_fails_restores_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "out"
    with new_directory(place) as folder:
        (folder / "first").write_text("x", encoding="utf-8")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputError, match="No space left"), new_directory(place, replace=True):
        pass
    assert tree(tmp_path) == ["out", "out/first"]


def test_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for text in ("first", "second"):
        with new_directory(tmp_path / "link", replace=True) as folder:
            (folder / text).write_text(text, encoding="utf-8")
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["second"]


def test_names_of_the_greatest_length(tmp_path: Path) -> None:
    name = "∑" * 85  # 255 bytes
    with new_directory(tmp_path / name):
        pass
    write_text(tmp_path / name / name, "text")
    assert (tmp_path / name / name).read_text(encoding="utf-8") == "text"


def test_write_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "größe\n")
    assert path.read_bytes() == "größe\n".encode()
    path.chmod(0o604)
    write_text(path, "again\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    with pytest.raises(OutputError, match="is a folder"):
        write_text(tmp_path, "")
    with pytest.raises(OutputError, match="No such file"):
        write_text(tmp_path / "none" / "file", "")
    assert tree(tmp_path) == ["file"]


def test_write_text_into_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", "text\n")
    assert os.read(reader, 100) == b"text\n" and (tmp_path / "pipe").is_fifo()
    os.close(reader)
