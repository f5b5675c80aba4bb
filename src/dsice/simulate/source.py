"""From files and options to worlds: a history, a table, or a duration alone."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dsice.errors import InvalidInput
from dsice.exchange.csv_file import read
from dsice.exchange.levels import Levels
from dsice.exchange.source import Row, RowState, is_blank
from dsice.exchange.source import number as as_number
from dsice.exchange.tabular import interpreted
from dsice.goal import Goal
from dsice.grid import Grid, Point
from dsice.simulate.campaign import Campaign
from dsice.simulate.development import LEAST, Developing, Development, Told
from dsice.simulate.fitted import Fitted
from dsice.simulate.play import Terms
from dsice.simulate.world import Lasting, Result, Tabulated, Timed, Worlds
from dsice.study.config import StudyConfig
from dsice.study.facts import Trial
from dsice.study.learned import Learned
from dsice.study.machine_time import expected_at_first, share_of
from dsice.study.progress import SHARES, Listener, search_options
from dsice.study.state import Study
from dsice.study.task import Status
from dsice.units import duration, number, percent

SECONDS: Final = "seconds"
"""The column of a table that says how long a trial took."""

_TRUSTED: Final = 0.7  # share explained below which worlds were far too good; docs/simulate.md
_MOST_TRIALS: Final = 100_000  # of one play
_IN_ROUNDS: Final = ("dsice-2017", "dsice-2018", "dsice-2024")


@dataclass(frozen=True)
class Source:
    """Worlds, and what must be said of them.

    Attributes:
        worlds: what trials give.
        goal: settled; None where nothing is known of quality.
        stages: seconds that the stages took, one after another.
        words: sentences on where the worlds come from and how far they can be trusted.
    """

    worlds: Worlds
    goal: Goal | None
    stages: float
    words: tuple[str, ...]

    @property
    def reports(self) -> bool:
        """Whether trials report in these worlds, so that some may end early."""
        return isinstance(self.worlds, Developing)

    def campaign(
        self,
        config: StudyConfig,
        queue: float = 0.0,
        *,
        early: bool = True,
        sources: Sequence[Learned] = (),
    ) -> Campaign:
        """The study of a file, to be played in these worlds.

        Args:
            config: the study.
            queue: seconds that each job waits.
            early: whether trials may end early, if the file says so.
            sources: what the search learns from.

        Raises:
            InvalidInput: it says nothing on the number of trials or has too many, its rule allows
                no point, or its search needs quality.
        """
        trials = config.run.trials
        if trials is None:
            raise InvalidInput("the study file sets no number of trials: give --trials N")
        config.grid.require_allowed()
        if min(trials, config.grid.allowed_count or trials) > _MOST_TRIALS:
            raise InvalidInput(
                f"{trials:,} trials: a simulation plays up to {_MOST_TRIALS:,}; give --trials N"
            )
        search, options = config.search, config.told
        if self.reports and early:
            options = {**options, **search_options(config)}
        if sources:
            options = {**options, "sources": [each.given for each in sources]}
        if self.goal is None:
            if search in _IN_ROUNDS:
                raise InvalidInput(
                    f"search {search!r} proposes rounds, whose sizes depend on results: "
                    "give --history DIR or --table FILE"
                )
            search, options = "random", {}  # never waits either, and costs nothing
        budget = config.run.job_hours
        work = None if budget is None else 3600 * budget / share_of(config)
        return Campaign(
            grid=config.grid,
            goal=self.goal or Goal(minimize=SECONDS),
            search=search,
            options=options,
            seed=config.seed,
            worlds=self.worlds,
            terms=Terms(
                trials,
                config.run.hours,
                self.stages,
                queue,
                work,
                expected_at_first(config),
                config.run.samples,
                config.first,
            ),
        )


def timed(config: StudyConfig, lasting: Lasting) -> Source:
    """Worlds in which only the duration of a trial is known."""
    words = (f"Every trial takes {_lasting_words(lasting)}; nothing is known of quality.",)
    return Source(Timed(lasting), None, 0.0, (*words, *_stages(config, None)[1]))


def from_history(config: StudyConfig, study: Study, lasting: Lasting | None = None) -> Source:
    """Worlds that agree with what a study has measured.

    Raises:
        InvalidInput: the study was on another grid, has measured too little, or lacks a metric.
    """
    goal, where = _settled(config, study), study.directory.path
    results = []
    for trial in study.finished:
        try:
            point = config.grid.point(trial.params)
        except InvalidInput as error:
            raise InvalidInput(f"{where} is a history of another grid: {error}") from None
        metrics = trial.metrics if trial.status is Status.DONE else None
        results.append((point, Result(metrics, _seconds(trial))))
    try:
        fitted = Fitted.of(config.grid, goal, results, lasting)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None
    took, about_stages = _stages(config, study)
    words = _fitted_words(f"{len(results)} trials of {where}", fitted)
    worlds: Worlds = fitted
    if config.trial.progress.full is not None:
        development = _development(config, goal, study)
        if development is not None:
            worlds = Developing(fitted, development)
        words.append(_development_words(development, where))
    if (best := study.best_for(goal)) is not None:
        words.append(f"Their own best has {goal.metric} {number(best.metrics[goal.metric])}.")
    return Source(worlds, goal, took, (*words, *about_stages))


def from_table(
    config: StudyConfig, path: Path, study: Study | None = None, lasting: Lasting | None = None
) -> Source:
    """Worlds that give the rows of a CSV file, or agree with them where some points are missing.

    The file has a column for each parameter and each metric of the goal, and may have one named
    ``seconds``. A row without metrics, or whose ``state`` says so, is a trial that failed. One that
    has not ended or was stopped is left out.

    Args:
        config: the study.
        path: of the file.
        study: whose stages settle the bounds and take time, if any.
        lasting: durations instead of the table's.

    Raises:
        InvalidInput: the file cannot be read or does not fit the study.
    """
    goal = _settled(config, study)
    rows = _rows(config, path, lasting is None)
    took, about_stages = _stages(config, study)
    by_program: dict[Point, list[Result]] = {}
    for point, result in rows:
        by_program.setdefault(config.grid.program(point), []).append(result)
    worlds: Worlds
    if _is_complete(config.grid, by_program.keys()):
        worlds = Tabulated(config.grid, by_program, lasting)
        words = [f"Trials give the rows of {path}, which has all points of the grid."]
        if lasting is not None:
            words.append(f"Every trial takes {_lasting_words(lasting)}.")
    else:
        try:
            worlds = Fitted.of(config.grid, goal, rows, lasting)
        except InvalidInput as error:
            raise InvalidInput(f"{path}: {error}, or a row for every point") from None
        words = _fitted_words(f"{len(rows)} rows of {path}", worlds)
    return Source(worlds, goal, took, (*words, *about_stages))


def _development(config: StudyConfig, goal: Goal, study: Study) -> Development | None:
    """How the metrics of trials developed, from what they reported; None if too few did."""
    listener = Listener(config, goal)
    told = []
    for trial in study.with_status(Status.DONE):
        reports = trial.reports or listener.news(trial)
        told.append(
            Told(
                config.grid.point(trial.params),
                trial.metrics,
                [(report.share, report.metrics) for report in reports],
            )
        )
    return Development.of(config.grid, goal.metrics, told, SHARES)


def _development_words(development: Development | None, where: Path) -> str:
    if development is None:
        return (
            f"Trials run to their ends here: to end some early, {LEAST} trials of {where} must "
            "have run to their end with reports of all metrics of the goal."
        )
    at = ", ".join(percent(share) for share in development.shares)
    return (
        f"Trials report at {at} of their length, as {len(development.points)} that ran to their "
        "end did; what they would have come to is not known of those that ended early."
    )


def _is_complete(grid: Grid, known: Collection[Point]) -> bool:
    """Whether the programs of all allowed points are ``known``."""
    counts = grid.counts()
    if counts.allowed is None or (counts.distinct or 0) > len(known):
        return False
    return all(grid.program(point) in known for point in grid)


def _settled(config: StudyConfig, study: Study | None) -> Goal:
    """The file's goal, its bounds settled by the stages of a study."""
    ended = study.stage_metrics if study is not None else {}
    for bound in config.goal.bounds:
        if lacking := sorted(bound.stages - ended.keys()):
            raise InvalidInput(
                f"bound {bound.text!r} needs the result of stage {lacking[0]!r}: give --history "
                "with a study in which it has ended"
            )
    return config.goal.settled(ended)


