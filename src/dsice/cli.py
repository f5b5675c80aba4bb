"""The command line: run, simulate, status, stop, best, report, init."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from dsice.console import CannotWrite, complain, written
from dsice.errors import DsiceError, Interrupted, InvalidInput, OutOfTime
from dsice.exchange.command import add_export, add_import
from dsice.explain.command import add_explain
from dsice.live.command import add_serve, add_watch
from dsice.repair.command import add_repair
from dsice.simulate.command import add_simulate
from dsice.sweep.command import add_sweep
from dsice.text import one_line, say, visible
from dsice.version import __version__

if TYPE_CHECKING:
    from dsice.study.config import StudyConfig
    from dsice.study.state import Study

# Everything else is imported by the command that needs it, so that --help is quick.

_ABOUT = """\
Find the best parameters of a program that is expensive to run, in few runs.

  dsice init                 write a study file to start from
  dsice run study.toml       run the study; the same command resumes it
  dsice simulate study.toml  how long it would take, and how good the best would be
  dsice status runs/NAME     how far it is
  dsice stop runs/NAME       begin no new trials, wherever it runs
  dsice best runs/NAME       the best parameters so far
  dsice sweep runs/NAME      the best at every bound of a range, and where more is to be found
  dsice explain runs/NAME    why points were proposed, and what the parameters do
  dsice watch runs/NAME      see it run, from anywhere
  dsice report runs/NAME     write a page with pictures
  dsice serve runs/NAME      the same page, live, in a browser
  dsice export runs/NAME     write the trials for optuna-dashboard, as CSV or as Parquet
  dsice import study.toml results.csv   make results from elsewhere known to a study
  dsice repair runs/NAME     check a study's files, after a restored backup for example
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    0 well, 1 failed, 2 bad input, 75 out of its own time, 130 interrupted.
    """
    try:
        with written():
            return _answer(arguments)
    except CannotWrite as error:
        if not str(error):  # the reader has seen enough
            return 0
        complain(str(error))
        return 1


def _answer(arguments: Sequence[str] | None) -> int:
    interrupts: list[int] = []
    try:
        options = parser().parse_args(arguments)
        with _noted(interrupts):
            code: int = options.command(options)
        return code
    except KeyboardInterrupt:
        return _interrupted()
    except (OSError, CannotWrite):
        raise
    except Exception as error:
        if interrupts:  # some imports, NumPy's for one, make an ImportError of a Ctrl-C
            return _interrupted()
        if not isinstance(error, DsiceError):
            raise
        complain(str(error))
        return error.exit_code


def _interrupted() -> int:
    complain("interrupted")
    return 130


@contextmanager
def _noted(interrupts: list[int]) -> Iterator[None]:
    """Within, each Ctrl-C is added to ``interrupts`` before it raises KeyboardInterrupt."""

    def note(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # ignored, or seen to by whoever runs us
        return
    try:
        signal.signal(signal.SIGINT, note)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is note:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class _Parser(argparse.ArgumentParser):
    """A parser, and those of its commands, that say what is wrong with arguments safely."""

    def error(self, message: str) -> NoReturn:
        super().error(visible(message))


def parser() -> argparse.ArgumentParser:
    """The parser of the command line; ``command`` of what it parses is the command's function."""
    parser: argparse.ArgumentParser = _Parser(
        prog="dsice", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"dsice {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run a study, or resume it",
        description="Run a study until its budget is used. Give the same command again to resume "
        "after Ctrl-C, a crash or a reboot: nothing is lost and nothing is measured twice. "
        "Exit codes: 0 finished, 1 failed, 2 bad input or another driver at work, 75 out of its "
        "own time (see --stop-after), 130 stopped on request.",
    )
    run.add_argument("study", type=Path, metavar="STUDY.toml", help="the study file")
    run.add_argument(
        "--in",
        dest="directory",
        type=Path,
        metavar="DIR",
        help="where to keep everything (runs/NAME)",
    )
    run.add_argument(
        "--parallel", type=int, metavar="N", help="trials at once, instead of the file's"
    )
    run.add_argument("--trials", type=int, metavar="N", help="trials in all, instead of the file's")
    run.add_argument("--hours", type=float, metavar="H", help="hours in all, instead of the file's")
    run.add_argument(
        "--first",
        action="append",
        default=[],
        metavar="NAME=VALUE,...",
        help="settings that are known to work, measured before anything else; the first of them is "
        "the baseline that the best is compared with. May be repeated",
    )
    run.add_argument(
        "--on",
        choices=["local", "slurm", "pjm", "pbs"],
        help="where trials run, instead of the file's: on this machine, or as jobs of Slurm, "
        "Fujitsu TCS (pjsub) or PBS; settings are in the file's [run.slurm], [run.pjm], [run.pbs]",
    )
    run.add_argument(
        "--stop-after",
        type=_duration,
        metavar="TIME",
        help="leave after '23 h', '90 min', ... with exit code 75, for a driver that is a batch "
        "job itself: its jobs go on, and the same command takes them up. Inside a Slurm job the "
        "time is known without this",
    )
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="check the file and say what would be run, where and for how long, with the commands "
        "and the job script, and what is missing here; nothing is run or written",
    )
    run.set_defaults(command=_run)

    add_simulate(commands, _duration)

    stop = commands.add_parser(
        "stop",
        help="stop a study, wherever its driver runs",
        description="Ask the driver of a study to stop, from any machine that sees the directory. "
        "'dsice run' goes on with the study later: nothing is lost.",
    )
    stop.add_argument("directory", type=Path, metavar="DIR")
    how = stop.add_mutually_exclusive_group()
    how.add_argument(
        "--drain",
        dest="how",
        action="store_const",
        const="drain",
        help="begin no new trials, wait for those that run (the default)",
    )
    how.add_argument(
        "--cancel",
        dest="how",
        action="store_const",
        const="cancel",
        help="end those that run, too; also those that a dead driver left in a batch system",
    )
    how.add_argument(
        "--leave",
        dest="how",
        action="store_const",
        const="leave",
        help="end the driver only; what runs goes on",
    )
    stop.set_defaults(command=_stop, how="drain")

    status = commands.add_parser("status", help="how far a study is")
    status.add_argument("directory", type=Path, metavar="DIR")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(command=_status)

    add_explain(commands)
    add_watch(commands)

    best = commands.add_parser(
        "best",
        help="the best parameters so far",
        description="The best trial that keeps the bounds; with several objectives the front, all "
        "trials that no other beats in one without being worse in another. Other bounds may be "
        "asked for: all measurements are kept as they were, so the answer needs no new run.",
    )
    best.add_argument("directory", type=Path, metavar="DIR")
    best.add_argument(
        "--subject-to",
        action="append",
        metavar="BOUND",
        help="bounds instead of the study's, such as 'rmse <= 11.5'; may be repeated",
    )
    best.add_argument("--json", action="store_true", help="for programs")
    best.set_defaults(command=_best)

    add_sweep(commands, _duration)

    report = commands.add_parser("report", help="write a page with pictures of a study")
    report.add_argument("directory", type=Path, metavar="DIR")
    report.add_argument(
        "--out", type=Path, metavar="FILE", help="instead of DIR/report.html; - for standard output"
    )
    report.set_defaults(command=_report)

    add_serve(commands)
    add_export(commands)
    add_import(commands)
    add_repair(commands)

    init = commands.add_parser("init", help="write a commented study file to start from")
    init.add_argument("file", type=Path, nargs="?", default=Path("study.toml"), metavar="FILE")
    init.set_defaults(command=_init)

    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of study files, for editors",
        description="With 'dsice schema > study.schema.json', and '#:schema ./study.schema.json' "
        "as first line of a study file, editors that know TOML (Even Better TOML in VS Code, "
        "taplo elsewhere) complete its keys, explain them and mark mistakes.",
    )
    schema.set_defaults(command=_schema)
    return parser


