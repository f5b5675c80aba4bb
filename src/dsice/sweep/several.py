"""The front of a study with several objectives."""

from __future__ import annotations

import json

from rich import box
from rich.table import Table

from dsice.console import answers
from dsice.front import hypervolume
from dsice.goal import Goal
from dsice.incumbent import standings
from dsice.study.state import Study
from dsice.study.summary import metric_text, trial_as_json
from dsice.terminal import params_line
from dsice.text import say
from dsice.units import count, number


def reference_of(study: Study, goal: Goal) -> dict[str, float]:
    """The worst of each objective among the trials that keep the bounds."""
    points = [standing.counted.metrics for standing in standings(study.measured_for(goal), goal)]
    kept = [metrics for metrics in points if goal.feasible(metrics)]
    return {
        name: (max if sense == "minimize" else min)(metrics[name] for metrics in kept)
        for name, sense in goal.objectives
    }


def print_front(study: Study, goal: Goal, as_json: bool) -> None:
    """Print the trials of the front, and its hypervolume up to `reference_of`."""
    front = study.front_for(goal)
    reference = reference_of(study, goal)
    area = hypervolume([goal.costs(trial.metrics) for trial in front], goal.costs(reference))
    if as_json:
        trials = [trial_as_json(trial) for trial in front]
        say(json.dumps({"front": trials, "hypervolume": area, "reference": reference}, indent=1))
        return
    console = answers()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in (*goal.metrics, "trial"):
        table.add_column(name, justify="right")
    table.add_column("parameters")
    for trial in front:
        values = (metric_text(name, trial.metrics[name], goal) for name in goal.metrics)
        table.add_row(*values, str(trial.number), params_line(trial.params))
    console.print(f"{goal}: {count(len(front), 'trial')} that no other beats in all.")
    console.print(table)
    worst = ", ".join(f"{name} {number(value)}" for name, value in reference.items())
    console.print(f"Hypervolume {number(area)}, up to the worst that was measured: {worst}.")