def _stages(config: StudyConfig, study: Study | None) -> tuple[float, list[str]]:
    """Seconds that the stages took, and words on that."""
    stages = study.stages if study is not None else {}
    took = sum(a.seconds for name in config.stages if name in stages for a in stages[name].attempts)
    unknown = [name for name in config.stages if name not in stages]
    words = [f"Stages come first and take {duration(took)}, as they did."] if took else []
    if unknown:
        words.append(f"Not counted: what the stages take ({', '.join(unknown)}); it is not known.")
    return took, words


def _seconds(trial: Trial) -> float:
    """What a trial took, all its attempts together."""
    return sum(attempt.seconds for attempt in trial.attempts)


def _lasting_words(lasting: Lasting) -> str:
    spread = f" on average (lognormal, sigma {number(lasting.spread)})" if lasting.spread else ""
    return duration(lasting.mean) + spread


def _fitted_words(what: str, worlds: Fitted) -> list[str]:
    words = [f"Each repetition draws a world that agrees with {what}."]
    shares = [
        f"{percent(max(found.fit.explained, 0.0))} of {name}"
        for name, found in worlds.metrics.items()
    ]
    words.append(f"Left out one by one, the model predicts {' and '.join(shares)}.")
    if min(found.fit.explained for found in worlds.metrics.values()) < _TRUSTED:
        words.append("That is little: what is said of the best is a guess, and likely too good.")
    if worlds.failing:
        words.append(f"{percent(worlds.failing)} of the trials failed.")
    if worlds.lasting is not None:
        words.append(f"Every trial takes {_lasting_words(worlds.lasting)}.")
    elif worlds.duration is not None:
        share = worlds.duration.fit.explained
        words.append(f"Durations have a model of their own, which predicts {percent(share)}.")
    else:
        words.append("Durations are drawn from the measured ones: they do not show on the grid.")
    return words


