"""Configurations: presets, files, settings, and one clear message for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from autobertc.dsl.errors import UserError
from autobertc.search.configuration import PRESETS, Configuration, check_same, load_configuration
from autobertc.search.study.assembly import make_plan


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_read_back(preset: str, tmp_path: Path) -> None:
    configuration = load_configuration(preset=preset)
    path = tmp_path / "search.toml"
    path.write_text(configuration.text())
    assert load_configuration(path) == configuration
    check_same(configuration.everything(), load_configuration(path))
    assert make_plan(configuration).anchor.count("att") == 1


def test_defaults_are_the_papers() -> None:
    configuration = Configuration()
    assert (configuration.strategy.population, configuration.strategy.parents, configuration.strategy.children) == (
        100,
        5,
        5,
    )
    assert configuration.sharing and configuration.study.trials == 760


def test_a_file_over_a_preset_under_settings(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('preset = "tiny"\n[study]\ntrials = 30\nseed = 7\n[space.fixed]\n1 = "attention"\n')
    configuration = load_configuration(path, settings=["study.trials=31", "strategy.name=random", "space.layers=4"])
    assert (configuration.study.trials, configuration.study.seed, configuration.space.layers) == (31, 7, 4)
    assert configuration.model.hidden == 64 and configuration.strategy.name == "random" and not configuration.sharing
    assert configuration.space.settled[0].kind == "attention"
    path.write_text(configuration.text())
    assert load_configuration(path) == configuration


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[study]\n\ntrails = 3\n", r"mine.toml:3: study.trails: unknown key; did you mean `trials`\?"),
        ("[studdy]\n", r"mine.toml:1: studdy: unknown section; did you mean `study`\?"),
        ("[study]\ntrials = 'many'\n", r"mine.toml:2: study.trials: give a whole number, found 'many'"),
        ("[study]\ntrials = 0\n", r"mine.toml:2: study.trials: trials is at least 1, not 0"),
        ("[study]\ntrials = true\n", r"give a whole number, found True"),
        ("[strategy]\nname = 'opnas'\n", r"no strategy is called 'opnas': did you mean 'op-nas'"),
        ("[supernet]\nwrite_back = 'worst'\n", r'supernet.write_back: give "best" or "mean", found'),
        ("[evaluation]\nproxy = 'mechanical'\n", r"mechanistic"),
        ("[evaluation]\nbatch = 8\nsteps = 0\n", r"mine.toml:3: evaluation.steps: steps must be above 0"),
        ("[study]\nhours = nan\n", r"mine.toml:2: study.hours: give a number, found nan"),
        ("[strategy]\ncontrast = 1.0\n", r"mine.toml:2: strategy.contrast: contrast is above 1, not 1.0"),
        ("[strategy]\ntau = 0.0\n", r"mine.toml:2: strategy.tau: tau is above 0, not 0.0"),
        ("[strategy]\nalpha = -1.0\n", r"mine.toml:2: strategy.alpha: alpha is at least 0, not -1.0"),
        ("[evaluation]\nlearning_rates = 3\n", r"a list \(a number each\), found 3"),
        ("[space]\n\nop = []\n", r"mine.toml:3: space.op: unknown key; did you mean `ops`"),
        ("[space]\nops = ['add']\n", r"mine.toml:2: space.ops: no program that mixes tokens"),
        ("[model]\nhidden = 30\nheads = 4\n", r"mine.toml:2: model.hidden: hidden is a multiple of heads"),
        ("[model]\nmax_length = 8\n", r"length is 32, but the models have max_length 8"),
        ("preset = 'huge'\n", r"no preset is called 'huge'; the presets are tiny, small, paper"),
        ("study = 3\n", r"mine.toml:1: study: give a section, \[study\], found 3"),
        ("[study\n", r"mine.toml: not TOML"),
    ],
)
def test_mistakes(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_configuration(path)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("trials=3", "--set takes section.key=value"),
        ("study.trials", "--set takes section.key=value"),
        ("study.trials=many", "study.trials: give a whole number, found 'many'"),
        ("study.tirals=3", "study.tirals: unknown key; did you mean `trials`"),
    ],
)
def test_mistakes_in_settings(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_configuration(preset="tiny", settings=[setting])


def test_an_anchor_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.abz"
    path.write_text("model mine {}\nconv: 3\nconv: 5\nconv: 7\nconv: 9\n")
    plan = make_plan(load_configuration(preset="tiny", settings=[f'study.anchor="{path}"']))
    assert "conv: 5" in plan.anchor and "hidden: 64" in plan.anchor
    with pytest.raises(UserError, match="has 4 layers, and the space 5"):
        make_plan(load_configuration(preset="tiny", settings=[f'study.anchor="{path}"', "space.layers=5"]))
    with pytest.raises(UserError, match=r"'bret' is no architecture's name \(bert,.* and no file"):
        make_plan(load_configuration(preset="tiny", settings=["study.anchor=bret"]))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*none.toml"):
        load_configuration(tmp_path / "none.toml")


def test_what_a_study_keeps() -> None:
    """The budget and the workers may change; the space, the sizes, the seed and the threads may not."""
    begun = load_configuration(preset="tiny")
    stored = begun.everything()
    check_same(stored, load_configuration(preset="tiny", settings=["study.trials=9", "workers.count=8"]))
    with pytest.raises(UserError, match=r"this study searches another space: space.layers is 4 there and 5 here"):
        check_same(
            begun.everything(), load_configuration(preset="tiny", settings=["space.layers=5", "model.hidden=32"])
        )
    stored = begun.everything()
    stored["evaluation"]["warmup"] = 0.2  # as another version's default was
    with pytest.raises(UserError, match=r"was begun otherwise: evaluation.warmup is 0.2 there and 0.1 here"):
        check_same(stored, begun)
    with pytest.raises(UserError, match=r"strategy.tau is not set there and 2.0 here"):
        check_same(begun.everything(), load_configuration(preset="tiny", settings=["strategy.tau=2.0"]))
    for setting in ("workers.threads=2", "study.seed=1", "evaluation.steps=7", "model.hidden=32"):
        with pytest.raises(UserError, match=f"was begun otherwise: {setting.partition('=')[0]} is"):
            check_same(begun.everything(), load_configuration(preset="tiny", settings=[setting]))
