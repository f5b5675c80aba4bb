"""The dry run: describes what ``dsice run`` would do, without running or writing anything."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Point
from dsice.launch.job import JobSpec
from dsice.launch.locks import is_locked
from dsice.launch.make import make_launcher, make_scheduler
from dsice.launch.names import ALLOCATION
from dsice.launch.settings import BatchSettings
from dsice.launch.slots import Slots
from dsice.launch.wave import Wave
from dsice.search import make_search
from dsice.study import frozen
from dsice.study.config import StudyConfig
from dsice.study.directory import StudyDirectory
from dsice.study.facts import Trial
from dsice.study.learned import Learned
from dsice.study.machine_time import room, share_of, unit_of
from dsice.study.places import with_slots
from dsice.study.preview_rows import (
    command_rows,
    environment_rows,
    grid_rows,
    indented,
    row,
    setting_of,
)
from dsice.study.program_table import CommandConfig, TimesMedian
from dsice.study.run import require_free
from dsice.study.spec import (
    exists,
    faulty_templates,
    missing_counters,
    missing_hooks,
    missing_paths,
    missing_programs,
    next_job,
)
from dsice.study.state import Study
from dsice.study.task import Status
from dsice.study.tryout import metric_lines
from dsice.units import count, duration, hours, setting

# An absolute path that is an argument, or the value of an option.
_PATH: Final = re.compile(r"(?:-[^=\s]*=)?(/[\w.+@:,~/-]+)")


@dataclass(frozen=True, slots=True)
class Preview:
    """The description of what ``dsice run`` would do.

    Attributes:
        lines: the description, for people.
        warnings: what is missing here, or prevents the run.
    """

    lines: tuple[str, ...]
    warnings: tuple[str, ...]


def preview(
    config: StudyConfig,
    directory: Path | str,
    output: str | None = None,
    sources: Sequence[Learned] = (),
) -> Preview:
    """Describe what ``dsice run`` would do with a study in ``directory``.

    Args:
        config: the study.
        directory: new, or of a study that has begun.
        output: a sample of the program's output, to test the patterns of metrics.
        sources: earlier results from which it would learn.
    """
    place = StudyDirectory.at(directory)
    config, slots, lacking = _slots(config)
    study, state, warnings = _study(config, place)
    warnings += lacking
    point = config.first[0] if config.first else _first_point(config, sources)
    lines = [
        *row("Study", config.name),
        *row("Goal", str(config.goal)),
        *row("Search", f"{config.search}, seed {config.seed}"),
        *(line for source in sources for line in row("Learns from", str(source))),
        *row("Grid", str(config.grid.counts())),
        *grid_rows(config.grid, config.beliefs),
    ]
    if config.grid.only_ratios_of:
        lines += row("", f"Of {', '.join(config.grid.only_ratios_of)} only the ratios matter.")
    lines += row("Stages", "once each, in this order" if config.stages else "none")
    specs = []
    for name, stage in config.stages.items():
        if study.stage(name).status is Status.DONE:
            lines += row(f"  {name}", "done already")
            continue
        specs.append(next_job(study, study.stage(name), slots.whole(stage.resources.gpus)))
        lines += row(f"  {name}", _how(stage, config))
        lines += command_rows(specs[-1])
        lines += environment_rows(stage, specs[-1])
    lines += row("Trials", f"{_budget(config)}; {_how(config.trial, config)}")
    if point is None:
        warnings.append(
            "the rule 'allowed' lets no point be measured"
            if config.grid.allowed_count == 0
            else "no point that the rule 'allowed' allows was found: it may be that none is"
        )
    else:
        first = Trial(study, number=1, point=point)
        specs.append(next_job(study, first, slots.all[0]))
        baseline = ", the baseline" if config.first else ""
        lines += row("", f"The first is {setting_of(first.params)}{baseline}")
        lines += command_rows(specs[-1])
        lines += environment_rows(config.trial, specs[-1])
    for point in config.first[1:]:
        lines += row("", f"Then {setting_of(config.grid.params(point))}, before the search goes on")
    lines += [line for note in config.notes for line in row("Note", note)]
    if found := metric_lines(config.trial, output):
        lines += row("Metrics", "besides those that the program writes as JSON:")
        lines += [line for name, text in found for line in row(f"  {name}", text)]
    lines += row("Where", _where(config, slots))
    lines += row("Directory", state)
    lines += [line for text in _time(config) for line in row("Time", text)]
    if config.run.batch is not None and point is not None:
        lines += _job_script(config.run.batch, specs[-1], place, config.run.per_job)
    warnings += [*_absent(study, specs, place), *_in_the_way(config, place)]
    return Preview(tuple(lines), tuple(dict.fromkeys(warnings)))


def _how(program: CommandConfig, config: StudyConfig) -> str:
    """The time limit of a program, and the resources of each of its jobs."""
    facts = ["no time limit"] if program.timeout is None else []
    if isinstance(program.timeout, TimesMedian):
        facts.append(f"time limit {setting(program.timeout.times)} x the median of trials")
    elif program.timeout is not None:
        facts.append(f"time limit {duration(program.timeout)}")
    if program.retries:
        facts.append(f"up to {program.retries} more if it fails")
    if threads := program.threads or (1 if program is config.trial else None):
        facts.append(f"{count(threads, 'thread')} each (OMP_NUM_THREADS and the like)")
    if (settings := _settings(program, config)) is not None:
        counts = {"node": settings.nodes, "GPU": settings.gpus, "core": settings.cpus}
        given = [count(n, what) for what, n in counts.items() if n is not None]
        given += [f"{settings.memory} of memory"] if settings.memory else []
        given += [f"{duration(settings.time)} of time"] if settings.time else []
        facts.append(f"a job with {', '.join(given)}")
    return "; ".join(facts)


def _settings(program: CommandConfig, config: StudyConfig) -> BatchSettings | None:
    """The settings of a program's job for a batch system; None on this machine."""
    limit = program.timeout if isinstance(program.timeout, float) else None
    own = program.resources.model_dump(exclude_none=True)
    return None if config.run.batch is None else config.run.batch.of(own, limit)