def _rows(config: StudyConfig, path: Path, timed: bool) -> list[tuple[Point, Result]]:
    """The rows of a table that have ended; ``timed``: it must say how long each took."""
    grid, goal = config.grid, config.goal
    table = interpreted(read(str(path), config), {name: name for name in grid.names}, goal, ())
    for column in (*grid.names, *goal.metrics):
        if column not in table.names:
            raise InvalidInput(f"{path} lacks a column {column!r}: it has {', '.join(table.names)}")
    if timed and SECONDS not in table.names:
        raise InvalidInput(f"{path} lacks a column {SECONDS!r}: add it, or give --duration TIME")
    levels = [Levels(axis) for axis in grid.axes]
    return [
        (_point(grid, levels, row, where), _result(goal, row, timed, where))
        for row in table.rows
        if row.state is not RowState.OPEN
        for where in [f"{path}: {row.where}"]
    ]


def _point(grid: Grid, levels: Sequence[Levels], row: Row, where: str) -> Point:
    point = [0] * len(levels)
    for axis in grid.reading_order:
        name, when = grid.names[axis], grid.whens.get(axis)
        if when is not None and not when(tuple(point)):
            continue  # whatever stands there
        index = levels[axis].index(row.values[name])
        if index is None:
            raise InvalidInput(f"{where}: {row.values[name]!r} is no level of parameter {name!r}")
        point[axis] = index
    return grid.canonical(tuple(point))


def _result(goal: Goal, row: Row, timed: bool, where: str) -> Result:
    given = {name: row.values[name] for name in goal.metrics}
    failed = row.state is RowState.FAILED or all(map(is_blank, given.values()))
    metrics = {name: _number(value) for name, value in given.items()}
    for name, value in metrics.items():
        if not failed and not math.isfinite(value):
            raise InvalidInput(
                f"{where}: {name} = {given[name]!r} is no finite number (a row without any metric "
                "is a trial that failed)"
            )
    seconds = _number(row.values[SECONDS]) if timed else 0.0
    if not 0 <= seconds < math.inf:
        raise InvalidInput(
            f"{where}: {SECONDS} = {row.values[SECONDS]!r} is no duration in seconds"
        )
    return Result(None if failed else metrics, seconds)


def _number(value: object) -> float:
    size = as_number(value)
    return math.nan if size is None else size
