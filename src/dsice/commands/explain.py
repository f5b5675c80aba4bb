"""``dsice explain``: explains a trial or a study."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dsice.commands.arguments import Subparsers, add_directory
from dsice.errors import InvalidInput
from dsice.text import say

if TYPE_CHECKING:
    from dsice.explain.effects import Effects
    from dsice.study.state import Study

# The rest is imported when the command runs, to keep --help fast.


def add(commands: Subparsers) -> None:
    """Add ``explain`` to the subparsers of the command line."""
    explain = commands.add_parser(
        "explain",
        help="why points were proposed, and what the parameters do",
        description="Without a trial: what kinds of points were proposed and which of them "
        "improved the best, how the best point walked over the grid, what each parameter does, "
        "which matter and which do not. With a trial: why it was proposed, on which line, what "
        "was expected there and how sure it was, and what came out.",
    )
    add_directory(explain, then="trial")
    explain.add_argument("trial", type=int, nargs="?", metavar="TRIAL", help="its number")
    explain.add_argument("--json", action="store_true", help="for programs")
    explain.set_defaults(command=_explain)


def _explain(options: argparse.Namespace) -> int:
    import json
    from dataclasses import asdict

    from dsice.console import answers
    from dsice.explain.related import relations_of
    from dsice.explain.show import show_story, show_trial
    from dsice.explain.trial import explanation_of
    from dsice.explain.walk import roles_of, walk_of
    from dsice.study.state import Study

    study = Study.open(options.directory)
    console = answers()
    if options.trial is not None:
        _require(study, options.trial)
        found = explanation_of(study, options.trial, walk_of(study))
        if options.json:
            say(json.dumps(asdict(found), indent=1))
        else:
            show_trial(console, found, study.goal)
        return 0
    if not study.trials:
        raise InvalidInput(f"{options.directory} has no trials yet: nothing to explain")
    walk = walk_of(study)
    roles, effects, relations = roles_of(study, walk), _effects(study), relations_of(study)
    if options.json:
        parts: dict[str, Sequence[Any]] = {"roles": roles, "walk": walk, "effects": effects}
        parts["sources"] = relations
        plain = {name: [asdict(each) for each in part] for name, part in parts.items()}
        say(json.dumps(plain, indent=1))
    else:
        show_story(console, study.goal, roles, walk, effects, relations)
    return 0


def _effects(study: Study) -> list[Effects]:
    from dsice.explain.effects import effects_of

    found = (effects_of(study, metric) for metric in study.goal.metrics)
    return [each for each in found if each is not None]


def _require(study: Study, number: int) -> None:
    trials = len(study.trials)
    if not 1 <= number <= trials:
        have = f"its trials are 1 to {trials}" if trials else "it has no trials yet"
        raise InvalidInput(f"{study.directory.path} has no trial {number}: {have}")
