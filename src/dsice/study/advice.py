"""Messages for runs that cannot continue: what happened, the end of the log, what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dsice.launch.job import JobFolder, Kind
from dsice.launch.output import last_line, last_lines
from dsice.study import command
from dsice.study.config import StudyConfig
from dsice.study.facts import Stage
from dsice.study.outage import Outage
from dsice.study.state import Study
from dsice.study.task import Attempt

_LINES: Final = 15  # of a log


def gave_up(study: Study, outage: Outage) -> str:
    """Explain in several lines why a run ended after failures in a row, and what to do."""
    config, attempt = study.config, outage.last.attempt
    avoid = config.run.batch.AVOID if config.run.batch else ""
    lines = [
        summary(outage),
        "  They do not count: mend what is wrong and run the same command again, which measures "
        "their points anew.",
        *(f"  {hint}" for hint in _hints(config, attempt)),
    ]
    if outage.host:
        lines.append(
            f"  All of them ran on {outage.host}, and trials on other machines were measured"
            + (
                f': keep jobs away from it by directives = ["{avoid.format(host=outage.host)}"].'
                if avoid
                else "."
            )
        )
    lines.append(
        "  If the points are at fault, exclude them by 'allowed', or let more fail in a row by "
        f"max_consecutive_failures (now {config.run.max_consecutive_failures}) under [run]."
    )
    return "\n".join([*lines, _end_of_log(outage.last.folder)])


def summary(outage: Outage) -> str:
    """Describe an outage in one line."""
    count = outage.trials
    who = f"{count} trials in a row failed alike" if count > 1 else "a trial failed"
    return f"{who}: {outage.last.attempt.reason}"


def hopeless(config: StudyConfig, job: JobFolder, attempt: Attempt) -> str:
    """Explain why a run ended after a single failure, and what to do."""
    hints = "".join(f" {hint}" for hint in _hints(config, attempt))
    return (
        f"{job.path}: {attempt.reason}. Mend it and run the same command again.{hints} If this "
        "point alone is at fault, set max_consecutive_failures = 0 under [run]"
    )


def stage_failed(stage: Stage) -> str:
    """Explain why a stage failed, with the end of its log."""
    return f"stage {stage.name!r} failed: {stage.reason}\n{_end_of_log(stage.job)}"


def _hints(config: StudyConfig, attempt: Attempt) -> list[str]:
    hints = [
        f"Programs run in their own folder: write {{study}}/{name} instead of {name}."
        for argument in config.trial.command
        if not command.fields(argument)
        and (name := argument.rpartition("=")[2])
        and not Path(name).is_absolute()
        and _is_file(config.folder / name)
    ]
    if attempt.kind is Kind.NO_METRICS:
        hints.append(
            "The program must print its metrics as a JSON object on a line of its own, or write "
            "them to the file {result}."
        )
    elif attempt.kind is Kind.TIMEOUT:
        hints.append("Is 'timeout' long enough?")
    return hints


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # not a valid file name
        return False


def _end_of_log(job: JobFolder) -> str:
    log = job.stderr if last_line(job.stderr) else job.stdout
    lines = [f"    {line}" for line in last_lines(log, _LINES)] or ["    (no output)"]
    return f"  the end of {log}:\n" + "\n".join(lines)
