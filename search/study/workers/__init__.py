"""What evaluates candidates: this process, processes of this machine, a Ray cluster."""

from __future__ import annotations

from autobertc.dsl.errors import UserError
from autobertc.search.study.workers.base import Answer, Task, Workers, WorkerSettings

__all__ = ["Answer", "Task", "WorkerSettings", "Workers", "make_workers"]


def make_workers(settings: WorkerSettings) -> Workers:
    """The workers of these settings, not started yet. Raises `UserError` where Ray is asked for and not installed."""
    if settings.kind == "in-process":
        from autobertc.search.study.workers.local import InProcess

        return InProcess(settings)
    if settings.kind == "processes":
        from autobertc.search.study.workers.processes import Processes

        return Processes(settings)
    from importlib.util import find_spec

    if find_spec("ray") is None:
        raise UserError("workers on Ray need Ray, which is not installed: pip install 'autobertc[ray]', or --workers 2")
    from autobertc.search.study.workers.cluster import RayTasks

    return RayTasks(settings)
