"""Showing a run: a live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dsice.console import notices
from dsice.goal import Goal, Metrics
from dsice.grid import Params
from dsice.incumbent import Standing
from dsice.launch.output import shown
from dsice.study.facts import Stage, Trial
from dsice.study.state import Study
from dsice.study.stop import Stop
from dsice.study.summary import (
    machine_time_text,
    metric_text,
    no_best_text,
    progress,
    repeats_text,
    time_text,
    under_way,
)
from dsice.study.task import Status, Task
from dsice.text import one_line
from dsice.units import duration, number, setting

_REFRESH: Final = 0.5  # seconds between drawings of the live view
_RECENT: Final = 6  # recently ended trials that are listed
_RUNNING: Final = 12  # running trials that are listed


def metrics_line(metrics: Metrics, goal: Goal, note: str = "") -> str:
    """``niqe 5.02, rmse 12.3``: the goal's metrics only; ``note`` follows the objective."""
    names = [name for name in goal.metrics if name in metrics]
    said = [f"{one_line(name)} {metric_text(name, metrics[name], goal)}" for name in names]
    return ", ".join([*said[:1], *([note] if note else []), *said[1:]])


def standing_line(standing: Standing[Trial], goal: Goal) -> str:
    """``niqe 5.02, median of 3 (4.98 to 5.31), rmse 12.3``: the measurements of a point."""
    return metrics_line(standing.counted.metrics, goal, repeats_text(standing, goal.metric))


def better_line(study: Study, goal: Goal) -> str:
    """A line on a known result that is better than every trial; empty if none is."""
    known = study.better_known(goal)
    if known is None:
        return ""
    found = metrics_line(known.metrics, goal)
    where = one_line(known.named)
    return f"Better, known from elsewhere: {found}  ({where}: {params_line(known.params)})"


def params_line(params: Params) -> str:
    """``tile=8 layout=soa``."""
    return " ".join(f"{name}={setting(value)}" for name, value in params.items())


def seconds_left(study: Study) -> float | None:
    """Estimated seconds until the trials budget is used; None while nothing is known."""
    if not study.finished or not study.config.run.trials:
        return None
    each = study.job_seconds / len(study.finished)
    started = sum(
        time.time() - trial.attempts[-1].submitted for trial in study.with_status(Status.RUNNING)
    )
    work = (study.config.run.trials - len(study.finished)) * each - started
    return max(0.0, work / study.config.run.parallel)


class Terminal:
    """Shows a study while it runs. Use it as a context manager.

    Args:
        quiet: show nothing.
        console: the output; standard error by default, since standard output is for answers.
        watching: another process drives the study.
    """

    def __init__(
        self, quiet: bool = False, console: Console | None = None, watching: bool = False
    ) -> None:
        self._console = console or notices()
        self._live: Live | None = None
        self._drawn = 0.0
        self._told: int | None = None
        self._early: set[tuple[int, int]] = set()  # trials that ended early, and their attempts
        self._stages: dict[str, tuple[int, Status]] = {}
        self._notice = ""
        self._broken = quiet
        self._watching = watching

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._broken:
            self._live = Live(console=self._console, auto_refresh=False, transient=False)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            with self._enduring():
                self._live.stop()

    def show(self, study: Study, live: bool = True) -> None:
        """Show the current state of the study. Called often; redraws from time to time.

        ``live`` says whether a driver is running.
        """
        if not self._broken:
            with self._enduring():
                self._show(study, live)

    @contextmanager
    def _enduring(self) -> Iterator[None]:
        """Ignore errors of the display, such as a closed pipe or a full disk, and stop showing."""
        try:
            yield
        except OSError:
            self._broken = True

    def _show(self, study: Study, live: bool) -> None:
        if self._live is None:
            self._tell(study)
        elif (
            time.monotonic() - self._drawn > _REFRESH
            or len(study.finished) != self._told
            or not live
        ):
            self._drawn, self._told = time.monotonic(), len(study.finished)
            self._live.update(view(study, self._notice, live=live), refresh=True)

    def stopping(self, stop: Stop, study: Study) -> None:
        """Say what a Ctrl-C did."""
        running = len(study.with_status(Status.RUNNING))
        if stop is Stop.DRAIN and running:
            self._notice = (
                f"Stopping: no new trials; waiting for {running} running to end. "
                "Ctrl-C again ends them now (they begin again when you resume)."
            )
        else:
            self._notice = "Stopping now. Ctrl-C again leaves at once, with what runs left running."
        if self._broken:
            return
        # From a signal handler: the interrupted code may be writing to the same stream.
        with self._enduring(), suppress(RuntimeError):
            if self._live is None:
                self._console.print(self._notice)
            else:
                self._live.update(view(study, self._notice), refresh=True)

    def _tell(self, study: Study) -> None:
        """One plain line per event."""
        if self._told is None:
            self._told = len(study.finished)  # earlier sessions have printed theirs
            self._early = {(t.number, len(t.attempts)) for t in _ended_early(study)}
            self._console.print(_title(study))
            if study.warning:
                self._console.print(f"Warning: {study.warning}")
            if self._watching and self._told:
                self._console.print(f"{self._told} trials have ended so far.")
            elif len(study.sessions) > 1:
                self._console.print(f"Resuming after {self._told} trials.")
        for stage in study.stages.values():
            key = (len(stage.attempts), stage.status)
            if stage.attempts and self._stages.get(stage.name) != key:
                self._stages[stage.name] = key
                self._console.print(_stage_line(stage), soft_wrap=True)
        goal = study.goal
        self._told = min(self._told, len(study.finished))  # failures may become void
        for trial in study.finished[self._told :]:
            self._told += 1
            self._console.print(
                Text(f"[{self._told}/{study.config.run.trials or '?'}] ")
                + _trial_line(trial, goal),
                soft_wrap=True,
            )
        for trial in _ended_early(study):
            if (end := (trial.number, len(trial.attempts))) not in self._early:
                self._early.add(end)
                self._console.print(_trial_line(trial, goal), soft_wrap=True)


