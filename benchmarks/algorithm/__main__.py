"""Draw the pictures of docs/algorithm.md: ``python -m benchmarks.algorithm runs/demo``.

Three pictures of one study, each as SVG and PNG: `algorithm-line`, the model along one line when
a point on it was about to be proposed; `algorithm-walk`, all trials in the order of proposal;
`algorithm-effects`, what each axis does by itself. The study should have been run with ``search =
"dsice"``: how many of its trials today's search proposes alike is printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.algorithm.drawing import write
from benchmarks.algorithm.effects import effects_figure
from benchmarks.algorithm.line import line_figure
from benchmarks.algorithm.moment import replayed
from benchmarks.algorithm.steps import chosen_step, step_of
from benchmarks.algorithm.walk import walk_figure
from dsice.errors import InvalidInput
from dsice.study.state import Study


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path, help="directory of a study")
    parser.add_argument("--trial", type=int, help="on whose line to look (default: a telling one)")
    parser.add_argument(
        "--out", type=Path, default=Path("docs/images"), help="(default: docs/images)"
    )
    arguments = parser.parse_args()
    study = Study.open(arguments.study)
    print(f"today's search proposes {replayed(study)} of {len(study.trials)} trials alike")
    step = chosen_step(study)
    if arguments.trial is not None:
        step = step_of(study, study.trials[arguments.trial - 1])
    if step is None:
        raise InvalidInput("no trial to show: none is a step along an axis from the best point")
    print(f"the line is that of trial {step.trial.number}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    write(line_figure(step), arguments.out / "algorithm-line")
    write(walk_figure(study), arguments.out / "algorithm-walk")
    write(effects_figure(study), arguments.out / "algorithm-effects")


if __name__ == "__main__":
    main()
