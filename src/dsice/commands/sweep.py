"""``dsice sweep``: finds the best trials over a range of bounds."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Final

from dsice.commands.arguments import Subparsers, add_directory, duration
from dsice.errors import DsiceError, Interrupted, InvalidInput, OutOfTime
from dsice.launch.names import ALLOCATION, NAMES, SLURM
from dsice.text import say
from dsice.units import number, setting

if TYPE_CHECKING:
    from dsice.study.state import Study
    from dsice.sweep.answer import Answer
    from dsice.swept import Swept

# The rest is imported when the command runs, to keep --help fast.

_ABOUT: Final = """\
The best objective at every bound of a range, from one history, and where it is thin: what one more
trial may be expected to gain at each bound. Nothing is run and nothing is written.

  dsice sweep runs/NAME --bound rmse 11.0:16.0
  dsice sweep runs/NAME --bound rmse                from one end of the front to the other
  dsice sweep runs/NAME --bound 'psnr >= 25:30' --at 26,28

With --trials N, N more trials are measured in the same directory, each where most is to be gained
on average over all bounds of the range; every result serves all of them. After Ctrl-C or a kill the
same command goes on, and measures N in all; once they are measured, it measures N more.

  dsice sweep runs/NAME --bound rmse 11.0:16.0 --trials 50
"""


def add(commands: Subparsers) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser(
        "sweep",
        help="the best at every bound of a range, and where more is to be found",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_directory(parser)
    parser.add_argument(
        "--bound",
        nargs="+",
        required=True,
        metavar=("METRIC", "LOW:HIGH"),
        help="the bounded metric and the range of its limits; negative ones in quotes, 'z -5:-1'",
    )
    parser.add_argument(
        "--at", type=_limits, default=(), metavar="LIMIT,...", help="answer these limits instead"
    )
    parser.add_argument("--trials", type=int, metavar="N", help="measure so many more")
    parser.add_argument("--parallel", type=int, metavar="N", help="trials at once")
    parser.add_argument(
        "--on", choices=NAMES, metavar="WHERE", help="where they run, see 'dsice run'"
    )
    parser.add_argument("--stop-after", type=duration, metavar="TIME", help="as with 'dsice run'")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(command=_sweep)


def _limits(text: str) -> tuple[float, ...]:
    try:
        limits = tuple(float(part) for part in text.split(","))
    except ValueError:
        limits = (float("nan"),)
    if not all(abs(limit) < float("inf") for limit in limits):
        raise argparse.ArgumentTypeError(f"{text!r}: numbers are needed, such as 11.5,12,13")
    return limits


def _sweep(options: argparse.Namespace) -> int:
    from dsice.study.further import range_of
    from dsice.study.state import Study

    for name in ("parallel", "on", "stop_after"):
        if options.trials is None and getattr(options, name) is not None:
            raise InvalidInput(f"--{name.replace('_', '-')} needs --trials: nothing is run without")
    study = Study.open(options.directory)
    swept = range_of(study, " ".join(options.bound))
    _require_inside(swept, options.at)
    answer = _answer(study, swept, options)
    if options.trials is not None:
        before = answer
        study = _measure(study, swept, options)
        answer = _answer(study, swept, options)
    _print(answer, options.json)
    if options.trials is not None and not options.json:
        gained = answer.hypervolume - _area(before, answer)
        say(f"These trials added {number(gained)} to the hypervolume.")
    return 0


def _area(before: Answer, after: Answer) -> float:
    """The hypervolume of ``before`` with the reference point of ``after``."""
    from dsice.front import hypervolume

    goal, swept = after.goal, after.swept
    sign = 1.0 if goal.maximize is None else -1.0
    assert swept.strictest is not None
    ends = (sign * after.reference[0], swept.sign * after.reference[1])
    strictest = swept.sign * swept.strictest
    rows = [goal.costs(trial.metrics) for trial in before.front]
    return hypervolume([(cost, max(value, strictest)) for cost, value in rows], ends)


def _require_inside(swept: Swept, limits: tuple[float, ...]) -> None:
    if swept.strictest is None or swept.loosest is None:
        return
    low, high = sorted((swept.strictest, swept.loosest))
    for limit in limits:
        if not low <= limit <= high:
            raise InvalidInput(f"--at {setting(limit)}: not within the range {swept}")


def _answer(study: Study, swept: Swept, options: argparse.Namespace) -> Answer:
    from dsice.sweep.answer import answer_of

    answer = answer_of(study, swept, options.at)
    if answer is None:
        values = [t.metrics[swept.metric] for t in study.finished if swept.metric in t.metrics]
        strictest = min(values, key=lambda value: swept.sign * value)
        others = len(study.goal.over(swept).bounds) > (swept.loosest is not None)
        raise _NothingFound(
            f"no trial keeps the bounds anywhere in {swept}: the strictest {swept.metric} measured "
            f"is {number(strictest)}" + (", and other bounds hold besides" if others else "")
        )
    return answer


class _NothingFound(DsiceError):
    """No trial satisfies any bound of the range."""


def _measure(study: Study, swept: Swept, options: argparse.Namespace) -> Study:
    from dsice.console import complain
    from dsice.hooks import Hooks
    from dsice.launch.make import make_launcher
    from dsice.study.config import with_budget
    from dsice.study.further import Further
    from dsice.study.run import Session, run_study
    from dsice.terminal import Terminal

    config = with_budget(
        study.config, on=options.on, parallel=options.parallel, trials=options.trials
    )
    launcher = make_launcher(config.run.on, config.run.settings, study.directory.batch)
    stop_after = options.stop_after
    if stop_after is None and config.run.on in (SLURM, ALLOCATION):
        from dsice.launch.slurm import own_time_left

        stop_after = own_time_left()
    try:
        with Hooks(config, study.directory.path, complain) as hooks, Terminal() as terminal:
            return run_study(
                config,
                study.directory.path,
                Session(
                    launcher,
                    on_change=hooks.beside(terminal.show),
                    on_stop=terminal.stopping,
                    stop_after=stop_after,
                    further=Further(swept, options.trials),
                ),
            )
    except (Interrupted, OutOfTime) as error:
        again = ["dsice", "sweep", str(options.directory), "--bound", *options.bound]
        for name in ("trials", "parallel", "on"):
            if (value := getattr(options, name)) is not None:
                again += [f"--{name}", str(value)]
        raise type(error)(f"{error}. Resume with: {shlex.join(again)}") from None


def _print(answer: Answer, as_json: bool) -> None:
    import json

    from dsice.console import answers
    from dsice.sweep.show import show

    if as_json:
        say(json.dumps(answer.as_json(), indent=1))
        return
    show(answer, answers())
