"""``dsice export``: writes results in the formats of other programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from dsice.commands.arguments import Subparsers, add_directory
from dsice.errors import InvalidInput
from dsice.text import say

_ABOUT: Final = """\
Write the trials of a study for other programs. It only reads DIR, also while the study runs.

  dsice export runs/demo --optuna sqlite:///demo.db   then: optuna-dashboard sqlite:///demo.db
  dsice export runs/demo --optuna demo.log            Optuna's journal instead of a database
  dsice export runs/demo --csv demo.csv --parquet demo.parquet --curves curves.csv

The same --optuna again brings an earlier export of DIR up to date. A study of that name which is no
export of DIR is left alone. Files of --csv, --curves and --parquet are replaced.
"""


def add(commands: Subparsers) -> None:
    """Add ``dsice export``."""
    parser = commands.add_parser(
        "export",
        help="write the trials for optuna-dashboard, as CSV or as Parquet",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_directory(parser)
    for kind, place, said in (
        ("optuna", "STORAGE", "a URL, a .db file or a journal file"),
        ("csv", "FILE", "a table, one line for each trial; - for standard output"),
        ("curves", "FILE", "what trials reported while they ran as CSV, one line for each value"),
        ("parquet", "FILE", "the same as Parquet"),
    ):
        parser.add_argument(
            f"--{kind}", action="append", default=[], metavar=place, help=f"{said}; may be repeated"
        )
    parser.add_argument("--name", help="of the study in STORAGE, instead of its own")
    parser.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> int:
    from dsice.exchange.formats import WRITERS
    from dsice.exchange.text_file import STANDARD
    from dsice.files import is_open_file
    from dsice.study.state import Study

    wanted = [(name, place) for name in WRITERS for place in getattr(options, name)]
    if not wanted:
        raise InvalidInput(
            "nothing to write: give --optuna STORAGE, --csv FILE, --curves FILE or --parquet FILE"
        )
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
        # Keep standard output clean for the program that reads it.
        say(f"Wrote {said}", to=sys.stderr if to_standard else sys.stdout)
    return 0
