"""An exported study in the real optuna-dashboard, in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from dsice.exchange.optuna_study import write
from dsice.study.task import Status
from tests.dsice.report.browser import chromium, started
from tests.dsice.stories import demo_story

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium: make test-browser installs it"),
    pytest.mark.filterwarnings("ignore"),  # what Optuna and its dashboard warn each other of
]

# Of the figure of all trials: how many points each trace has, once they are drawn.
HISTORY = """() => {
    const data = document.getElementById("plot-history")?.data ?? [];
    return data.length > 1 ? data.map((trace) => trace.x.length) : null;
}"""


@contextmanager
def served(storage: str) -> Iterator[str]:
    """The dashboard on a storage; gives its address."""
    from optuna.storages import RDBStorage
    from optuna_dashboard import wsgi

    class Quiet(WSGIRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    app = wsgi(RDBStorage(storage))
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/dashboard/studies/1"
        finally:
            server.shutdown()
            thread.join()


def test_the_dashboard_shows_an_exported_study(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    pytest.importorskip("playwright")
    study = demo_story(tmp_path / "study", trials=200).study
    best, done = study.best_or_none, study.with_status(Status.DONE)
    assert best is not None
    kept = sum(study.goal.feasible(trial.metrics) for trial in done)
    storage = f"sqlite:///{tmp_path / 'x.db'}"
    write(study, storage)
    with served(storage) as address, started() as browser:
        page = browser.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        counts = page.wait_for_function(HISTORY).json_value()
        # Trials within the bounds and trials that break one; the third is the line of the best.
        assert {kept, len(done) - kept} <= set(counts)
        page.goto(f"{address}/trials?numbers={best.number - 1}")
        page.get_by_text(str(best.metrics["niqe"])).first.wait_for()
        text = page.inner_text("body")
        for name, value in best.metrics.items():
            assert f"{name} {value}" in text
        for name, setting in best.params.items():
            assert f"{name} {setting}" in text
        page.goto(f"{address}/note")
        page.get_by_text(f"Best: trial {best.number}").wait_for()
        page.goto(f"{address}/trials?numbers={study.with_status(Status.FAILED)[0].number - 1}")
        page.get_by_text(study.with_status(Status.FAILED)[0].reason).wait_for()
        assert wrong == []
