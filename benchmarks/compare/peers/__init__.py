"""Tuners by name: ours, a plain local search, and those of other libraries."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.compare.peers.base import Peer, Task
from dsice.errors import InvalidInput
from dsice.search import SEARCHES

_NAME: Final = re.compile(r"([^\[\]]+)(?:\[(.*)\])?")


@dataclass(frozen=True)
class Kind:
    """What is known of a tuner before it is loaded.

    Attributes:
        module: in this package.
        maker: a class in that module.
        package: the distribution it comes with, empty for our own.
        options: given to the maker besides the task.
        told_budget: its behaviour depends on the budget, so each budget is a run of its own.
        sequential: it has one proposal at a time and is measured with one worker only.
        bounds: it takes bounds on metrics as such; others get a penalty.
        cheap: fit for the short form.
        needs: another distribution it cannot do without.
    """

    module: str
    maker: str
    package: str = ""
    options: Mapping[str, Any] | None = None
    told_budget: bool = False
    sequential: bool = False
    bounds: bool = False
    cheap: bool = True
    needs: str = ""


def _kernel_tuner(strategy: str, *, batches: bool = False) -> Kind:
    return Kind(
        "kernel_tuner_peer",
        "KernelTuner",
        "kernel_tuner",
        {"strategy": strategy},
        told_budget=True,
        sequential=not batches,
    )


def _optuna(sampler: str, *, cheap: bool = True) -> Kind:
    options = {"sampler": sampler}
    evolving = sampler == "cmaes"
    return Kind(
        "optuna_peer",
        "Optuna",
        "optuna",
        options,
        bounds=not evolving,
        cheap=cheap,
        needs="cmaes" if evolving else "",
    )


def _nevergrad(optimizer: str, *, cheap: bool = True) -> Kind:
    return Kind(
        "nevergrad_peer",
        "Nevergrad",
        "nevergrad",
        {"optimizer": optimizer},
        told_budget=True,
        bounds=True,
        cheap=cheap,
    )


def _syne_tune(scheduler: str, needs: str) -> Kind:
    options = {"scheduler": scheduler}
    return Kind("syne_tune_peer", "SyneTune", "syne-tune", options, cheap=False, needs=needs)


KINDS: Final[Mapping[str, Kind]] = {
    **{name: Kind("ours", "Ours", options={"name": name}, bounds=True) for name in SEARCHES},
    "local-search": Kind("local_search", "LocalSearch", bounds=True),
    "nevergrad-ngopt": _nevergrad("NGOpt", cheap=False),
    "nevergrad-portfolio": _nevergrad("PortfolioDiscreteOnePlusOne"),
    "opentuner": Kind("opentuner_peer", "OpenTuner", "opentuner", bounds=True),
    "optuna-cmaes": _optuna("cmaes"),
    "optuna-tpe": _optuna("tpe"),
    "optuna-gp": _optuna("gp", cheap=False),
    "smac": Kind("smac_peer", "Smac", "smac", told_budget=True, cheap=False),
    "botorch": Kind("botorch_peer", "BoTorch", "botorch", bounds=True, cheap=False),
    "ax": Kind("ax_peer", "Ax", "ax-platform", bounds=True, cheap=False),
    "deephyper": Kind("deephyper_peer", "DeepHyper", "deephyper", cheap=False),
    "syne-tune-botorch": _syne_tune("BOTorch", needs="botorch"),
    "syne-tune-cqr": _syne_tune("CQR", needs="huggingface_hub"),
    "kernel-tuner-ga": _kernel_tuner("genetic_algorithm", batches=True),
    "kernel-tuner-sa": _kernel_tuner("simulated_annealing"),
    "kernel-tuner-de": _kernel_tuner("diff_evo", batches=True),
    "kernel-tuner-ils": _kernel_tuner("greedy_ils"),
    "kernel-tuner-mls": _kernel_tuner("greedy_mls"),
    "kernel-tuner-bo": _kernel_tuner("bayes_opt"),
}


def split(names: str) -> list[str]:
    """Names between commas; ``name[option=value,option=value]`` is one name."""
    return [name.strip() for name in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", names) if name.strip()]


def kind(name: str) -> Kind:
    """The kind of ``name`` or ``name[option=value,...]``.

    Raises:
        InvalidInput: no such tuner, or options that cannot be read.
    """
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in KINDS:
        raise InvalidInput(f"no tuner is named {name!r}: accepted are {', '.join(KINDS)}")
    return KINDS[match[1]]


def options(name: str) -> dict[str, Any]:
    """What stands in the brackets of ``name[option=value,...]``, as Python values."""
    match = _NAME.fullmatch(name)
    given: dict[str, Any] = {}
    for part in (match[2] if match and match[2] else "").split(","):
        if part.strip():
            option, _, value = part.partition("=")
            try:
                given[option.strip()] = ast.literal_eval(value.strip())
            except (ValueError, SyntaxError):
                given[option.strip()] = value.strip()
    return given


def version(name: str) -> str | None:
    """The version of the library behind a tuner; ``own`` for ours; None if it is not installed."""
    chosen = kind(name)
    if not chosen.package:
        return "own"
    try:
        if chosen.needs:
            importlib.metadata.version(chosen.needs)
        return importlib.metadata.version(chosen.package)
    except importlib.metadata.PackageNotFoundError:
        return None


def make(name: str, task: Task) -> Peer:
    """A new tuner, ready to be asked."""
    chosen = kind(name)
    module = importlib.import_module(f"benchmarks.compare.peers.{chosen.module}")
    peer: Peer = getattr(module, chosen.maker)(task, **{**(chosen.options or {}), **options(name)})
    return peer
