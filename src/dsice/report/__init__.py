"""The report: one HTML page about a study, for people, that works without a network.

Reading order: `dsice.report.facts` and `timeline` work out what is to be said, `figures` draws it
as data (with `board`, `scales`, `job_figures` and `explain_figures`), `summary`, `explained` and
`details` say it in sentences and tables; `parts` makes the page's parts, and `html` one file of
them. `dsice.live` serves the same parts.
"""

from dsice.report.html import write_report

__all__ = ["write_report"]
