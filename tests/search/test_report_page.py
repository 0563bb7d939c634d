"""The report as a page: it needs nothing else, can be read by everyone, and works in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import browser
import pytest
import synthetic_report

from autobertc.search.report import write_report
from autobertc.search.report.data import ReportData
from autobertc.search.report.scene import DARK, LIGHT

needs_browser = pytest.mark.skipif(browser.find() is None, reason="no Chromium or Chrome is installed")
SECTIONS = ("last-stage", "winner", "progress", "cost", "pareto", "priorities", "layers", "lineage", "fidelity")


@pytest.fixture(scope="module")
def data() -> ReportData:
    return synthetic_report.full(60)


@pytest.fixture(scope="module")
def page(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(data, tmp_path_factory.mktemp("report") / "out")


def test_the_page_refers_to_nothing_outside(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert "http:" not in html and "https:" not in html
    for address in re.findall(r"""(?:src|href|action|poster|data)\s*=\s*["']([^"']*)""", html):
        assert address.startswith("#") or address == "data:,"
    assert "@import" not in html and not re.findall(r"url\((?!#)", html)
    assert "default-src 'none'" in html


def test_pictures_have_words_and_ids_are_unique(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    pictures = re.findall(r"<svg[^>]*>", html)
    assert len(pictures) > 30
    for picture in pictures:
        label = re.search(r'role="img" aria-label="([^"]+)"', picture)
        assert label and len(label[1]) > 15
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_written_colours_can_be_read(palette: dict[str, str]) -> None:
    def light(colour: str) -> float:
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        high, low = sorted((light(palette[one]), light(palette[other])), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for ground in ("page", "card", "sunken", "accent-soft"):
        assert contrast("ink", ground) > 7
        assert contrast("soft", ground) > 4.5
    for name in ("accent", "second", "third", "bad"):
        assert contrast(name, "card") > 4.5
    assert contrast("on-accent", "accent") > 4.5
    assert contrast("page", "second") > 4.5


MEASURE = """({
  scroll: document.documentElement.scrollWidth, width: innerWidth,
  sections: [...document.querySelectorAll("section")].map((each) => [each.id, each.offsetWidth, each.offsetHeight]),
  pictures: [...document.querySelectorAll("figure")].filter((each) => !each.closest("details"))
    .map((each) => [...each.children]
    .filter((child) => child.tagName === "svg").map((svg) => svg.getBoundingClientRect())
    .filter((box) => box.width > 0).map((box) => [box.width, box.height])),
  ground: getComputedStyle(document.body).backgroundColor,
})"""


@needs_browser
@pytest.mark.parametrize("width", [1280, 820, 375])
def test_it_fits_the_screen(page: Path, width: int) -> None:
    seen = browser.visit(page, MEASURE, width)
    assert seen.console == []
    found = seen.measured
    assert found["width"] == width
    assert found["scroll"] <= width
    assert [name for name, _, _ in found["sections"]] == [*SECTIONS, "outcomes", "configuration"]
    assert all(wide > 0.7 * width and high > 80 for _, wide, high in found["sections"])
    assert len(found["pictures"]) > 12
    for shown in found["pictures"]:
        # One of the two widths of each figure, large enough to be seen.
        assert len(shown) == 1
        assert shown[0][0] > 60 and shown[0][1] > 20


@needs_browser
def test_it_is_dark_where_the_system_is(page: Path) -> None:
    light = browser.visit(page, MEASURE)
    dark = browser.visit(page, MEASURE, flags=("--force-dark-mode",))
    assert dark.console == []
    assert light.measured["ground"] == _rgb(LIGHT["page"])
    assert dark.measured["ground"] == _rgb(DARK["page"])


def _rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[index : index + 2], 16)) for index in (1, 3, 5))})"


@needs_browser
def test_buttons_and_tips_work(page: Path) -> None:
    script = """(() => {
      const theme = document.getElementById("theme");
      const ground = () => getComputedStyle(document.body).backgroundColor;
      const grounds = [1, 2, 3].map(() => { theme.click(); return [theme.textContent, ground()]; });
      const point = document.querySelector("#progress [data-tip]");
      point.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
      const tip = document.getElementById("tip");
      return { grounds, tip: tip.hidden ? "" : tip.textContent, height: tip.offsetHeight };
    })()"""
    seen = browser.visit(page, script)
    assert seen.console == []
    light, dark = _rgb(LIGHT["page"]), _rgb(DARK["page"])
    assert seen.measured["grounds"] == [["Light", light], ["Dark", dark], ["Auto", light]]
    assert re.match(r"candidate \d+, round \d+", seen.measured["tip"])
    assert seen.measured["height"] > 10


@needs_browser
def test_a_page_without_data_has_no_errors_either(tmp_path: Path) -> None:
    page = write_report(synthetic_report.empty(), tmp_path / "out")
    seen = browser.visit(
        page, "({height: document.body.offsetHeight, pictures: document.querySelectorAll('svg').length})"
    )
    assert seen.console == []
    assert seen.measured["height"] > 800
    assert seen.measured["pictures"] == 0


@needs_browser
def test_the_browser_would_show_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<body><script>null.x</script><img src='https://example.org/a.png'></body>")
    seen = browser.visit(page, "1")
    assert any("null" in line for line in seen.console)


@needs_browser
def test_a_screenshot_is_not_blank(page: Path, tmp_path: Path) -> None:
    from matplotlib.image import imread

    browser.screenshot(page, tmp_path / "page.png", 1280, 1600)
    pixels = imread(tmp_path / "page.png")
    assert pixels.shape[:2] == (1600, 1280)
    assert pixels.std() > 0.05
