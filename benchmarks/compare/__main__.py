"""Compare searches side by side: ``python -m benchmarks.compare``.

Every tuner gets the same problems, whose answers are all known, with workers that take jobs in
virtual time: a worker that becomes free is given the next point at once. Repeats of a measured
point are not charged, a point that the static rule excludes is free to test, a failed point costs a
job. Results are kept in OUT/results, one line a run: stopping loses nothing, and the same command
goes on. Tables are printed, and written to OUT with the pictures.

  auc      area under the regret over evaluations, as a share of what random search is expected to
           have (1 = random, 0 = perfect): the geometric mean over problems of the mean over seeds
  fin      the same for the regret after the last evaluation
  auc_t    the area over time, up to when never-idle workers would have finished
  busy     mean share of busy workers before the last submission
  repeats  share of proposals that were measured before or pending
  CPU      milliseconds that the tuner computes for each evaluation

Examples:
  python -m benchmarks.compare                                  some minutes, our own problems
  python -m benchmarks.compare --tables DIR --long              everything, for hours
  python -m benchmarks.compare --tuners dsice,random --seeds 10
  python -m benchmarks.compare --tuners "dsice-2024[batch=4],dsice-2024" --fresh dsice-2024
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from benchmarks.compare import peers
from benchmarks.compare.measure import Plan, measure
from benchmarks.compare.problems import Problem, load
from benchmarks.compare.publish import publish
from benchmarks.compare.report import Report
from benchmarks.compare.store import Store
from benchmarks.compare.synthetic import synthetic
from dsice.errors import InvalidInput

BUDGETS: Final = {"short": "100", "long": "100,545"}
SEEDS: Final = {"short": 2, "long": 10}


def main() -> None:
    options = _options()
    try:
        problems = _problems(options)
        tuners = _tuners(options)
        plan = Plan(
            list(tuners),
            problems,
            _integers(options.workers),
            _integers(options.budgets or BUDGETS["long" if options.long else "short"]),
            options.seeds or SEEDS["long" if options.long else "short"],
        )
    except InvalidInput as error:
        sys.exit(f"error: {error}")
    digests = {problem.name: problem.digest for problem in problems}
    store = Store(options.out / "results", tuners, digests)
    for tuner in peers.split(options.fresh):
        store.forget(tuner)
    problems_missed = {} if options.report else _measure(plan, store)
    report = Report(plan, store, options.reference)
    print(report.text())
    for tuner, reasons in problems_missed.items():
        print(f"{tuner}: {reasons}")
    report.write(options.out)
    print(f"Tables and pictures are in {options.out}.")
    if options.publish:
        publish(report, options.publish)


def _measure(plan: Plan, store: Store) -> dict[str, str]:
    """Make the runs that are not stored yet; the reasons of those that could not be made."""
    by_name = {problem.name: problem for problem in plan.problems}
    todo = [key for key in plan if key not in store]
    missed: dict[tuple[str, str], str] = {}
    for number, key in enumerate(todo, 1):
        if (key.tuner, key.problem) in missed:
            continue
        began = time.monotonic()
        run = measure(key, by_name[key.problem])
        if isinstance(run, str):
            missed[key.tuner, key.problem] = run
            said = run
        else:
            store.add(key, run)
            said = f"{time.monotonic() - began:.1f} s"
        print(
            f"{number}/{len(todo)} {key.tuner} on {key.problem}, {key.workers} workers, "
            f"{key.budget} evaluations, seed {key.seed}: {said}",
            file=sys.stderr,
            flush=True,
        )
    return {tuner: f"not on {problem}: {said}" for (tuner, problem), said in missed.items()}


def _problems(options: argparse.Namespace) -> list[Problem]:
    found = load(options.tables) if options.tables else synthetic()
    if not found:
        raise InvalidInput(f"{options.tables} holds no .npz tables")
    patterns = options.problems.split(",")
    chosen = [p for p in found if any(fnmatch(p.name, pattern) for pattern in patterns)]
    if options.bounds != "both":
        chosen = [p for p in chosen if p.constrained == (options.bounds == "with")]
    if not chosen:
        raise InvalidInput(f"no problem matches: there are {', '.join(p.name for p in found)}")
    return chosen


def _tuners(options: argparse.Namespace) -> dict[str, str]:
    """The versions of the tuners that are installed, by name; says which are not."""
    named = peers.split(options.tuners)
    if not named:
        named = [name for name, kind in peers.KINDS.items() if kind.cheap or options.long]
    versions = {name: peers.version(name) for name in named}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        print(f"Not installed: {', '.join(missing)} (pip install '.[benchmark]').", file=sys.stderr)
    return {name: version for name, version in versions.items() if version is not None}


def _integers(text: str) -> list[int]:
    try:
        return sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise InvalidInput(f"{text!r}: integers between commas are needed") from None


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--tables", type=Path, metavar="DIR", help="problems as .npz tables; default: our own")
    add("--problems", default="*", help="patterns of their names, between commas: 'hpo_*,syn_*'")
    add("--bounds", choices=["both", "with", "without"], default="both", help="which of them")
    add("--tuners", default="", help=f"between commas; of {', '.join(peers.KINDS)}")
    add("--workers", default="1,40", help="numbers of simultaneous jobs (1,40)")
    add("--budgets", default="", help="numbers of evaluations (100; with --long 100,545)")
    add("--seeds", type=int, help="runs of each (2; with --long 10)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--short", action="store_true", help="cheap tuners, few seeds: the default")
    size.add_argument("--long", action="store_true", help="all tuners, both budgets, many seeds")
    add("--fresh", default="", metavar="TUNERS", help="forget the stored runs of these")
    add("--report", action="store_true", help="measure nothing: report what is stored")
    add("--reference", default="dsice", help="the tuner that others are compared with (dsice)")
    add("--out", type=Path, default=Path("runs/benchmarks"), help="default: runs/benchmarks")
    add("--publish", type=Path, metavar="PAGE", help="put tables and pictures into this page too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