def _duration(text: str) -> float:
    from dsice.units import seconds

    try:
        return seconds(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(options: argparse.Namespace) -> int:
    from dsice.launch.make import make_launcher
    from dsice.study.config import with_budget, with_first
    from dsice.study.directory import StudyDirectory
    from dsice.study.facts import Status
    from dsice.study.frozen import load_study_file
    from dsice.study.run import run_study
    from dsice.terminal import Terminal

    given = {key: getattr(options, key) for key in ("on", "parallel", "trials", "hours")}
    budget = {key: value for key, value in given.items() if value is not None}
    config = with_budget(load_study_file(options.study), **budget)
    config = with_first(config, options.first)
    directory = options.directory or Path("runs") / config.name
    if options.dry_run:
        return _preview(options.study, config, directory)
    repeated = [part for key, value in budget.items() for part in (f"--{key}", str(value))]
    repeated += [part for text in options.first for part in ("--first", text)]
    resume = shlex.join(["dsice", "run", str(options.study), "--in", str(directory), *repeated])
    stop_after = options.stop_after
    if stop_after is None and config.run.on == "slurm":
        from dsice.launch.slurm import own_time_left

        stop_after = own_time_left()
    place = StudyDirectory.at(directory)
    launcher = make_launcher(config.run.on, config.run.batch, place.batch)
    try:
        with Terminal() as terminal:
            study = run_study(
                config,
                directory,
                launcher,
                terminal.show,
                terminal.stopping,
                stop_after=stop_after,
            )
    except (Interrupted, OutOfTime) as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # on the way out already
        raise type(error)(f"{error}. Resume with: {resume}") from None
    _print_end(study)
    return 0 if study.with_status(Status.DONE) else 1


def _preview(file: Path, config: StudyConfig, directory: Path) -> int:
    from dsice.study.preview import preview

    found = preview(config, directory)
    say(*found.lines)
    say(f"\n{file} is valid. Nothing was run or written.")
    if found.warnings:
        say("Not ready to run here:")
        say(*(f"- {warning}" for warning in found.warnings))
    return 0


def _stop(options: argparse.Namespace) -> int:
    from dsice.launch.make import make_launcher
    from dsice.study.driver import Stop
    from dsice.study.facts import Status
    from dsice.study.run import ask_to_stop, end_what_runs
    from dsice.study.state import Study

    study = Study.open(options.directory)
    place = study.directory
    how = Stop[options.how.upper()]
    if place.lock.is_held():
        ask_to_stop(place, how)
        say(f"Asked the driver ({place.lock.holder()}) to stop: {options.how}.")
        return 0
    running = len(study.with_status(Status.RUNNING))
    if not running or how is not Stop.CANCEL:
        left = f", but {running} of its jobs may be; --cancel ends them" if running else ""
        say(f"No driver is at work on {options.directory}{left}.")
        return 0
    run = study.config.run
    end_what_runs(study, make_launcher(run.on, run.batch, place.batch))
    say(f"Ended what a driver had left running: {running} trials, to begin again on resumption.")
    return 0


def _print_end(study: Study) -> None:
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
        say(f"Best (trial {best.median.number}): {standing_line(best, goal)}")
        say(f"  {params_line(best.median.params)}")
    if better := better_line(study, goal):
        say(better)
    if baseline := Baseline.of(study):
        say(one_line(baseline.line(goal)))


def _status(options: argparse.Namespace) -> int:
    from dsice.console import answers
    from dsice.study.baseline import Baseline
    from dsice.study.state import Study
    from dsice.study.summary import as_json, batch_line, driver_line, known_line
    from dsice.terminal import view

    study = Study.open(options.directory).look_at_jobs()
    if options.json:
        say(json.dumps(as_json(study), indent=1))
        return 0
    if study.warning:
        say(f"Warning: {study.warning}", to=sys.stderr)
    console = answers()
    console.print(view(study, live=study.directory.lock.is_held()))
    grid = f"Grid: {study.config.grid.counts()}."
    baseline = Baseline.of(study)
    compared = baseline.line(study.goal) + "." if baseline else ""
    for line in (grid, compared, known_line(study), batch_line(study), driver_line(study)):
        if line:
            console.print(line)
    return 0


def _best(options: argparse.Namespace) -> int:
    from dsice.launch.output import shown
    from dsice.study.state import Study
    from dsice.study.summary import best_as_json, no_best_text, other_results
    from dsice.terminal import better_line, standing_line
    from dsice.units import number

    study = Study.open(options.directory)
    goal = study.goal
    if options.subject_to is not None:
        goal = replace(goal, subject_to=options.subject_to).settled(study.stage_metrics)
    best = study.best_standing(goal)
    if goal.swept and best is not None:
        from dsice.sweep.several import print_front

        print_front(study, goal, options.json)
        return 0
    if options.json:
        say(json.dumps(None if best is None else best_as_json(best), indent=1))
    if best is None:
        why, better = no_best_text(study, goal), better_line(study, goal)
        why = why[0].lower() + why[1:]
        raise _NothingFound(f"{why}\n{better}" if better else why)
    if not options.json:
        trial = best.median
        say(f"{standing_line(best, goal)}  (trial {trial.number}, {goal})")
        for name, value in trial.params.items():
            say(f"  {name} = {json.dumps(value, ensure_ascii=False)}")
        others = {k: number(v) for k, v in trial.metrics.items() if k not in goal.metrics}
        found = [f"{shown(k)} {shown(v)}" for k, v in (others | other_results(trial)).items()]
        if found:
            say(f"  also: {', '.join(found)}")
        say(f"  files: {trial.folder.work}")
        if better := better_line(study, goal):
            say(better)
    return 0


class _NothingFound(DsiceError):
    """There is no best trial (yet)."""


def _report(options: argparse.Namespace) -> int:
    from dsice.exchange.output import put
    from dsice.files import is_open_file
    from dsice.report import write_report
    from dsice.report.html import report
    from dsice.study.state import Study

    study = Study.open(options.directory)
    if str(options.out) == "-":
        put("-", report(study))
        return 0
    if options.out is not None and options.out.is_dir():
        raise InvalidInput(f"cannot write {options.out}: it is a folder; name a file")
    path = write_report(study, options.out)
    say(f"Report: {path}", to=sys.stderr if is_open_file(path) else sys.stdout)
    return 0


def _init(options: argparse.Namespace) -> int:
    from importlib.resources import files

    text = files("dsice").joinpath("study", "template.toml").read_text(encoding="utf-8")
    if str(options.file) == "-":
        say(text.removesuffix("\n"))
        return 0
    try:
        with options.file.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InvalidInput(f"{options.file} exists already; it is left as it is") from None
    except OSError as error:
        raise InvalidInput(f"cannot write {options.file}: {error.strerror}") from None
    say(f"Wrote {options.file}. Edit it, then: dsice run {shlex.quote(str(options.file))}")
    return 0


def _schema(options: argparse.Namespace) -> int:
    from dsice.study.schema import schema

    say(json.dumps(schema(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
