"""Building the specification of a job from a trial or stage: fields, files and environment."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dsice.errors import InvalidInput
from dsice.grid import Value
from dsice.launch.job import JobSpec, Kind
from dsice.launch.processes import search_path
from dsice.launch.slots import Slot
from dsice.launch.usage import unknown_here
from dsice.study import command, templates
from dsice.study.directory import TaskFolder
from dsice.study.facts import Finalist, Stage, Trial
from dsice.study.program_table import CommandConfig, TimesMedian
from dsice.study.run_table import HOOKS
from dsice.study.state import Study
from dsice.study.task import Status, Task

SLOT: Final = "slot"
"""The field of a trial's slot, unless a parameter or a path has this name."""

FEW: Final = 5
"""Minimum number of measured trials for a meaningful median of their times."""
LATEST: Final = 200
"""Maximum number of trials in this median, the newest ones."""

_SHORTEST: Final = 10.0  # seconds: minimum of a learned time limit


def config_of(study: Study, task: Task) -> CommandConfig:
    """The table of the study file that defines the program of ``task``."""
    if isinstance(task, Stage):
        return study.config.stages[task.name]
    finalists = study.config.finalists
    return finalists if isinstance(task, Finalist) and finalists else study.config.trial


def folder_fields(study: Study, folder: TaskFolder) -> dict[str, Value]:
    """The fields for files: ``{study}``, ``{dir}``, ``{params}``, ``{stage.NAME}``, paths."""
    return {
        **_fixed_fields(study),
        "dir": str(folder.work),
        "params": str(folder.params),
        **{f"stage.{name}": str(study.directory.stage(name).work) for name in study.config.stages},
    }


def next_job(study: Study, task: Task, slot: Slot) -> JobSpec:
    """The specification of the next attempt of ``task``, in ``slot``."""
    config = config_of(study, task)
    attempt = len(task.attempts) + 1
    job = task.folder.job(attempt)
    values = folder_fields(study, task.folder)
    values |= {"result": str(job.metrics_file), "progress": str(job.progress)}
    if slot.number is not None:
        values = {SLOT: slot.number} | values  # a path or a parameter may have this name
    # In a batch system the job script sets it, and modules and 'setup' add to it.
    env = {} if study.config.run.batch else {"PATH": search_path()}
    env |= slot.env
    threads = config.threads
    if isinstance(task, Finalist):
        values["trial"] = str(task.trial.folder.work)
    if isinstance(task, Trial | Finalist):
        values |= task.params
        env["DSICE_PARAMS"] = str(task.folder.params)
        threads = threads or 1
    if threads is not None:
        env |= thread_limits(threads)
    given = command.with_flags(values, study.config.flags)
    filled = {key: command.filled([text], given) for key, text in config.env.items()}
    env |= {key: found[0] for key, found in filled.items() if found}
    arguments = tuple(command.filled(config.command, given))
    files, flaw = _files(study, config, values)
    needed = study.config.goal.metrics if isinstance(task, Trial | Finalist) else ()
    by_pattern, measured = config.patterns(needed), config.measured(needed)
    return JobSpec(
        name=f"{study.config.name}.{task.folder.path.name}.{attempt}",
        command=arguments,
        workdir=str(task.folder.work),
        env=env,
        timeout=time_limit(study, config),
        needs_metrics=not {*by_pattern, *measured}.issuperset(needed),
        resources=resources_of(study, task),
        files=files,
        flaw=flaw,
        slot=slot.number,
        devices=slot.devices,
        cores=slot.cores,
        identity=task.identity(attempt),
        patterns=by_pattern,
        measured=measured,
        progress=config.progress.pattern or "",
    )


def resources_of(study: Study, task: Task) -> dict[str, Any]:
    """The resources of the next attempt of ``task``, in addition to its launcher's settings."""
    own = config_of(study, task).resources
    found = own.model_dump(exclude_none=True)
    given = own if own.memory is not None else study.config.run.settings
    exceeded = sum(attempt.kind is Kind.OUT_OF_MEMORY for attempt in task.attempts)
    if given is not None and (memory := given.memory_after(exceeded)) != given.memory:
        found["memory"] = memory
    return found


def _files(
    study: Study, config: CommandConfig, values: Mapping[str, Value]
) -> tuple[dict[str, str], str]:
    """The text of each input file by name, and why one cannot be created; empty if all can.

    A template that fails at one point fails this trial, but does not end the study.
    """
    files = {}
    for name in config.files:
        try:
            path, root = _template(study, config, name)
            files[name] = templates.render(path, values, root)
        except InvalidInput as error:
            return {}, f"cannot make {name!r}: {error}"
    return files, ""


def _template(study: Study, config: CommandConfig, name: str) -> tuple[Path, Path]:
    """The template of the input file ``name``, and the folder to which it is confined.

    This is the study file's folder, or the template's own if that is elsewhere.
    """
    folder = study.config.folder
    path = folder / command.fill(config.files[name], _fixed_fields(study))
    inside = Path(os.path.normpath(path)).is_relative_to(folder)
    return path, folder if inside else path.parent


