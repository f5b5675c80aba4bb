"""``dsice import``: reads results of other programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dsice.commands.arguments import Subparsers
from dsice.errors import InvalidInput
from dsice.text import one_line, say

if TYPE_CHECKING:
    from dsice.exchange.match import Matched
    from dsice.study.config import StudyConfig


_ABOUT: Final = """\
Make results from elsewhere known to a study. Its search learns from them and does not measure their
points again; they are no trials and use no budget. Give the same command as often as you like: what
is known already is not added again.

  dsice import study.toml results.csv                 columns: parameters and metrics
  dsice import study.toml results.jsonl               the same as JSON
  dsice import study.toml sqlite:///old.db            a study of Optuna
  dsice import study.toml cache.json.gz --metric seconds=time/1000    Kernel Tuner's results
  dsice import study.toml runs/old                    another study of dsice
  dsice import runs/demo more.csv                     a study that has begun

A row without any metric of the goal is one that failed. What is called otherwise there is given by
--metric OURS=THEIRS and --param OURS=THEIRS, also as an expression or a constant.
"""


def add(commands: Subparsers) -> None:
    """Add ``dsice import``."""
    parser = commands.add_parser(
        "import",
        help="make results from elsewhere known to a study",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("study", type=Path, metavar="STUDY", help="study file, or its directory")
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a file (- for standard input), a storage of Optuna, or another study's directory",
    )
    parser.add_argument(
        "--in", dest="directory", type=Path, metavar="DIR", help="the study's directory (runs/NAME)"
    )
    parser.add_argument(
        "--format",
        choices=["csv", "json", "parquet", "optuna", "kernel-tuner", "dsice"],
        help="of SOURCE, if its name does not tell",
    )
    parser.add_argument(
        "--study", dest="name", metavar="NAME", help="which study of an Optuna storage"
    )
    for kind, example in (("metric", "seconds=time/1000"), ("param", "tile=block_size_x")):
        parser.add_argument(
            f"--{kind}",
            action="append",
            default=[],
            metavar="OURS=THEIRS",
            help=f"where a {kind} is called otherwise: {example}; may be repeated",
        )
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="NAME",
        help="a column or parameter there that does not matter here; may be repeated",
    )
    parser.add_argument(
        "--nearest",
        action="store_true",
        help="numbers between two levels count as the nearer one; otherwise such rows are left out",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be added")
    parser.set_defaults(command=_import)


def _import(options: argparse.Namespace) -> int:
    from dsice.exchange.formats import READERS, guess
    from dsice.exchange.match import match
    from dsice.exchange.text_file import STANDARD
    from dsice.exchange.wishes import Wishes
    from dsice.study.known import add_known, unknown
    from dsice.study.state import Study
    from dsice.study.summary import known_line

    wishes = Wishes(
        _pairs("--metric", options.metric),
        _pairs("--param", options.param),
        frozenset(options.ignore),
        options.nearest,
    )
    config, directory = _study(options)
    source = READERS[options.format or guess(options.source)](options.source, config, options.name)
    if options.source == STANDARD:
        source = replace(source, what="standard input")
    found = match(source, config.grid, config.goal, wishes)
    if options.dry_run:
        begun = (directory / "journal.jsonl").is_file()
        new = unknown(Study.open(directory), found.results) if begun else list(found.results)
        _say(source.what, found, len(new), would="would be ")
        return 0
    if not found.results:
        _say(source.what, found, 0)
        return 1
    new = add_known(config, directory, found.results, source.what)
    _say(source.what, found, len(new))
    line = known_line(Study.open(directory))
    say(f"{line} In {directory}." if line else f"{directory} has them as its own trials.")
    return 0


def _study(options: argparse.Namespace) -> tuple[StudyConfig, Path]:
    from dsice.study.directory import StudyDirectory
    from dsice.study.frozen import load_for, load_frozen

    given: Path = options.study
    if not given.is_dir():
        return load_for(given, options.directory)
    if options.directory is not None:
        raise InvalidInput(f"--in {options.directory}: {given} is a directory already")
    place = StudyDirectory.at(given)
    place.require_study()
    return load_frozen(place), given


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        ours, sign, theirs = (part.strip() for part in text.partition("="))
        if not (ours and sign and theirs):
            raise InvalidInput(f"{option} {text}: write OURS=THEIRS, such as seconds=time")
        if ours in pairs:
            raise InvalidInput(f"{option} {text}: {ours!r} is given twice")
        pairs[ours] = theirs
    return pairs


def _say(what: str, found: Matched, new: int, would: str = "") -> None:
    from dsice.exchange.wishes import listed
    from dsice.units import count

    total = len(found.results)
    failed = sum(result.metrics is None for result in found.results)
    say(
        f"{what}: {count(total, 'result')}, {failed:,} of them failures; "
        f"{new:,} {would}new, {total - new:,} known before."
    )
    for reason, (rows, example) in found.left_out.items():
        say(one_line(f"  {rows} left out: {reason} (the first: {example})"))
    if found.others:
        say(one_line(f"  Other columns, kept as metrics: {listed(found.others)}"))
        say("  (if one is a parameter, add it to the grid; --ignore NAME leaves one out)")
