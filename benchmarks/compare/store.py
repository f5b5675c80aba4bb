"""Results on disk: one line of JSON per run, so that stopping loses nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.compare.simulate import Run, durations


@dataclass(frozen=True)
class Key:
    """What a run was a run of."""

    tuner: str
    problem: str
    workers: int
    budget: int
    seed: int


class Store:
    """The runs measured so far: a file ``TUNER.jsonl`` for each tuner.

    A run stands for its problem as it was and for the library's version of that day: it counts only
    while both are the same.

    Args:
        folder: made when the first run is added.
        versions: of the tuners, by name.
        digests: of the problems, by name.
    """

    def __init__(self, folder: Path, versions: dict[str, str], digests: dict[str, str]) -> None:
        self._folder = folder
        self._versions = versions
        self._digests = digests
        self._runs: dict[Key, Run] = {}
        for tuner in versions:
            self._runs.update(self._read(tuner))

    def __contains__(self, key: Key) -> bool:
        return key in self._runs

    def __iter__(self) -> Iterator[tuple[Key, Run]]:
        return iter(self._runs.items())

    def run(self, key: Key) -> Run:
        return self._runs[key]

    def add(self, key: Key, run: Run) -> None:
        line = {
            "problem": key.problem,
            "digest": self._digests[key.problem],
            "version": self._versions[key.tuner],
            "workers": key.workers,
            "budget": key.budget,
            "seed": key.seed,
            "begins": [round(time, 4) for time in run.begins],
            "costs": [_rounded(cost) for cost in run.costs],
            "repeats": run.repeats,
            "excluded": run.excluded,
            "cpu": [round(seconds, 5) for seconds in run.cpu],
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._path(key.tuner).open("a", encoding="utf-8") as file:
            # The line break comes first, so that a line torn by a kill spoils itself only.
            file.write("\n" + json.dumps(line, separators=(",", ":")))
        self._runs[key] = run

    def forget(self, tuner: str) -> None:
        """Drop all runs of a tuner."""
        self._path(tuner).unlink(missing_ok=True)
        self._runs = {key: run for key, run in self._runs.items() if key.tuner != tuner}

    def _read(self, tuner: str) -> Iterator[tuple[Key, Run]]:
        path = self._path(tuner)
        if not path.exists():
            return
        for text in path.read_text(encoding="utf-8").split("\n"):
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue  # torn when the writer was killed
            known = self._digests.get(line["problem"])
            if line["digest"] == known and line["version"] == self._versions[tuner]:
                yield (
                    Key(tuner, line["problem"], line["workers"], line["budget"], line["seed"]),
                    _run(line),
                )

    def _path(self, tuner: str) -> Path:
        return self._folder / f"{tuner.replace('/', '_')}.jsonl"


def _run(line: dict[str, Any]) -> Run:
    lengths = durations(line["budget"], line["seed"])
    begins = line["begins"]
    return Run(
        begins=begins,
        ends=[begin + length for begin, length in zip(begins, lengths, strict=False)],
        costs=[math.inf if cost is None else cost for cost in line["costs"]],
        repeats=line["repeats"],
        excluded=line["excluded"],
        cpu=line["cpu"],
    )


def _rounded(cost: float) -> float | None:
    """Nine digits; None, JSON's null, for infinity."""
    return float(f"{cost:.9g}") if math.isfinite(cost) else None
