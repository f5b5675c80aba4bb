"""Studies in notebooks: a display that is updated in place, and results as tables and figures.

`ShownStudy` is what `dsice.tune` and `dsice.load` return, in scripts as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from html import escape
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from dsice.study.state import Study
from dsice.study.stop import Stop
from dsice.study.task import Status
from dsice.text import plain
from dsice.units import duration

_REFRESH: Final = 0.5  # seconds between two updates of a display
_WIDTH: Final = 620  # pixels of a figure
_PAGE_HEIGHT: Final = 720
_CARD: Final = (
    "font-family:system-ui,sans-serif;font-size:13px;line-height:1.45;color:#1c2330;"
    "background:#ffffff;border:1px solid #d8dde6;border-radius:6px;padding:10px 14px;"
    f"max-width:{_WIDTH + 40}px;box-sizing:border-box;overflow-x:auto"
)
# In a separate process: a second of work in a JavaScript engine, which ignores Ctrl-C.
_DRAW: Final = """
import json, sys, vl_convert
specs = json.load(sys.stdin)
json.dump([vl_convert.vegalite_to_svg(s, vl_version="v6_1") for s in specs], sys.stdout)
"""


def in_notebook() -> bool:
    """Whether this runs in a notebook, where outputs can be updated."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


class NotebookView:
    """Shows a study while it runs, in one output. Use it as a context manager."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._drawn = 0.0
        self._notice = ""
        self._last: Study | None = None

    def __enter__(self) -> Self:
        from IPython.display import display

        show: Any = display
        self._handle = show({"text/html": "", "text/plain": ""}, raw=True, display_id=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._last is not None:
            self._draw(self._last)

    def show(self, study: Study) -> None:
        """Show the current state of the study. Called often; redraws from time to time."""
        self._last = study
        if time.monotonic() - self._drawn > _REFRESH:
            self._draw(study)

    def stopping(self, stop: Stop, study: Study) -> None:
        """Say what an interrupt did, when the display is next drawn."""
        waits = stop is Stop.DRAIN
        self._notice = "Stopping when the running trials have ended." if waits else "Stopping."
        self._drawn = 0.0

    def _draw(self, study: Study) -> None:
        self._drawn = time.monotonic()
        notice = f"<p><strong>{escape(self._notice)}</strong></p>" if self._notice else ""
        html = f'<div style="{_CARD}">{_progress_html(study)}{_best_html(study)}{notice}</div>'
        self._handle.update({"text/html": html, "text/plain": str(study)}, raw=True)


class Page:
    """A report, which a notebook shows inline. Works offline and without a server.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path

    def __repr__(self) -> str:
        return f"Page({str(self.path)!r})"

    def _repr_html_(self) -> str:
        page = escape(self.path.read_text(encoding="utf-8"))
        return (
            f'<iframe srcdoc="{page}" sandbox="allow-scripts allow-downloads" '
            f'style="width:100%;height:{_PAGE_HEIGHT}px;border:1px solid #d8dde6"></iframe>'
        )


class ShownStudy(Study):
    """A study as `dsice.tune` and `dsice.load` return it, with a display in notebooks."""

    __slots__ = ()

    @classmethod
    def of(cls, study: Study) -> Self:
        """``study`` as a `ShownStudy`."""
        return cls(**{each.name: getattr(study, each.name) for each in fields(study)})

    def report(self, path: Path | str | None = None) -> Page:
        """Write the report, by default into the study's directory, and show it in a notebook.

        Raises:
            DsiceError: it cannot be written.
        """
        from dsice.report.html import write_report

        return Page(write_report(self, None if path is None else Path(path)))

    def to_dataframe(self) -> Any:
        """The trials as a ``pandas.DataFrame``, one a row: number, parameters, metrics, facts.

        The columns are those of ``dsice export --csv``. Absent values are missing values of pandas.

        Raises:
            InvalidInput: pandas is not installed.
        """
        from dsice.exchange.columns import Columns, cells, needs

        try:
            pandas = import_module("pandas")
        except ImportError:
            raise needs("pandas", "pandas") from None
        columns = Columns.of(self)
        rows = [cells(self, columns, trial) for trial in self.trials]
        return pandas.DataFrame(rows, columns=list(columns.names)).set_index(columns.facts["trial"])

    def _repr_html_(self) -> str:
        figures = "".join(f"<div>{svg}</div>" for svg in _drawn(self))
        return f'<div style="{_CARD}">{_progress_html(self)}{_best_html(self)}{figures}</div>'


def _progress_html(study: Study) -> str:
    done, total = len(study.finished), study.config.run.trials
    said = [f"{done} of {total} trials" if total and total >= done else f"{done} trials"]
    for status in (Status.FAILED, Status.STOPPED, Status.DISCARDED, Status.RUNNING):
        if number := len(study.with_status(status)):
            said.append(f"{number} {status.value}")
    said.append(f"{duration(study.wall_seconds)} of wall time")
    bar = f'<progress value="{done}" max="{max(total or done, 1)}" style="width:160px"></progress>'
    name = escape(plain(study.config.name))
    return (
        f"<div><strong>{name}</strong>: {escape(plain(str(study.goal)))}</div>"
        f"<div>{bar} {escape(', '.join(said))}</div>"
    )


def _best_html(study: Study) -> str:
    best = study.best_standing(study.goal) if study.measured_for(study.goal) else None
    return "<div>No best trial yet.</div>" if best is None else best.counted._repr_html_()


def _drawn(study: Study) -> Sequence[str]:
    """The most informative figures, as SVG; empty if they cannot be drawn."""
    from dsice.report.figures import Figures
    from dsice.report.themes import THEMES

    figures = Figures.of(study)
    specs = []
    for figure in (*figures.progress, *figures.bounds[:1], *figures.curves[:1]):
        light = THEMES["light"]
        # The renderer measures text in another font than the reader's.
        config = {**light, "legend": {**light["legend"], "columnPadding": 28}}
        specs.append({**figure.spec, "width": _WIDTH, "height": 240, "config": config})
    if not specs:
        return ()
    command = [sys.executable, "-c", _DRAW]
    text = json.dumps(specs)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        return ()
    svgs: list[str] = json.loads(done.stdout)
    return [svg.replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1) for svg in svgs]
