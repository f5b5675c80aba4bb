"""Studies that never ran: built from events, so that every state is one call away."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dsice.launch.job import JobSpec
from dsice.study.codec import of
from dsice.study.config import parse
from dsice.study.directory import StudyDirectory
from dsice.study.frozen import freeze
from dsice.study.state import Study

Tell = Callable[..., "Story"]
EPOCH = 1_700_000_000.0

DEMO = """
name = "demo"
minimize = "niqe"
subject_to = ["rmse <= 1.015 * stage.pretrain.rmse"]
[grid]
w_mse = { geometric = [0.000078125, 1.28], step = 2 }
w_vgg = [0, 0.00078125, 0.003125, 0.0125, 0.05, 0.2, 0.8, 3.2, 12.8]
w_adv = { geometric = [0.0000078125, 0.256], step = 2 }
w_style = { linear = [0, 1.5], step = 0.1 }
[stage.prepare]
command = ["prepare"]
[stage.pretrain]
command = ["pretrain"]
[trial]
command = ["finetune", "{w_mse}", "{w_vgg}", "{w_adv}", "{w_style}", "--out={dir}"]
[run]
parallel = 2
trials = 48
[report]
full_length = 8
"""


class Story:
    """Tells a study's events; ``now`` is the time of the next one, in Unix seconds."""

    def __init__(self, text: str, directory: Path) -> None:
        self.study = Study(parse(text, directory), StudyDirectory.at(directory))
        self.now = EPOCH
        self.parallel = self.study.config.run.parallel
        self._journal: Path | None = None

    def tell(self, event: str, **facts: Any) -> None:
        """Fold one event."""
        entry = {"t": self.now, "event": event, **facts}
        self.study.apply([of(entry)])
        if self._journal is not None:
            with self._journal.open("a") as file:
                file.write(json.dumps(entry) + "\n")

    def write(self) -> None:
        """Make the study's directory, where the events to come are journalled."""
        self.study.directory.path.mkdir(parents=True, exist_ok=True)
        freeze(self.study.config, self.study.directory)
        self._journal = self.study.directory.journal
        self._journal.touch()

    def log(self, number: int, output: str, errors: str = "", command: str = "run") -> None:
        """Write what the first attempt of a trial ran, and what it printed."""
        job = self.study.directory.trial(number).job(1)
        job.spec_file.unlink(missing_ok=True)
        job.create(JobSpec(f"trial-{number}", (command, str(number)), str(job.path)))
        job.stdout.write_text(output)
        job.stderr.write_text(errors)

    def session(self) -> None:
        """A driver begins."""
        self.tell("session", host="node01", pid=7, parallel=self.parallel, trials=None, hours=None)

    def begin(self, task: Mapping[str, Any], attempt: int = 1) -> float:
        """A job is submitted; returns when."""
        self.tell("attempt", **task, attempt=attempt)
        return self.now

    def propose(self, point: tuple[int, ...]) -> dict[str, int]:
        """A trial is proposed; returns how events name it."""
        task = {"trial": len(self.study.trials) + 1}
        self.tell("trial", **task, point=list(point))
        return task

    def end(
        self,
        task: Mapping[str, Any],
        started: float,
        metrics: Mapping[str, float] | None = None,
        verdict: str = "done",
        kind: str = "ok",
        reason: str = "",
        attempt: int = 1,
    ) -> None:
        """A job ends now."""
        lost = kind == "lost"
        self.tell(
            "ended",
            **task,
            attempt=attempt,
            verdict=verdict,
            kind=kind,
            reason=reason,
            metrics=dict(metrics or {}),
            exit_code=None,
            started=0.0 if lost else started,
            ended=0.0 if lost else self.now,
            host="node01",
        )

    def stage(self, name: str, seconds: float, metrics: Mapping[str, float]) -> None:
        """A stage runs from begin to end."""
        task = {"stage": name}
        started = self.begin(task)
        self.now += seconds
        self.end(task, started, metrics)

    def trials(self, number: int, seed: int = 0, failures: float = 0.08) -> None:
        """Trials of random points, as many at once as the study says, with random durations."""
        chance = random.Random(seed)
        shape = self.study.config.grid.shape
        running: list[tuple[float, float, dict[str, int], tuple[int, ...]]] = []
        for k in range(number + self.parallel):
            if len(running) == min(self.parallel, number) or k >= number:
                if not running:
                    break
                running.sort(key=lambda job: job[0])
                end, started, task, point = running.pop(0)
                self.now = max(self.now, end)
                self._end_somehow(chance, task, point, started, failures)
            if k < number:
                point = tuple(chance.randrange(n) for n in shape)
                task = self.propose(point)
                self.now += 0.02
                started = self.begin(task)
                running.append((started + chance.uniform(14, 30), started, task, point))

    def _end_somehow(
        self,
        chance: random.Random,
        task: Mapping[str, int],
        point: tuple[int, ...],
        started: float,
        failures: float,
    ) -> None:
        if chance.random() < failures:
            kind, reason = chance.choice(
                [
                    ("exit code", "exit code 1: loss is nan at step 31"),
                    ("time limit", "took longer than 5 min"),
                    ("signal", "killed by signal 9 (SIGKILL), often for want of memory"),
                ]
            )
            self.end(task, started, verdict="failed", kind=kind, reason=reason)
            return
        self.end(task, started, self.metrics(point, chance))

    def metrics(self, point: tuple[int, ...], chance: random.Random) -> dict[str, float]:
        """Perception against distortion, made up."""
        shape = self.study.config.grid.shape
        where = [k / max(n - 1, 1) for k, n in zip(point, shape, strict=True)]
        push = sum(where[1:]) / max(len(where) - 1, 1)
        rmse = 12.2 + 1.6 * push**2 - 0.25 * where[0] + chance.gauss(0, 0.12)
        niqe = 6.8 - 2.4 * push + 0.8 * (where[0] - 0.4) ** 2 + chance.gauss(0, 0.15)
        return {"niqe": niqe, "rmse": rmse, "psnr": 20 * math.log10(255 / max(rmse, 0.1))}


def demo_story(
    directory: Path, text: str = DEMO, trials: int = 48, seed: int = 0, written: bool = False
) -> Story:
    """A study like the demo: two stages, then trials; ``written`` to its directory, if asked."""
    story = Story(text, directory)
    if written:
        story.write()
    story.session()
    story.stage("prepare", 6, {})
    story.stage("pretrain", 95, {"niqe": 6.91, "rmse": 12.3, "psnr": 26.3})
    story.trials(trials, seed)
    story.tell("session_end", why=f"all {trials} trials have ended")
    return story
