"""Generated source executed in the process, no files written."""

from __future__ import annotations

import importlib
import linecache
import sys
import types

_PACKAGE = "autobertc.compiler.modeling"


def known(name: str) -> types.ModuleType | None:
    """The generated module of that name, if it has been executed."""
    return sys.modules.get(f"{_PACKAGE}.{name}")


def execute(name: str, text: str) -> types.ModuleType:
    """A module of that source beside the modelling package's own, known to `sys.modules` so that its classes can be
    pickled, and to tracebacks and Triton, which read its source."""
    importlib.import_module(_PACKAGE)
    full_name = f"{_PACKAGE}.{name}"
    filename = f"<autobertc {name}>"
    module = types.ModuleType(full_name)
    module.__package__ = _PACKAGE
    module.__file__ = filename
    code = compile(text, filename, "exec")
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    sys.modules[full_name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[full_name]
        raise
    return module
