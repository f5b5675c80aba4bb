"""``dsice run``: begins or resumes a study."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dsice.commands.arguments import Subparsers, duration
from dsice.console import complain
from dsice.errors import Interrupted, InvalidInput, OutOfTime
from dsice.launch.names import ALLOCATION, NAMES, OWN, SLURM
from dsice.text import one_line, say

if TYPE_CHECKING:
    from dsice.study.config import StudyConfig
    from dsice.study.learned import Learned
    from dsice.study.state import Study


def add(commands: Subparsers) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser(
        "run",
        help="run a study, or resume it",
        description="Run a study until its budget is used. Give the same command again to resume "
        "after Ctrl-C, a crash or a reboot: nothing is lost and nothing is measured twice. "
        "Exit codes: 0 finished, 1 failed, 2 bad input or another driver at work, 75 out of its "
        "own time (see --stop-after), 130 stopped on request.",
    )
    parser.add_argument("study", type=Path, metavar="STUDY.toml", help="the study file")
    parser.add_argument(
        "--in",
        dest="directory",
        type=Path,
        metavar="DIR",
        help="where to keep everything (runs/NAME)",
    )
    parser.add_argument(
        "--parallel", type=int, metavar="N", help="trials at once, instead of the file's"
    )
    parser.add_argument(
        "--trials", type=int, metavar="N", help="trials in all, instead of the file's"
    )
    parser.add_argument(
        "--hours", type=float, metavar="H", help="hours in all, instead of the file's"
    )
    parser.add_argument(
        "--job-hours",
        type=float,
        metavar="H",
        help="machine time of all jobs, instead of the file's: GPU-hours, core-hours, node-hours "
        "or hours of jobs, as --dry-run says",
    )
    parser.add_argument(
        "--first",
        action="append",
        default=[],
        metavar="NAME=VALUE,...",
        help="settings that are known to work, measured before anything else; the first of them is "
        "the baseline that the best is compared with. May be repeated",
    )
    parser.add_argument(
        "--learn-from",
        action="append",
        default=[],
        metavar="SOURCE",
        help="results of a related program that the search learns from: a study's directory, or "
        "what 'dsice import' reads; 'auto' for earlier studies beside this one. Read when the "
        "study begins. May be repeated",
    )
    parser.add_argument(
        "--no-learn", action="store_true", help="learn from nothing, whatever the file says"
    )
    parser.add_argument(
        "--on",
        choices=NAMES,
        metavar="WHERE",  # the choices would be looked up in all installed packages
        help=f"where trials run, instead of the file's: {', '.join(OWN)}, or a batch system of "
        "another package; 'allocation' means inside the job of Slurm, PBS or TCS that this is "
        "started in; settings are in the file's tables, such as [run.slurm]",
    )
    parser.add_argument(
        "--stop-after",
        type=duration,
        metavar="TIME",
        help="leave after '23 h', '90 min', ... with exit code 75, for a driver that is a batch "
        "job itself: its jobs go on, and the same command takes them up. Inside a Slurm job the "
        "time is known without this",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check the file and say what would be run, where and for how long, with the commands "
        "and the job script, and what is missing here; nothing is run or written",
    )
    parser.add_argument(
        "--sample",
        type=Path,
        metavar="FILE",
        help="with --dry-run: what the program printed once, to try the patterns of 'metrics' and "
        "'progress' on; - for standard input",
    )
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from dsice.exchange.learning import sources_of
    from dsice.hooks import Hooks
    from dsice.launch.make import make_launcher
    from dsice.study.config import with_budget, with_first, with_sources
    from dsice.study.directory import StudyDirectory
    from dsice.study.frozen import load_for
    from dsice.study.learned import line
    from dsice.study.run import Session, run_study
    from dsice.study.task import Status
    from dsice.terminal import Terminal

    given = {
        key: getattr(options, key) for key in ("on", "parallel", "trials", "hours", "job_hours")
    }
    budget = {key: value for key, value in given.items() if value is not None}
    config, directory = load_for(options.study, options.directory)
    config = with_first(with_budget(config, **budget), options.first)
    config = with_sources(config, options.learn_from, options.no_learn)
    if options.dry_run:
        return _preview(options.study, config, directory, options.sample)
    if options.sample is not None:
        raise InvalidInput("--sample goes with --dry-run")
    repeated = [
        part for key, value in budget.items() for part in (f"--{key.replace('_', '-')}", str(value))
    ]
    repeated += [part for text in options.first for part in ("--first", text)]
    repeated += [part for text in options.learn_from for part in ("--learn-from", text)]
    repeated += ["--no-learn"] * options.no_learn
    resume = shlex.join(["dsice", "run", str(options.study), "--in", str(directory), *repeated])
    stop_after = options.stop_after
    if stop_after is None and config.run.on in (SLURM, ALLOCATION):
        from dsice.launch.slurm import own_time_left

        stop_after = own_time_left()
    for note in config.notes:
        complain(note)
    place = StudyDirectory.at(directory)

    def sources() -> list[Learned]:
        found = sources_of(config, place.path)
        if text := line(found):
            complain(text)
        return found

    launcher = make_launcher(config.run.on, config.run.settings, place.batch)
    try:
        with Hooks(config, place.path, complain) as hooks, Terminal() as terminal:
            study = run_study(
                config,
                directory,
                Session(
                    launcher,
                    on_change=hooks.beside(terminal.show),
                    on_stop=terminal.stopping,
                    stop_after=stop_after,
                    sources=sources,
                ),
            )
    except (Interrupted, OutOfTime) as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # already exiting
        raise type(error)(f"{error}. Resume with: {resume}") from None
    _print_end(study)
    return 0 if study.with_status(Status.DONE) else 1


def _preview(file: Path, config: StudyConfig, directory: Path, sample: Path | None) -> int:
    from dsice.exchange.learning import sources_of
    from dsice.study.directory import StudyDirectory
    from dsice.study.learned import load
    from dsice.study.preview import preview

    begun = (directory / "journal.jsonl").exists()
    sources = load(StudyDirectory.at(directory)) if begun else sources_of(config, directory)
    output = None if sample is None else _read_sample(sample)
    found = preview(config, directory, output, sources)
    say(*found.lines)
    say(f"\n{file} is valid. Nothing was run or written.")
    if found.warnings:
        say("Not ready to run here:")
        say(*(f"- {warning}" for warning in found.warnings))
    return 0


def _read_sample(file: Path) -> str:
    from dsice.files import SMALL, read_regular

    try:
        data = sys.stdin.buffer.read(SMALL) if str(file) == "-" else read_regular(file, SMALL)
    except OSError as error:
        raise InvalidInput(f"cannot read {str(file)!r}: {error.strerror}") from None
    return data.decode(errors="replace")


def _print_end(study: Study) -> None:
    from dsice.study.summary import change_lines

    for line in change_lines(study):
        say(line)
    say(one_line(f"Ended: {study.sessions[-1].why}."))
    _print_best(study)
    where = shlex.quote(os.path.relpath(study.directory.path))
    say(f"Everything is in {where}. For pictures: dsice report {where}")


def _print_best(study: Study) -> None:
    from dsice.study.baseline import Baseline
    from dsice.study.summary import no_best_text
    from dsice.terminal import better_line, metrics_line, params_line, standing_line

    goal = study.goal
    best = study.best_standing(goal)
    for stage in study.stages.values():
        if goal.missing(stage.metrics) is None:
            say(f"Stage {stage.name}: {metrics_line(stage.metrics, goal)}")
    if best is None:
        say(no_best_text(study, goal))
    else:
        say(f"Best (trial {best.counted.number}): {standing_line(best, goal)}")
        say(f"  {params_line(best.counted.params)}")
    if better := better_line(study, goal):
        say(better)
    if baseline := Baseline.of(study):
        say(one_line(baseline.line(goal)))