def _budget(config: StudyConfig) -> str:
    run = config.run
    trials = "until the search has finished" if run.trials is None else f"{run.trials:,} in all"
    most = "" if run.hours is None else f", {setting(run.hours)} hours at most"
    if run.job_hours is not None:
        most += f", {setting(run.job_hours)} {unit_of(config)} at most"
    return f"{trials}{most}, {run.parallel:,} at once{_samples(config)}"


def _samples(config: StudyConfig) -> str:
    run = config.run
    if run.samples == 1:
        return ""
    counts = "median" if config.goal.of_repeats == "median" else "best"
    points = "" if run.trials is None else f": {count(run.trials // run.samples, 'point')}"
    return f"; every point {run.samples} times, of which the {counts} counts{points}"


def _slots(config: StudyConfig) -> tuple[StudyConfig, Slots, list[str]]:
    """``config`` with its slots, or the reasons why it cannot have those that it requests."""
    try:
        return *with_slots(config), []
    except InvalidInput as error:
        return config, Slots.plain(config.run.parallel), [str(error)]


def _where(config: StudyConfig, slots: Slots) -> str:
    batch = config.run.batch
    if config.run.on == ALLOCATION:
        return "inside the job of Slurm, PBS or TCS that the command is started in"
    if batch is None:
        first = slots.all[0]
        shared = slots.trials_per_device
        facts = ["processes on this machine"]
        if slots.devices:
            each = f"1/{shared}" if shared > 1 else str(len(first.devices))
            facts.append(f"GPUs {', '.join(slots.devices)}, {each} for each trial")
        if first.cores:
            facts.append(f"{len(first.cores)} cores for each trial, the first on {first.cores}")
        return "; ".join(facts)
    scheduler = make_scheduler(batch)
    number = config.run.per_job
    trials = "one per trial" if number == 1 else f"each of {number} trials, one after another"
    return f"jobs of {scheduler.TITLE}, {trials}, handed over with {scheduler.SUBMIT}"


