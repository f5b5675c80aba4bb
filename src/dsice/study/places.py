"""The slots of a study, as its file requests them."""

from __future__ import annotations

import os
from dataclasses import replace

from dsice.errors import InvalidInput
from dsice.launch.names import ALLOCATION, LOCAL
from dsice.launch.settings import AllocationSettings
from dsice.launch.slots import Slots, local_slots, places_on
from dsice.study.config import StudyConfig
from dsice.study.program_table import CommandConfig
from dsice.study.run_table import RunConfig

_OF_THIS_MACHINE = ("gpus", "gpus_per_trial", "cores")


def with_slots(config: StudyConfig) -> tuple[StudyConfig, Slots]:
    """The slots for the trials of a study, and ``config`` with that many trials at once.

    Raises:
        InvalidInput: it requests resources that do not exist, or that its launcher cannot provide.
    """
    run = config.run
    if run.per_job > 1 and run.batch is None:
        raise InvalidInput(
            f"key 'run.per_job' = {run.per_job}: it is about jobs of batch systems, and the trials "
            f"run on {run.on!r}, where each costs next to nothing"
        )
    if run.on != LOCAL:
        for key in _OF_THIS_MACHINE:
            if getattr(run, key) is not None:
                raise InvalidInput(
                    f"key 'run.{key}': it is about this machine, and the trials run on "
                    f"{run.on!r}: what a job gets is said in [run.{run.on}]"
                )
        if run.on == ALLOCATION:
            return _in_allocation(config)
        return config, Slots.plain(run.parallel)
    for name, stage in config.stages.items():
        _require_given(f"[stage.{name}]", stage, run)
    _require_given("[trial]", config.trial, run)
    own = config.trial.resources
    if own.gpus is not None and run.gpus_per_trial not in (None, own.gpus):
        raise InvalidInput(
            f"[trial] resources: gpus = {own.gpus}, and [run] gpus_per_trial = "
            f"{run.gpus_per_trial:g}: give one of them"
        )
    slots = local_slots(
        run.parallel if "parallel" in run.model_fields_set else None,
        run.gpus,
        own.gpus if own.gpus is not None else run.gpus_per_trial,
        own.cpus,
        run.cores == "pinned",
    )
    for name, stage in config.stages.items():
        if (stage.resources.gpus or 0) > len(slots.devices):
            raise InvalidInput(
                f"[stage.{name}] resources: gpus = {stage.resources.gpus}, and [run] gpus gives "
                f"{len(slots.devices)}"
            )
    run = run.model_copy(update={"parallel": len(slots.all)})
    return replace(config, run=run), slots


def slots_of(config: StudyConfig) -> int | None:
    """How many trials run at once, as far as it is known without its machine; None if it is not."""
    run = config.run
    if "parallel" in run.model_fields_set or (run.gpus is None and run.on != ALLOCATION):
        return run.parallel
    count = run.gpus if isinstance(run.gpus, int) else None
    count = len(run.gpus) if isinstance(run.gpus, list) else count
    if count is not None:
        each = config.trial.resources.gpus or run.gpus_per_trial or 1
        return places_on(count, each)
    try:
        return with_slots(config)[0].run.parallel
    except InvalidInput:
        return None


def _in_allocation(config: StudyConfig) -> tuple[StudyConfig, Slots]:
    from dsice.launch.allocation import own_allocation, places
    from dsice.launch.nodes import Nodes

    run = config.run
    nodes = Nodes.own()
    if nodes is None:
        own_allocation()
    settings = run.allocation or AllocationSettings()
    own = settings
    for where, program in {**config.stages, "": config.trial}.items():
        try:
            own = settings.of(program.resources.model_dump(exclude_none=True))
        except InvalidInput as error:
            raise InvalidInput(f"{f'[stage.{where}]' if where else '[trial]'}: {error}") from None
    parallel = run.parallel if "parallel" in run.model_fields_set else None
    if nodes is not None:
        slots = nodes.slots(own, parallel)
        run = run.model_copy(update={"parallel": len(slots.all)})
        return replace(config, run=run), slots
    if parallel is not None:
        return config, Slots.plain(parallel)
    room = places(own)  # of the trial, the last program
    if room is None:
        raise InvalidInput("key 'run.parallel' is needed: the allocation does not say its cores")
    if room < 1:
        raise InvalidInput("[run.allocation]: the allocation has no room for a single trial")
    run = run.model_copy(update={"parallel": room})
    return replace(config, run=run), Slots.plain(room)


def _require_given(where: str, program: CommandConfig, run: RunConfig) -> None:
    """Check that this machine can provide the resources of a program.

    Raises:
        InvalidInput: it cannot; requests are never ignored silently.
    """
    own = program.resources
    where = f"{where} resources:"
    if own.memory is not None or own.time is not None:
        key = "time" if own.memory is None else "memory"
        instead = " ('timeout' is the program's limit)" if own.memory is None else ""
        raise InvalidInput(
            f"{where} {key!r} is given by batch systems, and not by this machine{instead}"
        )
    if (own.nodes or 1) > 1:
        raise InvalidInput(f"{where} nodes = {own.nodes}, and this is one machine")
    if own.gpus and run.gpus is None:
        raise InvalidInput(
            f"{where} gpus = {own.gpus}: on this machine, say which there are: gpus = 4, or "
            "gpus = 'all', under [run]"
        )
    if own.gpus == 0 and run.gpus is not None and "[trial]" in where:
        raise InvalidInput(f"{where} gpus = 0, and [run] gpus gives each trial some")
    if own.cpus is None:
        return
    if "[trial]" in where and run.cores is None:
        raise InvalidInput(
            f"{where} cpus = {own.cpus}: on this machine, cores = 'pinned' under [run] gives each "
            "trial its own"
        )
    if own.cpus > (there := os.cpu_count() or 1):
        raise InvalidInput(f"{where} cpus = {own.cpus}, and this machine has {there}")
