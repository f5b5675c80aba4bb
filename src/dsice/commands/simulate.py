"""``dsice simulate``: plays a study in virtual time."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dsice.commands.arguments import Subparsers, duration
from dsice.errors import InvalidInput
from dsice.text import say

if TYPE_CHECKING:
    from dsice.simulate.campaign import Campaign
    from dsice.simulate.source import Source
    from dsice.simulate.world import Lasting
    from dsice.study.config import StudyConfig
    from dsice.study.state import Study

SLOTS: Final = (1, 10, 20, 40, 80)

_ABOUT: Final = """\
Play a study in virtual time: how long it takes with so many slots, what the best is expected to be,
and where more slots stop paying. Nothing is started and nothing is written.

What a trial would give is taken from
  the study's own results     runs/NAME, or another history with --history DIR
  a table of results          --table FILE.csv: columns of parameters, metrics, and 'seconds'
  neither                     --duration "9 h" answers what concerns time only
With --duration besides a history or a table, trials take that long instead of what was measured.
If the file has learn_from, the study is also played without, and the curves of both are compared.

  dsice simulate study.toml --parallel 40
  dsice simulate study.toml --parallel 10,20,40 --trials 545 --duration "9 h" --spread 0.3
"""


def add(commands: Subparsers) -> None:
    """Add the command; ``duration`` reads "9 h" from an argument."""
    parser = commands.add_parser(
        "simulate",
        help="play a study in virtual time: how long, how good, how many slots",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("study", type=Path, metavar="STUDY.toml", help="the study file")
    parser.add_argument(
        "--parallel",
        type=_slots,
        metavar="N,N,...",
        help="numbers of slots (1,10,20,40,80 and what the file says); a single N also plays 1, "
        "N/4, N/2 and 2N",
    )
    parser.add_argument("--trials", type=int, metavar="N", help="instead of the file's")
    parser.add_argument("--hours", type=float, metavar="H", help="instead of the file's")
    parser.add_argument(
        "--job-hours", type=float, metavar="H", help="machine time, instead of the file's"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--history", type=Path, metavar="DIR", help="a study whose results are taken (runs/NAME)"
    )
    source.add_argument("--table", type=Path, metavar="FILE", help="results as CSV")
    parser.add_argument("--duration", type=duration, metavar="TIME", help="of one trial: '9 h'")
    parser.add_argument(
        "--spread",
        type=float,
        metavar="S",
        help="of --duration: standard deviation of the logarithm (0: all the same; 0.3: two thirds "
        "of them within 30 %% or so)",
    )
    parser.add_argument(
        "--queue",
        type=duration,
        default=0.0,
        metavar="TIME",
        help="what each job waits before it begins",
    )
    parser.add_argument(
        "--repetitions", type=_positive, default=5, metavar="N", help="worlds to play (5)"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(command=_simulate)


def _slots(text: str) -> tuple[int, ...]:
    numbers = sorted({_positive(part) for part in text.split(",")})
    if len(numbers) > 1:
        return tuple(numbers)
    one = numbers[0]
    return tuple(sorted({1, max(1, one // 4), max(1, one // 2), one, 2 * one}))


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 100000")
    return number


def _simulate(options: argparse.Namespace) -> int:
    from dsice.console import answers
    from dsice.simulate.answer import Answer, compared
    from dsice.simulate.campaign import Played, play_all
    from dsice.simulate.learning import Gain, sources_for
    from dsice.simulate.show import Counter, show, show_gain
    from dsice.study.config import with_budget
    from dsice.study.frozen import load_study_file
    from dsice.study.learned import line
    from dsice.study.places import slots_of
    from dsice.units import duration as text

    given = {key: getattr(options, key) for key in ("trials", "hours", "job_hours")}
    config = with_budget(load_study_file(options.study), **given)
    own = slots_of(config)
    slots: Sequence[int] = options.parallel or sorted({*SLOTS, *([own] if own else [])})
    source = _source(config, options)
    judged = source.goal is not None
    sources = sources_for(config, Path("runs") / config.name) if judged else ()
    campaign = source.campaign(config, options.queue, sources=sources)
    quick = None if judged else 1  # starting processes would cost more than the plays

    def plays(of: Campaign, slots: Sequence[int]) -> list[Played]:
        with Counter() as counter:
            return play_all(of, slots, options.repetitions, counter, quick)

    played = plays(campaign, slots)
    answer = Answer.of(campaign, played, judged=judged)
    whole = None
    if source.reports:
        plain = source.campaign(config, options.queue, early=False, sources=sources)
        whole = Answer.of(plain, plays(plain, slots), judged=True)
    early = [] if whole is None else compared(answer, whole)
    gain = None
    if source.goal is not None and sources:
        most = own if own is not None and own in slots else slots[-1]
        alone = plays(source.campaign(config, options.queue), [most])
        gain = Gain.of(source.goal, most, played, alone)
    if options.json:
        found = answer.as_json() | {"worlds": list(source.words)}
        if whole is not None:
            found |= {"ending_early": early, "to_their_ends": whole.as_json()}
        if gain is not None:
            found |= {"learned_from": [each.name for each in sources], "learning": gain.as_json()}
        say(json.dumps(found, indent=1))
        return 0
    console = answers()
    console.print(f"{config.name}: {config.goal if source.goal is None else source.goal}")
    waits = [f"Each job waits {text(options.queue)} before it begins."] if options.queue else []
    learns = [line(sources)] if sources else []
    show(answer, [*source.words, *waits, *learns], console)
    for sentence in early:
        console.print(sentence)
    if gain is not None:
        show_gain(gain, console)
    return 0


def _source(config: StudyConfig, options: argparse.Namespace) -> Source:
    """The source of the worlds.

    Raises:
        InvalidInput: no results are known, or the given ones do not fit.
    """
    from dsice.simulate.source import from_history, from_table, timed

    lasting = _lasting(options)
    own = Path("runs") / config.name
    if options.table is not None:
        return from_table(config, options.table, _study(own), lasting)
    if options.history is not None:
        from dsice.study.state import Study

        return from_history(config, Study.open(options.history), lasting)
    study = _study(own)
    if study is not None and study.finished:
        return from_history(config, study, lasting)
    if lasting is None:
        raise InvalidInput(
            f"nothing is known of the trials: {own} holds no results. Give --history DIR, "
            "--table FILE.csv or --duration TIME"
        )
    return timed(config, lasting)


def _study(directory: Path) -> Study | None:
    from dsice.study.directory import StudyDirectory
    from dsice.study.state import Study

    return Study.open(directory) if StudyDirectory.at(directory).journal.is_file() else None


def _lasting(options: argparse.Namespace) -> Lasting | None:
    from dsice.simulate.world import Lasting

    spread: float = options.spread or 0.0
    if options.duration is None:
        if options.spread is not None:
            raise InvalidInput("--spread needs --duration: it is the spread around that")
        return None
    if not 0 <= spread <= 3:
        raise InvalidInput(f"--spread {spread:g}: accepted are 0 to 3")
    return Lasting(options.duration, spread)
