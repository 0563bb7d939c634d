"""The report of a search: one HTML page that needs nothing else, its figures as PNG, its numbers as JSON."""

from __future__ import annotations

from pathlib import Path

from autobertc.runtime.files import OutputError, new_directory
from autobertc.search.report.data import ReportData
from autobertc.search.report.page import Page

PAGE, NUMBERS, FIGURES, WINNER = "index.html", "report.json", "figures", "winner.abz"


def write_report(data: ReportData, folder: Path) -> Path:
    """Write `index.html`, `report.json`, `winner.abz` and `figures/*.png` into a folder, and return the page's path.

    The folder appears whole or not at all. An earlier report there goes; anything else stays: raises `OutputError`
    where the folder holds other things or cannot be written.
    """
    folder = Path(folder)
    earlier = all((folder / name).is_file() for name in (PAGE, NUMBERS))
    if earlier and (others := {each.name for each in folder.iterdir()} - {PAGE, NUMBERS, FIGURES, WINNER}):
        raise OutputError(f"cannot write {folder}: it also holds {min(others)}; name another folder")
    page = Page(data)
    text = page.html()
    with new_directory(folder, replace=earlier) as partial:
        (partial / PAGE).write_text(text, encoding="utf-8")
        (partial / NUMBERS).write_text(data.to_json(), encoding="utf-8")
        if data.winner:
            (partial / WINNER).write_text(data.winner.genome, encoding="utf-8")
        (partial / FIGURES).mkdir()
        for figure in page.figures:
            figure.save(partial / FIGURES)
    return folder / PAGE
