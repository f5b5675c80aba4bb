"""From a trial or stage to the job that runs it: its fields filled, its environment set."""

from __future__ import annotations

from dsice.grid import Value
from dsice.launch.job import JobSpec
from dsice.launch.shim import thread_limits
from dsice.study import command
from dsice.study.config import CommandConfig
from dsice.study.directory import TaskFolder
from dsice.study.state import Stage, Study, Task, Trial


def config_of(study: Study, task: Task) -> CommandConfig:
    """The table of the study file that tells how to run ``task``."""
    return study.config.stages[task.name] if isinstance(task, Stage) else study.config.trial


def folder_fields(study: Study, folder: TaskFolder) -> dict[str, Value]:
    """The fields that name files: ``{study}``, ``{dir}``, ``{params}``, ``{stage.NAME}``."""
    return {
        "study": str(study.config.folder),
        "dir": str(folder.work),
        "params": str(folder.params),
        **{f"stage.{name}": str(study.directory.stage(name).work) for name in study.config.stages},
    }


def next_job(study: Study, task: Task) -> JobSpec:
    """What the next attempt of ``task`` is to run.

    Raises:
        InvalidInput: the program of its command does not exist.
    """
    config = config_of(study, task)
    attempt = len(task.attempts) + 1
    job = task.folder.job(attempt)
    values = folder_fields(study, task.folder)
    values |= {"result": str(job.metrics_file), "progress": str(job.progress)}
    env = {"PATH": command.search_path()}
    threads = config.threads
    if isinstance(task, Trial):
        values |= task.params
        env["DSICE_PARAMS"] = str(task.folder.params)
        threads = threads or 1
    if threads is not None:
        env |= thread_limits(threads)
    env |= {key: command.fill(text, values) for key, text in config.env.items()}
    arguments = tuple(command.fill(argument, values) for argument in config.command)
    command.check_program(arguments)
    return JobSpec(
        name=f"{study.config.name}.{task.folder.path.name}.{attempt}",
        command=arguments,
        workdir=str(task.folder.work),
        env=env,
        timeout=config.timeout,
        needs_metrics=isinstance(task, Trial),
    )


def check_programs(study: Study) -> None:
    """Check, before anything runs, that the programs exist whose place does not depend on a stage.

    Raises:
        InvalidInput: one does not.
    """
    values = {"study": str(study.config.folder)}
    for config in [*study.config.stages.values(), study.config.trial]:
        if set(command.fields(config.command[0])) <= values.keys():
            command.check_program([command.fill(config.command[0], values)])
