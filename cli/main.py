"""The command line. Commands import what they need when they run, so that `check`, `fmt` and `ops` start at once."""

from __future__ import annotations

import signal
import sys
from io import TextIOWrapper

from autobertc.cli import (  # noqa: F401 (they add their commands to the app)
    analysis_commands,
    comparison_commands,
    program_commands,
    reproduction_commands,
    search_commands,
    training_commands,
)
from autobertc.cli.app import app
from autobertc.cli.messages import fail
from autobertc.dsl.errors import UserError
from autobertc.dsl.source import AbzError


def main() -> None:
    """The entry point: exit code 0, 1 for an error of the user's input, 2 for wrong usage."""
    # A terminal that cannot show a character gets an escape, and one that ends us leaves no half-written folder.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except AbzError as error:
        fail(str(error))
    except UserError as error:
        fail(f"error: {error}")
    except MemoryError:
        fail("error: out of memory")
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody to tell.
        sys.stderr.close()
    except OSError as error:
        fail(f"error: {error.filename or ''}{': ' if error.filename else ''}{error.strerror or error}")
    else:
        return
    sys.exit(1)


if __name__ == "__main__":
    main()
