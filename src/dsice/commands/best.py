"""``dsice best``: prints the best trial."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from dsice.commands.arguments import Subparsers, add_directory
from dsice.errors import DsiceError
from dsice.text import say


def add(commands: Subparsers) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser(
        "best",
        help="the best parameters so far",
        description="The best trial that keeps the bounds; with several objectives the front, all "
        "trials that no other beats in one without being worse in another. Other bounds may be "
        "asked for: all measurements are kept as they were, so the answer needs no new run.",
    )
    add_directory(parser)
    parser.add_argument(
        "--subject-to",
        action="append",
        metavar="BOUND",
        help="bounds instead of the study's, such as 'rmse <= 11.5'; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(command=_best)


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
    compared = None
    if options.subject_to is None and study.finalists:
        from dsice.incumbent import standings
        from dsice.study.finalists import Comparison

        compared = Comparison.of(study)
        if compared.best is not None:  # finalists at full length decide
            point = compared.best.trial.point
            alike = [t for t in study.measured_for(goal) if t.point == point]
            (best,) = standings(alike, goal)
    if options.json:
        facts = None if best is None else best_as_json(best)
        if facts is not None and compared is not None:
            facts["finalists"] = compared.as_json()
        say(json.dumps(facts, indent=1))
    if best is None:
        why, better = no_best_text(study, goal), better_line(study, goal)
        why = why[0].lower() + why[1:]
        raise _NothingFound(f"{why}\n{better}" if better else why)
    if not options.json:
        trial = best.counted
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
        for line in compared.lines(study.goal) if compared else ():
            say(line)
    return 0


class _NothingFound(DsiceError):
    """There is no best trial so far."""
