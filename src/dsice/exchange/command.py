"""``dsice export`` and ``dsice import``: their arguments, and what they do with them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dsice.errors import InvalidInput
from dsice.text import one_line, say

if TYPE_CHECKING:
    from dsice.exchange.match import Matched
    from dsice.study.config import StudyConfig

_EXPORT: Final = """\
Write the trials of a study for other programs. It only reads DIR, also while the study runs.

  dsice export runs/demo --optuna sqlite:///demo.db   then: optuna-dashboard sqlite:///demo.db
  dsice export runs/demo --optuna demo.log            Optuna's journal instead of a database
  dsice export runs/demo --csv demo.csv --parquet demo.parquet

The same --optuna again brings an earlier export of DIR up to date. A study of that name which is no
export of DIR is left alone. Files of --csv and --parquet are replaced.
"""

_IMPORT: Final = """\
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


def add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``dsice export``."""
    parser = commands.add_parser(
        "export",
        help="write the trials for optuna-dashboard, as CSV or as Parquet",
        description=_EXPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", type=Path, metavar="DIR")
    for kind, place, said in (
        ("optuna", "STORAGE", "a URL, a .db file or a journal file"),
        ("csv", "FILE", "a table, one line for each trial; - for standard output"),
        ("parquet", "FILE", "the same as Parquet"),
    ):
        parser.add_argument(
            f"--{kind}", action="append", default=[], metavar=place, help=f"{said}; may be repeated"
        )
    parser.add_argument("--name", help="of the study in STORAGE, instead of its own")
    parser.set_defaults(command=_export)


def add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``dsice import``."""
    parser = commands.add_parser(
        "import",
        help="make results from elsewhere known to a study",
        description=_IMPORT,
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


def _export(options: argparse.Namespace) -> int:
    from dsice.exchange.formats import WRITERS
    from dsice.exchange.text_file import STANDARD
    from dsice.files import is_open_file
    from dsice.study.state import Study

    wanted = [(name, place) for name in WRITERS for place in getattr(options, name)]
    if not wanted:
        raise InvalidInput("nothing to write: give --optuna STORAGE, --csv FILE or --parquet FILE")
    places = [place for _, place in wanted]
    if twice := [place for place in places if places.count(place) > 1]:
        raise InvalidInput(f"{twice[0]} is named twice: each needs a place of its own")
    if STANDARD in options.optuna:
        raise InvalidInput("--optuna -: a storage cannot be standard output; name a file or a URL")
    to_standard = any(place == STANDARD or is_open_file(Path(place)) for place in places)
    study = Study.open(options.directory)
    for name, place in wanted:
        try:
            said = WRITERS[name](study, place, options.name)
        except BrokenPipeError:
            raise
        except OSError as error:
            where = "standard output" if place == STANDARD else place
            raise InvalidInput(f"cannot write {where}: {error.strerror}") from None
        # What reads standard output wants nothing else there.
        say(f"Wrote {said}", to=sys.stderr if to_standard else sys.stdout)
    return 0


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
    from dsice.study.frozen import load_frozen, load_study_file

    given: Path = options.study
    if not given.is_dir():
        config = load_study_file(given)
        return config, options.directory or Path("runs") / config.name
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

    count = len(found.results)
    failed = sum(result.metrics is None for result in found.results)
    say(
        f"{what}: {count} {'result' if count == 1 else 'results'}, {failed} of them failures; "
        f"{new} {would}new, {count - new} known before."
    )
    for reason, (rows, example) in found.left_out.items():
        say(one_line(f"  {rows} left out: {reason} (the first: {example})"))
    if found.others:
        say(one_line(f"  Other columns, kept as metrics: {listed(found.others)}"))
        say("  (if one is a parameter, add it to the grid; --ignore NAME leaves one out)")
