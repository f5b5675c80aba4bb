"""What a search that begins blindly can score at best: ``python -m benchmarks.blind --tables DIR``.

For each number of points that are chosen before anything is known, the `auc` of so many random
points (their expected regret) followed by the best point there is, as a share of that of random
search: the geometric mean over the tables, by group. With p workers the first p points are blind,
with one worker those before a search has enough results to be led by them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.compare.problems import Problem, load
from benchmarks.compare.scores import by_group, random_regret

BLIND: Final = (1, 3, 5, 8, 10, 12, 15, 20, 40)


def limits(problems: Sequence[Problem], budget: int) -> dict[int, dict[str, float]]:
    """By number of blind points, the least `auc` overall and of each group."""
    groups = {problem.name: problem.group for problem in problems}
    regrets = {problem.name: random_regret(problem, budget) for problem in problems}
    shares = {name: np.cumsum(regret) / regret.sum() for name, regret in regrets.items()}
    return {
        blind: by_group({name: float(share[blind - 1]) for name, share in shares.items()}, groups)
        for blind in BLIND
        if blind <= budget
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--tables", type=Path, action="append", required=True, help="may be given several times")
    add("--budget", type=int, default=100, help="evaluations (100)")
    options = parser.parse_args()
    found = [problem for directory in options.tables for problem in load(directory)]
    problems = [p for p in found if not p.constrained and p.group != "synthetic"]
    print(
        f"{len(problems)} tables, {options.budget} evaluations; auc of blind points, then the best"
    )
    for blind, means in limits(problems, options.budget).items():
        print(f"  {blind:3} blind: " + ", ".join(f"{name} {v:.3f}" for name, v in means.items()))


if __name__ == "__main__":
    main()
