"""``dsice schema``: prints the JSON Schema of the study file."""

from __future__ import annotations

import argparse
import json

from dsice.commands.arguments import Subparsers
from dsice.text import say


def add(commands: Subparsers) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser(
        "schema",
        help="print the JSON Schema of study files, for editors",
        description="With 'dsice schema > study.schema.json', and '#:schema ./study.schema.json' "
        "as first line of a study file, editors that know TOML (Even Better TOML in VS Code, "
        "taplo elsewhere) complete its keys, explain them and mark mistakes.",
    )
    parser.set_defaults(command=_schema)


def _schema(options: argparse.Namespace) -> int:
    from dsice.study.schema import schema

    say(json.dumps(schema(), indent=2))
    return 0
