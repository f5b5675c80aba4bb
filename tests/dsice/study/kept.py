"""A study in virtual time whose directory is complete, to damage and to resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dsice.study import frozen
from dsice.study.driver import Driver
from dsice.study.journal import Journal
from dsice.study.state import Study
from dsice.study.task import Status
from dsice.study.unknown import require_known
from tests.dsice.study.machine import Bench, Crash

SEARCH = "dsice-2018"


class Kept(Bench):
    """A bench whose directory holds all of a study, as ``dsice run`` leaves it."""

    def __init__(self, path: Path, trials: int = 20) -> None:
        super().__init__(path, search=SEARCH, run=f"parallel = 3\ntrials = {trials}")
        frozen.freeze(self.config, self.place)

    def crashed(self, after: int) -> None:
        """Run until the driver is killed before its ``after``-th event."""
        left = [after]

        def prepare(driver: Driver, journal: Journal) -> None:
            append = journal.append

            def limited(event: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise Crash
                return append(event)

            journal.append = limited  # type: ignore[method-assign]

        with pytest.raises(Crash):
            self.run(prepare)

    def resumed(self) -> Study:
        """Go on as ``dsice run`` does."""
        require_known(Study.open(self.place.path))
        self.run()
        return Study.open(self.place.path)


def true(study: Study) -> bool:
    """Whether every result is that of its own parameters."""
    for trial in study.with_status(Status.DONE):
        a, b = (int(value) for value in trial.params.values())
        if trial.metrics["y"] != (a - 3.0) ** 2 + (b - 6.0) ** 2:
            return False
    return True


def cut(bench: Kept, lines: int) -> None:
    """Bring the journal back to what it was after so many lines."""
    whole = bench.place.journal.read_bytes().splitlines(keepends=True)
    bench.place.journal.write_bytes(b"".join(whole[:lines]))
