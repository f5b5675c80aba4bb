"""The report: one HTML page about a study that works offline.

Reading order: `dsice.report.facts` and `timeline` compute the facts. `figures` turns them into
Vega-Lite specifications (with `board`, `scales`, `job_figures` and `explain_figures`), and
`summary`, `explained` and `details` into sentences and tables. `parts` builds the parts of the
page, and `html` combines them in one file. `dsice.live` serves the same parts.
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
    from dsice.report.html import write_report  # slow to import; programs that report need none

    globals()[name] = write_report
    return write_report


class _CallableModule(ModuleType):
    """``dsice.report(...)`` is `dsice.reporting.report`."""

    def __call__(self, **values: float) -> None:
        from dsice.reporting import report

        report(**values)


sys.modules[__name__].__class__ = _CallableModule
