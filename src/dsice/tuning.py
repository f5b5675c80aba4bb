"""Tuning a Python function: a study without a study file."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dsice.errors import GaveUp, Interrupted, InvalidInput
from dsice.goal import Goal
from dsice.grid import Grid
from dsice.launch.usage import BUILT_IN
from dsice.pace import require_quick
from dsice.search import DEFAULT_SEARCH

if TYPE_CHECKING:
    from dsice.notebook import ShownStudy
    from dsice.study.directory import StudyDirectory
    from dsice.study.facts import Trial
    from dsice.study.state import Study


Hook = Callable[[dict[str, Any]], object] | Sequence[str]
"""A function or a program that is told what becomes of a study."""


def tune(
    function: Callable[[dict[str, Any]], Mapping[str, float] | float],
    grid: Grid | Mapping[str, Any],
    goal: Goal | str,
    *,
    trials: int | None = None,
    parallel: int | None = None,
    gpus: int | str | Sequence[int | str] | None = None,
    gpus_per_trial: float | None = None,
    cores: Literal["pinned"] | None = None,
    directory: Path | str | None = None,
    search: str | Mapping[str, Any] = DEFAULT_SEARCH,
    seed: int = 0,
    first: Sequence[Mapping[str, Any]] = (),
    learn_from: Sequence[Path | str] | str = (),
    beliefs: Mapping[str, Sequence[float]] | None = None,
    hours: float | None = None,
    samples: int = 1,
    timeout: float | None = None,
    retries: int = 0,
    max_consecutive_failures: int = 5,
    threads: int = 1,
    progress: bool = True,
    callback: Callable[[Study, Trial], object] | None = None,
    on_best: Hook = (),
    on_end: Hook = (),
    on_trouble: Hook = (),
    reports: Mapping[str, Any] | None = None,
    changed: Literal["refuse", "accept"] = "refuse",
    isolate: bool = True,
) -> ShownStudy:
    """Find the best point of ``grid`` for a Python function.

    Each call runs in its own process, with a time limit and ``threads`` threads. For a function
    of milliseconds, ``isolate=False`` calls it in this process instead. Repeating the call on the
    same directory resumes the study, however it ended. Ctrl-C stops cleanly.

    Args:
        function: takes the params as a dict and returns a dict of metrics, or a number if the goal
            reads one metric only. It is pickled with cloudpickle, so lambdas and functions
            defined in a notebook work.
        grid: the points: a `dsice.Grid`, or a dict of the levels of each parameter, in the form of
            the table ``[grid]`` of a study file: ``{"tile": [8, 16, 32], "lr": {"geometric":
            [1e-4, 1e-1], "levels": 16}, "layout": {"choice": ["aos", "soa"]}}``.
        goal: what to optimise: a `dsice.Goal`, or the name of the metric to minimise.
        trials: maximum number of trials in all; None continues until the search has finished.
        parallel: maximum number of trials at once; by default 1, or as many as ``gpus`` allow.
        gpus: GPUs of this machine for the trials: how many, or which, or ``"all"``.
        gpus_per_trial: GPUs per trial, 1 by default; with 0.5 two trials share one.
        cores: ``"pinned"`` gives each trial its own cores.
        directory: of the study; created if missing. By default ``runs/`` and the function's name;
            for a lambda, which has none, a name derived from its code, the grid and the goal.
        search: name of the search, or a mapping of ``name`` and the search's options:
            ``{"name": "dsice", "tolerance": 0.01}``.
        seed: of the search.
        first: params that are known to work, measured before anything else. The first of them is
            the baseline, with which the best is compared.
        learn_from: results of related programs that the search learns from, read when the study
            begins: directories of studies, and files and storages that ``dsice import`` reads. Or
            ``"auto"``: earlier studies beside this one with the same function and parameters.
        beliefs: for parameters of a `dsice.Grid`, by name, how promising each level seems, as
            weights of all levels: they guide the first trials and fade with results. A dict of
            levels says it by ``weights`` or ``expect``.
        hours: maximum wall time in hours, in all, or None. Where no
            number of trials is given, the search chooses what promises most per expected second.
        samples: how many times each point is measured; each measurement is a trial.
        timeout: time limit of one call in seconds, or None.
        retries: how often a failed call is repeated.
        max_consecutive_failures: the study ends after so many calls in a row that fail quickly and
            in the same way. These failures are attributed to the function or the machine, and do
            not count. 0: never.
        threads: threads that numerical libraries may use in one call.
        progress: whether to show the progress: in a terminal, or in one output of a notebook.
        callback: called with the study and the trial whenever a trial has ended. If it raises
            StopIteration, the study ends when the running trials have; any other error ends it.
        on_best: is told when a trial is better than all before it: a function, or the argument list
            of a program as in a study file. A function is called with a dict of what ``dsice status
            --json`` says, with ``"event"``, ``"text"`` and the ``"trial"``; what it raises is shown
            and harms nothing.
        on_end: is told, in the same way but for the trial, when the call ends, and why.
        on_trouble: is told when something is in the way, such as calls that fail in the same way.
        reports: stops unpromising calls early, where the function calls `dsice.report`: the
            keys of the table ``[trial.progress]`` of a study file, ``{"step": "epoch", "full":
            40}``.
        changed: what to do if the directory holds results of another version of the function:
            ``"refuse"`` them, or ``"accept"`` them as results of this one. A version is identified
            by the code of the function and of the user's own functions, classes and modules that
            it uses, and by the plain values and arrays that it reads from outside, but not by
            comments, line numbers or file names. Installed packages and objects of their types
            count by name only.
        isolate: False calls the function in this process, one call at a time, with an overhead
            below a millisecond instead of tens of them. Then there is no time limit, no
            ``threads``, no output file per call, and no isolation: a call that crashes
            ends the study (the same call resumes it), and a call may see what an earlier one
            left behind. A crash of the whole machine may undo the last half second.

    Returns:
        The study: ``.best.params``, ``.best.metrics``, ``.trials``, ``.to_dataframe()``,
        ``.report()``; ``.best`` raises `dsice.NoResult` if there is none. Study and trials print as
        short tables, and have a display in notebooks.

    Raises:
        InvalidInput: an argument is invalid, or the results lack a metric of the goal.
        OtherStudy: the directory holds another study, or results of another version of the
            function.
        StudyLocked: another driver is using the directory.
        GaveUp: calls in a row failed in the same way; the message says how and what to do.
        Interrupted: Ctrl-C.
    """
    import cloudpickle

    # Imported here to keep `import dsice` fast.
    from dsice.console import complain
    from dsice.exchange.learning import sources_of
    from dsice.fingerprint import fingerprint
    from dsice.hooks import Hooks
    from dsice.launch.local import LocalLauncher
    from dsice.notebook import NotebookView, ShownStudy, in_notebook
    from dsice.study.call import LOADING
    from dsice.study.config import parse
    from dsice.study.directory import StudyDirectory
    from dsice.study.first import points_of
    from dsice.study.frozen import kept_levels
    from dsice.study.function import Function
    from dsice.study.generated import name_from, study_text, weights_of
    from dsice.study.run import Session, run_study
    from dsice.study.state import Study
    from dsice.terminal import Terminal

    if LOADING in os.environ:
        raise InvalidInput(
            "dsice.tune() is called while its function's module is imported: put the call under "
            "if __name__ == '__main__':"
        )
    notes: list[str] = []
    if isinstance(grid, Grid) and not isinstance(first, str):
        # The study file contains only levels: continuous ranges are resolved here.
        points = points_of(grid, first, tell=notes.append)
        first = [grid.params(point) for point in points]
    if not callable(function):
        raise InvalidInput(f"function must be callable, not {function!r}")
    _require_one_argument(function)
    if changed not in ("refuse", "accept"):
        raise InvalidInput(f"changed = {changed!r}: accepted are 'refuse' and 'accept'")
    if isinstance(goal, str):
        goal = Goal(minimize=goal)
    if not isinstance(goal, Goal):
        raise InvalidInput(f"goal = {goal!r}: a dsice.Goal, or the name of a metric, is needed")
    if not isolate:
        given = {"timeout": timeout, "gpus": gpus, "cores": cores}
        given["parallel"] = parallel if parallel != 1 else None
        for key, value in given.items():
            if value is not None:
                raise InvalidInput(f"{key} = {value!r}: not with isolate=False, in one process")
    hooks: dict[str, Hook] = {"on_best": on_best, "on_end": on_end, "on_trouble": on_trouble}
    for event, hook in hooks.items():
        if isinstance(hook, str) or not (callable(hook) or all(isinstance(w, str) for w in hook)):
            raise InvalidInput(
                f"{event} = {hook!r}: a function, or a list of a program and its arguments, is "
                "needed"
            )
    parts = fingerprint(function)
    called = getattr(function, "__name__", "<function>")
    if directory is None and not called.isidentifier():
        if not parts:
            raise InvalidInput(f"give a directory: {called} is no name to find its results by")
        whole = [parts, study_text(grid, goal, {}, {}, {})]
        digest = sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:8]
        called = f"{name_from(called)}-{digest}"
    place = StudyDirectory.at(directory or Path("runs") / called)
    learned: str | list[str]
    if isinstance(learn_from, str):
        learned = learn_from if learn_from == "auto" else [str(Path(learn_from).absolute())]
    else:
        learned = [
            str(each) if "://" in str(each) else str(Path(each).absolute()) for each in learn_from
        ]
    text = study_text(
        grid,
        goal,
        beliefs=weights_of(grid, beliefs or {}),
        top={
            "name": name_from(place.path.name),
            "search": search,
            "seed": seed,
            "first": [dict(each) for each in first] or None,
            "learn_from": learned or None,
        },
        trial={
            "timeout": timeout,
            "retries": retries,
            "threads": threads,
            "progress": None if reports is None else dict(reports),
        },
        run={
            "on": "local",
            "parallel": parallel,
            "gpus": list(gpus) if isinstance(gpus, tuple) else gpus,
            "gpus_per_trial": gpus_per_trial,
            "cores": cores,
            "trials": trials,
            "hours": hours,
            "samples": samples if samples != 1 else None,
            "max_consecutive_failures": max_consecutive_failures,
            **{event: list(hook) for event, hook in hooks.items() if hook and not callable(hook)},
        },
    )
    levels = kept_levels(text, place)
    config = replace(parse(text, place.path, "dsice.tune", levels), goal=goal)
    if isinstance(grid, Grid):
        config = replace(config, grid=grid)
    require_quick(config.grid)
    # Functions of the user's modules are pickled by name: its process needs the same search path.
    path = [entry or str(Path.cwd()) for entry in sys.path]
    try:
        returned = tuple(name for name in goal.metrics if name not in BUILT_IN)
        pickled = cloudpickle.dumps((path, returned, cloudpickle.dumps(function)))
    except Exception as error:  # whatever an object's own pickling raises
        if isolate:
            raise InvalidInput(f"the function cannot be pickled: {error}") from error
        pickled = b""  # never unpickled
    rule = config.grid.rule
    if parts and callable(rule):
        parts |= {f"rule's {part}": each for part, each in fingerprint(rule).items()}
    kept = Function(pickled, parts, accept_change=changed == "accept")
    if progress:
        for note in (*notes, *config.notes):
            complain(note)
    view = NotebookView() if progress and in_notebook() else Terminal(quiet=not progress)
    told = Told(callback, place)

    def look(study: Study) -> None:
        view.show(study)
        told.look(study)

    functions = {event: hook for event, hook in hooks.items() if callable(hook)}
    try:
        with Hooks(config, place.path, complain, functions=functions) as hooked, view:
            study = run_study(
                config,
                place.path,
                Session(
                    LocalLauncher(),
                    on_change=hooked.beside(look),
                    on_stop=view.stopping,
                    function=kept,
                    call=None if isolate else function,
                    sources=lambda: sources_of(config, place.path),
                ),
            )
    except GaveUp as error:
        raise GaveUp(f"{error}{_misread(function, config.grid.names)}") from None
    except Interrupted:
        if told.error is not None:
            raise told.error from None
        if not told.ended:
            raise
        study = Study.open(place.path)
    return ShownStudy.of(study)


def _require_one_argument(function: Callable[..., object]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have none
        return
    try:
        signature.bind({})
    except TypeError:
        called = getattr(function, "__name__", "the function")
        raise InvalidInput(
            f"{called}{signature} cannot be called with one argument: dsice calls it with the "
            "dict of all parameters. Wrap it: lambda params: f(**params)"
        ) from None


def _misread(function: Callable[..., object], names: Sequence[str]) -> str:
    """A line on a function that seems to expect one parameter's value; else nothing."""
    try:
        only = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ""
    if len(only) != 1 or only[0] not in names:
        return ""
    called = getattr(function, "__name__", "the function")
    return (
        f"\n  Is {only[0]!r} in {called}({only[0]}) meant to be that parameter's value? It is the "
        f"dict of all parameters: the value is {only[0]}[{only[0]!r}]."
    )


