"""The report: one HTML page about a study, for people, that works without a network.

Reading order: `dsice.report.facts` and `timeline` work out what is to be said, `figures` draws it
as data (with `board`, `scales`, `job_figures` and `explain_figures`), `summary`, `explained` and
`details` say it in sentences and tables; `parts` makes the page's parts, and `html` one file of
them. `dsice.live` serves the same parts.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsice.report.html import write_report

__all__ = ["write_report"]


def __getattr__(name: str) -> object:
    if name != "write_report":
        raise AttributeError(f"module 'dsice.report' has no attribute {name!r}")
    from dsice.report.html import write_report  # takes long: a program that reports needs none

    globals()[name] = write_report
    return write_report


class _CallableModule(ModuleType):
    """``dsice.report(...)`` is `dsice.reporting.report`."""

    def __call__(self, **values: float) -> None:
        from dsice.reporting import report

        report(**values)


sys.modules[__name__].__class__ = _CallableModule
