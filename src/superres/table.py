"""Tables of scores as in papers: a block per test set, a row per method."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

COLUMNS = ("psnr", "ssim", "niqe", "niqe_unrounded", "rmse", "ma", "pi", "lpips")
"""Figures in the order of the columns; what no row has makes no column."""

_TITLES = {"niqe_unrounded": "NIQE (unrounded)", "ma": "Ma"}
_DIGITS = {"psnr": 2, "ssim": 4, "lpips": 4}
_USUAL_DIGITS = 3
_HIGHER_IS_BETTER = ("psnr", "ssim", "ma")

# Special characters of LaTeX.
_SPECIAL = re.compile(r"[&%$#_{}]")


@dataclass(frozen=True, slots=True)
class Row:
    """The scores of a method on a test set.

    Attributes:
        test_set: name of the test set.
        method: name of the method.
        images: number of images in the set.
        figures: means over the set, by the names of `COLUMNS`.
    """

    test_set: str
    method: str
    images: int
    figures: Mapping[str, float]


def as_markdown(rows: Sequence[Row]) -> str:
    """A table in GitHub's Markdown; the best score of each set is bold, as in LaTeX."""
    columns = _columns(rows)
    lines = ["| set | method | " + " | ".join(map(_title, columns)) + " |"]
    lines.append("|---|---|" + "---:|" * len(columns))
    best = _best(rows, columns)
    for row in rows:
        cells = [
            f"**{text}**" if text in best[row.test_set, column] else text
            for column in columns
            for text in [_text(row, column)]
        ]
        names = (name.replace("|", r"\|") for name in (row.test_set, row.method))
        lines.append("| " + " | ".join([*names, *cells]) + " |")
    return "\n".join(lines) + "\n"


def as_latex(rows: Sequence[Row]) -> str:
    """A `tabular` that needs the package booktabs."""
    columns = _columns(rows)
    best = _best(rows, columns)
    lines = [
        r"\begin{tabular}{ll" + "r" * len(columns) + "}",
        r"\toprule",
        " & ".join(["Set", "Method", *map(_title, columns)]) + r" \\",
    ]
    last = ""
    for row in rows:
        if row.test_set != last:
            lines.append(r"\midrule")
        cells = [
            rf"\textbf{{{text}}}" if text in best[row.test_set, column] else text
            for column in columns
            for text in [_text(row, column)]
        ]
        shown = "" if row.test_set == last else _escaped(row.test_set)
        lines.append(" & ".join([shown, _escaped(row.method), *cells]) + r" \\")
        last = row.test_set
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def as_csv(rows: Sequence[Row]) -> str:
    """Comma-separated values with all digits, for other programs."""
    columns = _columns(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "method", "images", *columns])
    for row in rows:
        figures = [row.figures.get(column, "") for column in columns]
        writer.writerow([row.test_set, row.method, row.images, *figures])
    return text.getvalue()


FORMATS: Mapping[str, Callable[[Sequence[Row]], str]] = {
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
}
"""Ways to print a table by the names that the command line has for them."""


def _columns(rows: Sequence[Row]) -> list[str]:
    return [name for name in COLUMNS if any(name in row.figures for row in rows)]


def _best(rows: Sequence[Row], columns: Sequence[str]) -> dict[tuple[str, str], set[str]]:
    """The best score of each set and column, as shown; empty if there is a single method."""
    best: dict[tuple[str, str], set[str]] = {}
    for name in {row.test_set for row in rows}:
        block = [row for row in rows if row.test_set == name]
        for column in columns:
            shown = {_text(row, column) for row in block if column in row.figures}
            choose = max if column in _HIGHER_IS_BETTER else min
            best[name, column] = {choose(shown, key=float)} if len(block) > 1 and shown else set()
    return best


def _text(row: Row, column: str) -> str:
    value = row.figures.get(column)
    return "" if value is None else f"{value:.{_DIGITS.get(column, _USUAL_DIGITS)}f}"


def _title(column: str) -> str:
    return _TITLES.get(column, column.upper())


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: "\\" + found[0], text)
