"""The report: one HTML page about a study, for people, that works without a network.

Reading order: `dsice.report.facts` and `timeline` work out what is to be said, `figures` draws it
as data (with `board`, `scales` and `job_figures`), `summary` says it in sentences and tables, and
`html` puts it all on the page.
"""

from dsice.report.html import write_report

__all__ = ["write_report"]
