"""The report's sentences and tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dsice.grid import Point, Value
from dsice.report.details import job_spec
from dsice.report.facts import Facts
from dsice.report.savings import Savings
from dsice.report.timeline import Timeline
from dsice.report.words import bound, fraction, moment, parameter
from dsice.study.baseline import Baseline
from dsice.study.facts import Trial
from dsice.study.summary import seconds_of, time_text
from dsice.study.task import Status, Task
from dsice.text import plain
from dsice.units import ABSENT, count, duration


@dataclass(frozen=True, slots=True)
class Tile:
    """A key figure at the top of the page.

    Attributes:
        label: its name.
        value: the number.
        note: a comparison; may be empty.
    """

    label: str
    value: str
    note: str = ""


def goal_text(facts: Facts) -> str:
    """The goal as a phrase: ``make niqe small, with rmse ≤ 12.5``."""
    goal = facts.goal
    size = "small" if goal.maximize is None else "large"
    bounds = " and ".join(map(bound, goal.bounds))
    return f"make {plain(goal.metric, 60)} as {size} as possible" + (
        f", with {bounds}" if bounds else ""
    )


def headline(facts: Facts) -> str:
    """The outcome in one or two sentences."""
    return _own_headline(facts) + _known(facts)


def _known(facts: Facts) -> str:
    """A sentence about a known result that is better than any trial."""
    metric = facts.goal.metric
    known = facts.study.better_known(facts.goal)
    if known is None:
        return ""
    value = f"{plain(metric, 60)} = {facts.metric(metric, known.metrics[metric])}"
    return f" Better is known from elsewhere: {value} ({plain(known.named, 120)})."


def _own_headline(facts: Facts) -> str:
    metric = plain(facts.goal.metric, 60)
    if facts.best is not None:
        best = f"{metric} = {_value(facts, facts.best, facts.goal.metric)}"
        repeats = f", {facts.best_repeats}," if facts.best_repeats else ""
        number = facts.best.number
        baseline = Baseline.of(facts.study)
        compared = f" {baseline.line(facts.goal)}." if baseline else ""
        return f"The best {best}{repeats} was measured in trial {number}{_gain(facts)}.{compared}"
    if not facts.study.finished:
        return "No trial has ended yet."
    if not facts.measured:
        failed = count(len(facts.study.finished), "trial")
        return f"Nothing was measured: {failed} ended, and all failed. The reasons are below."
    if not facts.settled:
        return "Which trial is best cannot be told yet: a bound waits for the result of a stage."
    nearest = facts.nearest
    assert nearest is not None
    values = ", ".join(
        f"{plain(b.metric, 60)} = {_value(facts, nearest, b.metric)} instead of {bound(b)}"
        for b in facts.goal.bounds
        if b.excess(nearest.metrics[b.metric])
    )
    return f"No trial keeps the bounds yet. Trial {nearest.number} came nearest: {values}."


def _gain(facts: Facts) -> str:
    starts = facts.starting_points
    if not starts:
        return ""
    metric = facts.goal.metric
    return f"; stage {starts[-1].name} alone had {_value(facts, starts[-1], metric)}"


def tiles(facts: Facts, timeline: Timeline, savings: Savings | None) -> list[Tile]:
    """The key figures at the top of the page."""
    goal, best = facts.goal, facts.best
    shown = []
    if best is not None:
        starts = facts.starting_points
        notes = [facts.best_repeats] if facts.best_repeats else []
        if starts:
            before = _value(facts, starts[-1], goal.metric)
            notes.append(f"stage {starts[-1].name} alone: {before}")
        label = f"best {plain(goal.metric, 40)}"
        shown.append(Tile(label, _value(facts, best, goal.metric), "; ".join(notes)))
        for name in dict.fromkeys(b.metric for b in goal.bounds):
            limits = [bound(b) for b in goal.bounds if b.metric == name]
            shown.append(
                Tile(plain(name, 40), _value(facts, best, name), f"allowed: {' and '.join(limits)}")
            )
    shown.append(Tile("trials", str(len(facts.study.trials)), _states(facts)))
    if timeline.seconds:
        most = max((n for _, n in timeline.running()), default=0)
        note = f"up to {count(most, 'job')} at once" if most else ""
        shown.append(Tile("time taken", duration(timeline.seconds), note))
    if savings is not None:
        if savings.overall is not None:
            shown.append(_time_needed(savings.overall, "as many full-length runs"))
        elif savings.most > 1:
            shown.append(_time_needed(savings.by_parallel, "all jobs one after another"))
    return shown


def _time_needed(factor: float, other: str) -> Tile:
    """The time relative to that of ``other``, which takes ``factor`` times as long."""
    left = fraction(factor)
    if left == "1":
        return Tile("time needed", "as much", f"as {other}")
    of = "of the time of" if factor > 1 else "the time of"
    return Tile("time needed", left if factor > 1 else f"{left} times", f"{of} {other}")


def _value(facts: Facts, task: Task, metric: str) -> str:
    return facts.metric(metric, task.metrics[metric])


def _states(facts: Facts) -> str:
    words = {
        Status.DONE: "measured",
        Status.FAILED: "failed",
        Status.STOPPED: "ended early",
        Status.DISCARDED: "discarded",
        Status.RUNNING: "running",
        Status.WAITING: "waiting",
    }
    counts = {status: len(facts.study.with_status(status)) for status in words}
    return ", ".join(f"{n} {words[status]}" for status, n in counts.items() if n)


@dataclass(frozen=True, slots=True)
class Command:
    """The command that computed the best result.

    Attributes:
        arguments: the command, quoted for a shell.
        folder: the working directory.
        variables: names of environment variables of the study file; their values may be secret.
    """

    arguments: tuple[str, ...]
    folder: str
    variables: tuple[str, ...]


def best_command(facts: Facts) -> Command | None:
    """The exact command of the best trial; None if there is none or it was not kept."""
    spec = None if facts.best is None or not facts.best.attempts else job_spec(facts.best.job)
    if spec is None:
        return None
    arguments = tuple(plain(shlex.quote(argument), 5000) for argument in spec.command)
    variables = tuple(plain(name, 60) for name in facts.study.config.trial.env)
    return Command(arguments, plain(spec.workdir, 500), variables)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table of trials.

    Attributes:
        text: the text shown.
        key: the sort key, if not the text.
    """

    text: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A trial in the table.

    ``state`` is best, within, outside, failed, stopped, discarded or open.
    """

    state: str
    cells: tuple[Cell, ...]


def columns(facts: Facts) -> list[str]:
    """The heads of the table of trials."""
    names = [*facts.study.config.grid.names, *(plain(n, 60) for n in facts.metric_names)]
    bounds = ["keeps the bounds"] if facts.goal.bounds else []
    return ["trial", "state", *names, *bounds, "time", "remark"]


def table(facts: Facts) -> list[TableRow]:
    """The trials shown one by one, in the order of proposal."""
    names = facts.metric_names
    points: dict[Point, list[int]] = {trial.point: [] for trial in facts.shown}
    for trial in facts.measured:
        if (numbers := points.get(trial.point)) is not None:
            numbers.append(trial.number)
    return [_row(facts, trial, names, points[trial.point]) for trial in facts.shown]


def selection(facts: Facts) -> str:
    """Which trials are shown one by one; empty if all are."""
    shown, all_ = len(facts.shown), len(facts.study.trials)
    if shown == all_:
        return ""
    return (
        f"Shown are {shown:,} of {all_:,} trials: those that were the best so far, the best ones, "
        "the newest, and some of all the others. 'dsice export' has all of them."
    )


def _row(facts: Facts, trial: Trial, names: Iterable[str], same_point: Sequence[int]) -> TableRow:
    within = facts.within(trial)
    states = {
        Status.FAILED: "failed",
        Status.STOPPED: "stopped",
        Status.DISCARDED: "discarded",
    }
    state = states.get(trial.status, "open")
    if trial.status is Status.DONE:
        state = "outside" if within is False else "within"
    if trial is facts.best:
        state = "best"
    cells = [Cell(str(trial.number)), Cell("best" if state == "best" else trial.status.value)]
    params = trial.params
    for name in facts.study.config.grid.names:
        absent = name not in params
        cells.append(Cell(ABSENT) if absent else Cell(parameter(params[name]), _key(params[name])))
    returned = facts.returned(trial)
    for name in names:
        key = repr(trial.metrics[name]) if name in trial.metrics else ""
        cells.append(Cell(plain(returned.get(name, ""), 60), key))
    if facts.goal.bounds:
        cells.append(Cell({True: "yes", False: "no", None: ""}[within]))
    seconds = seconds_of(trial)
    ran = seconds > 0 or len(trial.attempts) > 1
    cells.append(Cell(time_text(trial), repr(seconds)) if ran else Cell(""))
    remarks = [plain(trial.reason, 300)] if trial.reason else []
    cells.append(Cell("; ".join([*remarks, *_repeats(trial, same_point)])))
    return TableRow(state, tuple(cells))


def _key(value: Value) -> str:
    """The sort key of a parameter: numbers numerically, with all digits."""
    return repr(value) if isinstance(value, float) else ""


def _repeats(trial: Trial, measured: Sequence[int]) -> list[str]:
    """A remark about other trials at the same point, if any."""
    others = [number for number in measured if number != trial.number]
    return [f"same point as {_trials(others)}"] if trial.metrics and others else []


def _trials(numbers: Sequence[int], most: int = 12) -> str:
    """``trials 3, 5, 8``."""
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    what = "trial" if len(numbers) == 1 else "trials"
    return f"{what} {', '.join(map(str, numbers[:most]))}{more}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason why trials failed or do not count, with these trials."""

    reason: str
    trials: str


