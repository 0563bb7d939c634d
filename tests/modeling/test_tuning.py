"""Choices by measurement: made once, kept on disk, safe under several processes."""

import json
import multiprocessing
import os

import pytest

from autobertc.compiler.modeling import tuning


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOBERTC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AUTOBERTC_TUNING", raising=False)
    monkeypatch.setattr(tuning, "_known", {})
    return tmp_path / "cache"


def fake_time(times):
    """A clock that knows how long each candidate takes, by what it ran."""

    def time(run):
        ran.clear()
        run()
        return times[ran[0]]

    ran = []
    return time, ran


def choose(key, times):
    time, ran = fake_time(times)
    return tuning.tuned(key, tuple(times), ran.append, "kernel", time)


def test_the_fastest_is_chosen_and_kept(cache):
    assert choose(("k", 1), {"a": 3.0, "b": 1.0, "c": 2.0}) == "b"
    (file,) = cache.glob("*.json")
    assert json.loads(file.read_text())["ms"] == 1.0
    # Other times now: what was found stays.
    assert choose(("k", 1), {"a": 0.1, "b": 9.0, "c": 2.0}) == "b"
    tuning._known.clear()
    assert choose(("k", 1), {"a": 0.1, "b": 9.0, "c": 2.0}) == "b"
    assert choose(("k", 2), {"a": 0.1, "b": 9.0, "c": 2.0}) == "a"


def test_a_choice_that_is_no_candidate_any_more_is_made_again():
    choose(("k",), {"a": 3.0, "b": 1.0})
    assert choose(("k",), {"a": 2.0, "c": 5.0}) == "a"


def test_what_does_not_fit_is_left_out_and_nothing_fitting_is_an_error():
    assert choose(("k",), {"a": float("inf"), "b": 7.0}) == "b"
    with pytest.raises(RuntimeError, match="kernel: no tile sizes fit this device; use the eager backend"):
        choose(("none",), {"a": float("inf"), "b": float("inf")})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"choice": 3}', '{"other": 1}'])
def test_a_broken_file_is_passed_over(cache, text):
    choose(("k",), {"a": 3.0, "b": 1.0})
    (file,) = cache.glob("*.json")
    file.write_text(text)
    tuning._known.clear()
    assert choose(("k",), {"a": 1.0, "b": 2.0}) == "a"


def test_the_debug_switch_prints_what_was_chosen(monkeypatch, capsys):
    monkeypatch.setenv("AUTOBERTC_DEBUG", "tuning")
    choose(("k",), {"a": 3.0, "b": 1.0})
    printed = capsys.readouterr().err.splitlines()
    assert printed == ["autobertc: kernel 3.000 ms a", "autobertc: kernel 1.000 ms b <- chosen"]


def test_tuning_can_be_switched_off(monkeypatch, cache):
    monkeypatch.setenv("AUTOBERTC_TUNING", "off")
    assert choose(("k",), {"a": 3.0, "b": 1.0}) == "a"
    assert not cache.exists()


def test_a_full_disk_costs_no_result(monkeypatch, capsys, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("AUTOBERTC_CACHE", str(blocked))
    assert choose(("k",), {"a": 3.0, "b": 1.0}) == "b"
    assert "cannot keep a tuning result" in capsys.readouterr().err


def _tune_often(directory):
    os.environ["AUTOBERTC_CACHE"] = directory
    for number in range(30):
        tuning._known.clear()
        assert choose(("k", number), {"a": 3.0, "b": 1.0}) == "b"


def test_several_processes(cache):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_tune_often, args=(str(cache),)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert all(process.exitcode == 0 for process in processes)
    assert len(list(cache.glob("*.json"))) == 30 and not list(cache.glob("*.partial"))