def time_limit(study: Study, config: CommandConfig) -> float | None:
    """The present time limit of a program in seconds, or None."""
    if not isinstance(config.timeout, TimesMedian):
        return config.timeout
    usual = usual_seconds(study)
    if usual is None:
        return None
    limit = max(config.timeout.times * usual, _SHORTEST)
    batch = study.config.run.batch
    if batch is None:
        return limit
    # A learned limit must not exceed the time limit of the job in the batch system.
    own = batch.of(config.resources.model_dump(exclude_none=True), None).time
    return limit if own is None else min(limit, own)


def usual_seconds(study: Study) -> float | None:
    """The median time of the latest measured trials in seconds; None while there are few."""
    latest = [t.seconds for t in study.finished[-LATEST:] if t.status is Status.DONE]
    return statistics.median(latest) if len(latest) >= FEW else None


def _fixed_fields(study: Study) -> dict[str, Value]:
    """The fields that are constant and common to all programs."""
    paths = {name: str(path) for name, path in study.config.paths.items()}
    return {"study": str(study.config.folder), **paths}


def waiting(study: Study) -> list[CommandConfig]:
    """The programs still to be run: of the unfinished stages, and of the trials."""
    stages = study.config.stages.items()
    left = [config for name, config in stages if study.stage(name).status is not Status.DONE]
    finalists = study.config.finalists
    return [*left, study.config.trial, *([] if finalists is None else [finalists])]


def missing_paths(study: Study) -> list[str]:
    """A sentence on each missing entry of ``[paths]`` that a program still to be run uses."""
    texts = [
        text
        for config in waiting(study)
        for text in (*config.command, *config.env.values(), *config.files.values())
    ]
    named = {name for text in texts for name in command.fields(text)}
    return [
        f"[paths] {name} = {str(path)!r}: there is no such file or folder"
        for name, path in study.config.paths.items()
        if name in named and not exists(path)
    ]


def exists(path: Path) -> bool:
    """Whether ``path`` exists, as far as this user has permission to see."""
    try:
        return path.exists()
    except OSError:
        return False


def missing_programs(study: Study) -> list[str]:
    """A sentence on each missing program whose path is already known.

    Unknown are programs in the folder of an unfinished stage, and those named by a parameter:
    if one of these is missing, its trials fail.
    """
    done = [name for name in study.config.stages if study.stage(name).status is Status.DONE]
    known = _fixed_fields(study)
    known |= {f"stage.{name}": str(study.directory.stage(name).work) for name in done}

    def filled(text: str) -> str | None:
        return command.fill(text, known) if set(command.fields(text)) <= known.keys() else None

    missing = []
    for config in waiting(study):
        program, path = filled(config.command[0]), filled(config.env.get("PATH", ""))
        if program is not None and path is not None:
            try:
                command.check_program(program, path)
            except InvalidInput as error:
                missing.append(str(error))
    return list(dict.fromkeys(missing))


def faulty_templates(study: Study) -> list[str]:
    """A sentence on each invalid template of a program still to be run."""
    known = ["study", "dir", "result", "progress", *study.config.paths]
    faults = []
    for name, stage in study.config.stages.items():
        if study.stage(name).status is not Status.DONE:
            faults += _faults(study, stage, f"[stage.{name}]", known)
        known.append(f"{templates.STAGE}{name}")
    known += ["params", SLOT, *study.config.grid.names]
    return faults + _faults(study, study.config.trial, "[trial]", known)


def _faults(study: Study, config: CommandConfig, where: str, known: list[str]) -> list[str]:
    faults = []
    for name in config.files:
        try:
            path, root = _template(study, config, name)
            templates.check(path, known, root)
        except InvalidInput as error:
            faults.append(f"{where} files {name!r}: {error}")
    return faults


def check_files(study: Study) -> None:
    """Check that all programs and paths that are still needed exist, as far as known.

    Raises:
        InvalidInput: one does not exist, a template is invalid, or a metric cannot be measured.
    """
    for wrong in (
        *missing_programs(study),
        *missing_paths(study),
        *faulty_templates(study),
        *missing_counters(study),
    ):
        raise InvalidInput(wrong)


def missing_hooks(study: Study) -> list[str]:
    """A sentence on each missing hook program."""
    missing = []
    for event in HOOKS:
        if (hook := getattr(study.config.run, event)) and not command.fields(hook[0]):
            try:
                command.check_program(hook[0])
            except InvalidInput as error:
                missing.append(f"[run] {event}: {error}")
    return missing


def missing_counters(study: Study) -> list[str]:
    """A sentence on each built-in metric that this machine, where trials run, cannot measure."""
    if study.config.run.batch is not None:
        return []
    wanted = {
        metric
        for config in waiting(study)
        for metric in config.measured(study.config.goal.metrics).values()
    }
    missing = unknown_here(wanted)
    return [missing] if missing else []


def thread_limits(threads: int) -> dict[str, str]:
    """Environment variables that limit numerical libraries to ``threads`` threads."""
    names = "OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "BLIS_NUM", "VECLIB_MAXIMUM", "NUMEXPR_NUM"
    return {f"{name}_THREADS": str(threads) for name in names}
