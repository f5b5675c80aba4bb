"""The report: one HTML page about a study, for people, that works without a network.

Reading order: `dsice.report.facts` and `timeline` work out what is to be said, `figures` draws it
as data (with `board`, `scales`, `job_figures` and `explain_figures`), `summary`, `explained` and
`details` say it in sentences and tables; `parts` makes the page's parts, and `html` one file of
them. `dsice.live` serves the same parts.
"""

import sys
from types import ModuleType

from dsice.report.html import write_report
from dsice.reporting import report


class _CallableModule(ModuleType):
    """Once this package is imported, ``dsice.report`` is it: `dsice.report(...)` works still."""

    def __call__(self, **values: float) -> None:
        report(**values)


sys.modules[__name__].__class__ = _CallableModule

__all__ = ["write_report"]