def _time(config: StudyConfig) -> Iterator[str]:
    """The expected time of all jobs, if the file states it, and the maximum time."""
    run, usual = config.run, config.trial.expected
    expected = [stage.expected for stage in config.stages.values() if stage.expected is not None]
    if expected and len(expected) == len(config.stages):
        yield f"stages about {duration(sum(expected))}"
    if usual is not None and run.trials is not None:
        waves = -(-run.trials // run.parallel)
        yield (
            f"trials about {run.trials:,} x {duration(usual)} = {hours(run.trials * usual)} "
            f"job-hours, {duration(waves * usual)} with {run.parallel:,} at once"
        )
    if usual is not None and run.job_hours is not None:
        enough = room(run.job_hours, 0.0, 0, usual / 3600 * share_of(config))
        yield f"{setting(run.job_hours)} {unit_of(config)} are enough for {count(enough, 'trial')}"
    limits = {}
    for name, program in {**config.stages, "": config.trial}.items():
        settings = _settings(program, config)
        limit = program.timeout if isinstance(program.timeout, float) else None
        limits[name] = settings.time if limit is None and settings is not None else limit
    each = limits.pop("")
    if (stages := [limit for limit in limits.values() if limit is not None]) and len(stages) == len(
        limits
    ):
        yield f"stages at most {duration(sum(stages))}"
    if each is not None and config.run.trials is not None:
        waves = -(-config.run.trials // config.run.parallel)
        yield (
            f"trials at most {config.run.trials:,} x {duration(each)} = "
            f"{hours(config.run.trials * each)} job-hours, "
            f"{duration(waves * each)} with {config.run.parallel:,} at once, time in queues and "
            "further tries not counted"
        )


def _first_point(config: StudyConfig, sources: Sequence[Learned]) -> Point | None:
    """The first trial's point, which without sources does not depend on the goal.

    With sources, bounds that wait for a stage are ignored.
    """
    goal = Goal(minimize="any")
    options = config.told
    if sources:
        bounds = [bound.text for bound in config.goal.bounds if bound.limit is not None]
        goal = replace(config.goal, subject_to=bounds)
        options["sources"] = [source.given for source in sources]
    search = make_search(
        config.search,
        config.grid,
        goal,
        seed=config.seed,
        capacity=config.run.under_way,
        **options,
    )
    points = search.ask()
    return points[0] if points else None


def _job_script(
    batch: BatchSettings, spec: JobSpec, place: StudyDirectory, per_job: int
) -> list[str]:
    settings = batch.of(dict(spec.resources), spec.timeout)
    if per_job > 1:
        settings = settings.of_several([spec.timeout or settings.time or 0.0] * per_job)
    scheduler = make_scheduler(settings)
    name = spec.name[: scheduler.NAME_LENGTH - 9] + "-01234567"
    text = scheduler.script(Wave(batch.SYSTEM, place.batch / name), settings)
    return [
        *row("Job script", "of the first trial; the end of its name is drawn later"),
        *indented(text.rstrip()),
    ]


def _study(config: StudyConfig, place: StudyDirectory) -> tuple[Study, str, list[str]]:
    """The study in the directory so far, its description, and what prevents the run."""
    new = Study(config, place)
    try:
        if not place.journal.exists():
            if place.path.exists():
                require_free(place)
            return new, f"{place.path} (new)", []
        earlier = Study.open(place.path)
        done = [s.name for s in earlier.stages.values() if s.status is Status.DONE]
        config, change = frozen.accepted(earlier, config, done)
    except InvalidInput as error:
        return new, f"{place.path} (in use)", [str(error)]
    except OSError as error:
        return new, str(place.path), [f"cannot use {place.path}: {error.strerror}"]
    running = len(earlier.with_status(Status.RUNNING))
    left = f", {running} are under way" if running else ""
    state = (
        f"{place.path} holds this study: {len(earlier.finished)} trials have ended{left}. "
        "The command goes on with it"
    )
    if change is not None:
        state += f"; what changes: {'; '.join(change.what)}"
    earlier.config = config
    holder = place.lock.holder()
    if is_locked(place.lock.path):
        return earlier, state, [f"a driver is at work on {place.path}"]
    return earlier, state, [f"a driver may be at work: {holder}"] if holder else []


def _absent(study: Study, specs: list[JobSpec], place: StudyDirectory) -> Iterator[str]:
    """A sentence on each missing program, path and file of a command."""
    yield from missing_programs(study)
    yield from missing_paths(study)
    yield from missing_counters(study)
    yield from missing_hooks(study)
    faulty = faulty_templates(study)
    yield from faulty or [spec.flaw for spec in specs if spec.flaw]
    told = list(study.config.paths.values())
    for spec in specs:
        for argument in spec.command[1:]:
            found = _PATH.fullmatch(argument)
            if found is None:
                continue
            path = Path(found[1])
            inside = any(path.is_relative_to(known) for known in (place.path, *told))
            if not inside and not exists(path):
                yield f"not here: {path}"


def _in_the_way(config: StudyConfig, place: StudyDirectory) -> Iterator[str]:
    """A sentence on each reason why a batch system cannot be used."""
    batch = config.run.batch
    if batch is None:
        return
    scheduler = make_scheduler(batch)
    if shutil.which(scheduler.SUBMIT) is None:
        yield f"there is no {scheduler.SUBMIT} here: run it on a host of {scheduler.TITLE}"
    try:
        make_launcher(config.run.on, batch, place.batch)
    except InvalidInput as error:
        yield str(error)
