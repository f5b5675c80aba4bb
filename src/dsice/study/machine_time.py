"""Machine time: its unit, how much a study has used, and how many more trials a budget allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import floor
from typing import Final

from dsice.launch.names import LOCAL
from dsice.launch.settings import BatchSettings, Resources
from dsice.study.config import StudyConfig
from dsice.study.program_table import CommandConfig
from dsice.study.spec import config_of, usual_seconds
from dsice.study.state import Study
from dsice.study.task import Attempt, Task

GPUS: Final = "GPU-hours"
CORES: Final = "core-hours"
NODES: Final = "node-hours"
JOBS: Final = "job-hours"

_UNLIMITED: Final = 1_000_000
_EXACT: Final = 1e-9


def unit_of(config: StudyConfig) -> str:
    """The unit of ``job_hours``: of what a trial's job has, GPUs before cores before nodes.

    Hours of jobs if it is known of none of these how many a job has.
    """
    run, resources = config.run, _resources(config, config.trial)
    if _gpus(resources) or (run.on == LOCAL and run.gpus is not None):
        return GPUS
    if resources.cpus:
        return CORES
    return NODES if resources.nodes else JOBS


def share_of(config: StudyConfig) -> float:
    """How many units a trial's job uses in an hour: its number of GPUs, for example."""
    run, resources = config.run, _resources(config, config.trial)
    if run.on == LOCAL and run.gpus is not None:
        return float(resources.gpus or run.gpus_per_trial or 1)
    return _amount(resources, unit_of(config))


def used(study: Study) -> float:
    """The machine time of all ended attempts, in hours of `unit_of`.

    That of a job whose end nobody has seen, because its machine went down, is not known.
    """
    config, unit = study.config, unit_of(study.config)
    groups: list[Sequence[Task]] = [*([stage] for stage in study.stages.values())]
    groups += [study.trials, list(study.finalists.values())]  # each of one program
    if unit == GPUS and config.run.on == LOCAL:
        part = min(share_of(config), 1.0)  # shared GPUs count by their part
        return sum(_hours(group, lambda attempt: len(attempt.devices) * part) for group in groups)
    return sum(
        _hours(group) * _amount(_resources(config, config_of(study, group[0])), unit)
        for group in groups
        if group
    )


def _hours(tasks: Iterable[Task], share: Callable[[Attempt], float] = lambda attempt: 1.0) -> float:
    """The time of all ended attempts in hours, each multiplied by its share."""
    attempts = (attempt for task in tasks for attempt in task.attempts if attempt.seconds)
    return sum(attempt.seconds * share(attempt) for attempt in attempts) / 3600


def expected(study: Study) -> tuple[float, bool]:
    """The expected time of a trial in seconds, and whether it has been measured."""
    usual = usual_seconds(study)
    return (usual, True) if usual else (expected_at_first(study.config), False)


def expected_at_first(config: StudyConfig) -> float:
    """The expected time of a trial before some have ended: ``expected``, or its time limit."""
    trial = config.trial
    limit = trial.timeout if isinstance(trial.timeout, float) else None
    return trial.expected or limit or 0.0


def room(budget: float, spent: float, running: int, each: float, measured: bool = True) -> int:
    """How many more trials may begin without overrunning a budget of machine time.

    Args:
        budget: in any unit of time.
        spent: by what has ended, in the same unit.
        running: number of trials that run.
        each: expected time of a trial; 0: nothing is known.
        measured: whether it has been measured. If not, one trial is tried in any case.
    """
    left = budget - spent - running * each
    if each > 0:
        tried = 1 if not (measured or running) and left > 0 else 0
        return max(tried, floor(left / each + _EXACT))
    return _UNLIMITED if left > 0 else 0


def _amount(resources: Resources, unit: str) -> float:
    """How many of a unit a job with these resources has."""
    nodes = resources.nodes or 1
    amounts = {GPUS: _gpus(resources), CORES: (resources.cpus or 1) * nodes, NODES: nodes}
    return amounts.get(unit, 1.0)


def _resources(config: StudyConfig, program: CommandConfig) -> Resources:
    """The resources of a program's jobs, with those that its launcher gives all of them."""
    settings = config.run.settings
    if settings is None:
        return program.resources
    return settings.model_copy(update=program.resources.model_dump(exclude_none=True))


def _gpus(resources: Resources) -> float:
    if isinstance(resources, BatchSettings):
        return resources.gpu_count
    return (resources.gpus or 0) * (resources.nodes or 1)
