"""docs/algorithm.md and the code beside each other: an equation has the same number in both."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def in_docs() -> list[int]:
    text = (ROOT / "docs" / "algorithm.md").read_text(encoding="utf-8")
    blocks = re.findall(r"\$\$(.+?)\$\$", text, flags=re.DOTALL)
    tags = [re.findall(r"\\tag\{(\d+)\}", block) for block in blocks]
    assert all(len(found) == 1 for found in tags), "an equation has no number, or two"
    return [int(number) for (number,) in tags]


def in_code() -> set[int]:
    """Numbers in comments at the end of a line: ``# (8)``, or ``# (9), left`` for a part."""
    package = ROOT / "src" / "dsice"
    files = [package / "spline.py", *(package / "search").glob("*.py")]
    files += (package / "gp").glob("*.py")
    found = [
        re.findall(
            r"  # \((\d+)\)(?:, \w+)?$", path.read_text(encoding="utf-8"), flags=re.MULTILINE
        )
        for path in files
    ]
    return {int(number) for numbers in found for number in numbers}


def test_equations_are_numbered_in_their_order() -> None:
    numbers = in_docs()
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_number_stands_in_the_page_and_at_a_line_of_code() -> None:
    assert in_code() == set(in_docs())
