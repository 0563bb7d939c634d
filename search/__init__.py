"""The search over genomes.

study = autobertc.search.Study({"layers": 4}, seed=0)
for _ in range(100):
    candidate = study.ask()
    study.tell(candidate, score(candidate.architecture))
print(study.best.text)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autobertc.search.genome import Genome
    from autobertc.search.space import Space
    from autobertc.search.study.ask_tell import Candidate, Study

__all__ = ["Candidate", "Genome", "Space", "Study"]

_HOMES = {
    "Candidate": "autobertc.search.study.ask_tell",
    "Study": "autobertc.search.study.ask_tell",
    "Genome": "autobertc.search.genome",
    "Space": "autobertc.search.space",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'autobertc.search' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