class Told:
    """Calls a callback for each trial that ends.

    Args:
        callback: see `tune`, or None.
        place: of the study.

    Attributes:
        ended: whether the callback wants the study to end.
        error: any other exception that it raised, or None.
    """

    def __init__(
        self, callback: Callable[[Study, Trial], object] | None, place: StudyDirectory
    ) -> None:
        from dsice.study.state import Study

        self.ended = False
        self.error: Exception | None = None
        self._callback = callback
        self._place = place
        before = Study.open(place.path).finished if callback and place.journal.exists() else []
        self._told = {(trial.number, len(trial.attempts)) for trial in before}

    def look(self, study: Study) -> None:
        """Call it for the trials that have ended since the last call."""
        from dsice.study.run import ask_to_stop
        from dsice.study.stop import Stop

        if self._callback is None or self.error is not None:
            return
        for trial in list(study.finished):
            key = (trial.number, len(trial.attempts))
            if key in self._told:
                continue
            self._told.add(key)
            try:
                self._callback(study, trial)
            except StopIteration:
                self.ended = True
                ask_to_stop(self._place, Stop.DRAIN)
            except Exception as error:  # the user's own
                self.error = error
                ask_to_stop(self._place, Stop.CANCEL)
                return


def load(directory: os.PathLike[str] | str) -> ShownStudy:
    """Load the study in ``directory``, of `tune` or ``dsice run``, in its current state, read-only.

    Raises:
        InvalidInput: there is no study, or its files are damaged.
    """
    from dsice.notebook import ShownStudy
    from dsice.study.state import Study

    return ShownStudy.of(Study.open(Path(directory)))
