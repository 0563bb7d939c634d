"""The benchmark of the rate runs."""

import json
import runpy
import sys
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "search_rate.py"


def test_the_rate_is_measured_and_told_by_part(tmp_path, capsys, monkeypatch):
    out = tmp_path / "rate.json"
    monkeypatch.setattr(sys, "argv", ["search_rate.py", "--children", "50", "--json", str(out)])
    runpy.run_path(str(BENCHMARK), run_name="__main__")
    told = capsys.readouterr().out
    assert "both keys" in told and "children a second" in told and "duplicates" in told
    numbers = json.loads(out.read_text(encoding="utf-8"))
    assert numbers["children"] == 50 and numbers["rate"] > 0 and numbers["unconfirmed"] == 0
    assert set(numbers["seconds"]) >= {"both keys", "check all layers", "draw an edit of a program"}