def failures(facts: Facts) -> list[Failure]:
    """Why trials failed, the most frequent reason first."""
    return _by_reason(facts, Status.FAILED)


def discarded(facts: Facts) -> list[Failure]:
    """The users' reasons why trials do not count, the most frequent one first."""
    return _by_reason(facts, Status.DISCARDED)


def ended_early(facts: Facts, most: int = 20) -> list[Failure]:
    """Why trials ended early, the latest first; the last entry sums up the rest of many."""
    stopped = sorted(
        facts.study.with_status(Status.STOPPED), key=lambda trial: -trial.attempts[-1].ended
    )
    found = [Failure(plain(each.reason, 300), _trials([each.number])) for each in stopped[:most]]
    if more := stopped[most:]:
        found.append(Failure("and others", _trials([each.number for each in more])))
    return found


def _by_reason(facts: Facts, status: Status) -> list[Failure]:
    by_reason: dict[str, list[int]] = {}
    for trial in facts.study.with_status(status):
        by_reason.setdefault(trial.reason or "no reason is known", []).append(trial.number)
    found = []
    for reason, numbers in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        found.append(Failure(plain(reason, 500), _trials(numbers)))
    return found


def warnings(facts: Facts) -> list[str]:
    """Warnings that a reader should see before trusting the rest."""
    study = facts.study
    found = [plain(study.warning)] if study.warning else []
    if facts.problem:
        found.append(plain(facts.problem))
    for stage in study.stages.values():
        if stage.status is Status.FAILED:
            found.append(f"Stage {stage.name} failed: {plain(stage.reason, 300)}")
    lacking = len(study.with_status(Status.DONE)) - len(facts.measured)
    if lacking:
        found.append(
            f"{count(lacking, 'trial')} ended without every metric of the goal; see the table."
        )
    return found


@dataclass(frozen=True, slots=True)
class SessionLine:
    """The working time of one driver, as text."""

    began: str
    lasted: str
    where: str
    parallel: int
    why: str


def session_lines(facts: Facts) -> list[SessionLine]:
    """The drivers so far."""
    sessions = facts.study.sessions
    lines = []
    for session in sessions:
        last = session is sessions[-1]
        unknown = "not ended: at work, or killed" if last else "killed, or its machine went down"
        lines.append(
            SessionLine(
                began=moment(session.started),
                lasted=duration(max(session.seen - session.started, 0.0)),
                where=plain(session.host, 60),
                parallel=session.parallel,
                why=plain(session.why, 300) or unknown,
            )
        )
    return lines
