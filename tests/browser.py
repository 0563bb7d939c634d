"""A real browser without a window, to look at a page with."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=3000",
    "--enable-logging=stderr",
    # Where the network is unplugged, whatever a page asks of it shows as an error.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def find() -> str | None:
    """The browser's path, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class Visit:
    """What a visit left: the console's lines, and the script's value."""

    console: list[str]
    measured: dict[str, Any]


def visit(page: Path, script: str, width: int = 1280, height: int = 900, flags: tuple[str, ...] = ()) -> Visit:
    """Open a copy of the page in a frame of that size, narrower than a window may be, in which `script`, an expression
    of JavaScript, is evaluated at the end of loading."""
    probe = (
        f"<script>addEventListener('load', () => parent.postMessage(JSON.stringify({script}), '*'));</script></body>"
    )
    with tempfile.TemporaryDirectory() as folder:
        text = page.read_text(encoding="utf-8").replace("</body>", probe)
        (Path(folder) / "page.html").write_text(text, encoding="utf-8")
        outer = Path(folder) / "outer.html"
        outer.write_text(_OUTER.format(width=width, height=height), encoding="utf-8")
        done = _run(outer, Path(folder), [f"--window-size={max(500, width)},{height}", *flags, "--dump-dom"])
    found = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, f"the page did not load: {done.stderr[-2000:]}"
    return Visit([line for line in done.stderr.splitlines() if "CONSOLE" in line], json.loads(unescape(found[1])))


_OUTER = """<!doctype html><body style="margin:0">
<script>addEventListener("message", (event) => {{
  const out = document.createElement("pre");
  out.id = "measured";
  out.textContent = event.data;
  document.body.append(out);
}});</script>
<iframe src="page.html" style="width:{width}px;height:{height}px;border:0"></iframe></body>"""


def screenshot(page: Path, output: Path, width: int = 1280, height: int = 900, flags: tuple[str, ...] = ()) -> None:
    """Save a PNG of the page."""
    with tempfile.TemporaryDirectory() as folder:
        _run(page, Path(folder), [f"--window-size={width},{height}", *flags, f"--screenshot={output}"])


def _run(page: Path, folder: Path, flags: list[str]) -> subprocess.CompletedProcess[str]:
    browser = find()
    assert browser is not None
    profile = folder / "profile"
    profile.mkdir()
    command = [browser, *FLAGS, f"--user-data-dir={profile}", *flags, page.resolve().as_uri()]
    environment = {**os.environ, "HOME": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=True)
