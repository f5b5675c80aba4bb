"""Put the tables and pictures of a report into a page of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.compare.report import Report
from dsice.errors import InvalidInput


def publish(report: Report, page: Path) -> None:
    """Replace what stands between ``<!-- NAME -->`` and ``<!-- end -->`` by the table NAME.

    The pictures go to the folder ``images`` beside the page.

    Raises:
        InvalidInput: the page has no place for any table.
    """
    text = page.read_text(encoding="utf-8")
    found = 0
    for name, table in report.tables.items():
        place = re.compile(rf"(?<=<!-- {re.escape(name)} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        text, count = place.subn(f"\n{table}\n\n".replace("\\", r"\\"), text)
        found += count
    if not found:
        raise InvalidInput(f"{page} has no place for a table, such as <!-- {name} -->")
    report.draw(page.parent / "images", [".svg"])
    page.write_text(text, encoding="utf-8")