def view(study: Study, notice: str = "", *, live: bool = True) -> RenderableType:
    """The whole view of a study; ``live`` says whether a driver is running."""
    goal = study.goal
    best = study.best_standing(goal)
    parts: list[RenderableType] = [Text(_title(study), style="bold")]
    parts += [_stage_line(stage) for stage in study.stages.values() if stage.attempts]
    if study.trials:
        parts.append(_progress(study, live))
        if best is not None:
            parts.append(
                Text.assemble(
                    ("Best so far ", "bold"),
                    (standing_line(best, goal), "bold green"),
                    f"  (trial {best.counted.number}: {params_line(best.counted.params)})",
                )
            )
        elif study.finished:
            parts.append(Text(no_best_text(study, goal), style="yellow"))
        parts.append(_trials(study, goal, live))
    if better := better_line(study, goal):
        parts.append(Text(better))
    if study.trouble and live:
        parts.append(Text(f"For now: {one_line(study.trouble)}", style="yellow"))
    if notice:
        parts.append(Text(notice, style="bold yellow"))
    return Group(*parts)


def _title(study: Study) -> str:
    return one_line(f"{study.config.name}: {study.goal}")


def _progress(study: Study, live: bool) -> RenderableType:
    done, failed = len(study.finished), len(study.with_status(Status.FAILED))
    running, total = len(study.with_status(Status.RUNNING)), study.config.run.trials
    facts = [f"{done} of {total} trials" if total and total >= done else f"{done} trials"]
    if failed:
        facts.append(f"{failed} failed")
    if stopped := len(study.with_status(Status.STOPPED)):
        facts.append(f"{stopped} ended early")
    if discarded := len(study.with_status(Status.DISCARDED)):
        facts.append(f"{discarded} discarded")
    wall = study.wall_seconds
    if live:
        queued = len(study.queued)
        facts.append(f"{running - queued} running")
        if queued:
            facts.append(f"{queued} queued")
        wall += max(time.time() - study.sessions[-1].seen, 0.0)
    elif running:
        facts.append(f"{running} without a driver")
    facts.append(f"{duration(wall)} of wall time for {duration(study.job_seconds)} of jobs")
    if of_budget := machine_time_text(study):
        facts.append(of_budget)
    left = seconds_left(study)
    if left and live:
        facts.append(f"about {duration(left)} left")
    row = Table.grid(padding=(0, 1))
    row.add_row(ProgressBar(total or max(done, 1), done, width=24), Text(", ".join(facts)))
    return row


def _trials(study: Study, goal: Goal, live: bool) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    running = study.with_status(Status.RUNNING)
    ended = [*study.finished[-_RECENT:], *_ended_early(study)[-_RECENT:]]
    for trial in sorted(ended, key=lambda trial: trial.attempts[-1].ended)[-_RECENT:]:
        table.add_row(_trial_line(trial, goal))
    for trial in running[:_RUNNING]:
        how = under_way(trial) if live else "was running when the driver ended"
        line = Text(f"  trial {trial.number} {how}: {params_line(trial.params)}")
        table.add_row(line + Text(progress_note(trial), style="dim"))
    if len(running) > _RUNNING:
        table.add_row(Text(f"  and {len(running) - _RUNNING} more running"))
    return table


def _ended_early(study: Study) -> list[Trial]:
    """The trials that ended early, in the order of their ends."""
    found = study.with_status(Status.STOPPED)
    return sorted(found, key=lambda trial: trial.attempts[-1].ended)


def _trial_line(trial: Trial, goal: Goal) -> Text:
    if trial.status is Status.FAILED:
        line = Text(f"x trial {trial.number} failed: {shown(trial.reason)}", style="red")
        return line + Text(f"  {params_line(trial.params)}  {time_text(trial)}", style="dim")
    if trial.status is Status.STOPPED:
        line = Text(f"- trial {trial.number} ended early, {shown(trial.reason)}", style="yellow")
        return line + Text(f"  {params_line(trial.params)}  {time_text(trial)}", style="dim")
    kept = goal.feasible(trial.metrics)
    line = Text("+ " if kept else "- ", style="green" if kept else "yellow")
    line += Text(f"trial {trial.number}: {metrics_line(trial.metrics, goal)}")
    if not kept:
        line += Text(" (out of bounds)", style="yellow")
    return line + Text(f"  {params_line(trial.params)}  {time_text(trial)}", style="dim")


def _stage_line(stage: Stage) -> Text:
    match stage.status:
        case Status.DONE:
            found = ", ".join(f"{shown(k)} {number(value)}" for k, value in stage.metrics.items())
            line = f"+ stage {stage.name} done in {time_text(stage)}"
            return Text(line + (f": {found}" if found else ""), style="green")
        case Status.FAILED:
            return Text(f"x stage {stage.name} failed: {shown(stage.reason)}", style="red")
    return Text(f"  stage {stage.name} runs") + Text(progress_note(stage), style="dim")


def progress_note(task: Task) -> str:
    """The newest intermediate metrics of a running task, or an empty text."""
    found = [f"{name} {text}" for name, text in progress(task).items()]
    return f"  [{', '.join(found)}]" if found else ""
