"""Finding the entries: a module of `ENTRIES` in one of some packages. Adding one is adding a file.

What several entries share is in a module whose name begins with an underscore.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from autobertc.runtime.data.errors import unknown
from autobertc.runtime.reproduction.entry import Entry

OWN = "autobertc.runtime.reproduction.entries"


def entries(packages: Sequence[str] = (OWN,)) -> dict[str, Entry]:
    """All entries by name, in the order of the page."""
    found: dict[str, Entry] = {}
    for package in packages:
        place = importlib.import_module(package)
        for module in sorted(pkgutil.iter_modules(place.__path__), key=lambda module: module.name):
            if module.name.startswith("_"):
                continue
            given: tuple[Entry, ...] = importlib.import_module(f"{package}.{module.name}").ENTRIES
            found |= {entry.name: entry for entry in given}
    return {entry.name: entry for entry in sorted(found.values(), key=lambda entry: (entry.order, entry.name))}


def find(name: str, among: dict[str, Entry]) -> Entry:
    """An entry as a user calls it: `table2`, `Table 2`, `fig5`. Raises `DataError` with the nearest name."""
    folded = "".join(character for character in name.lower() if character.isalnum())
    if folded.startswith("fig") and not folded.startswith("figure"):
        folded = f"figure{folded.removeprefix('fig')}"
    by_name = {key.replace("-", ""): entry for key, entry in among.items()}
    if folded not in by_name:
        raise unknown("table or figure", name, among)
    return by_name[folded]
