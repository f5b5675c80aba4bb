"""Running the steps of a training run, with reports, validations and snapshots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import NoReturn, Protocol

import torch
from torch import nn

from superres.compute import Compute
from superres.discriminator import Discriminator
from superres.errors import Stopped
from superres.feeding import Fed, batches
from superres.model import Generator
from superres.monitor import Monitor, Progress, Report
from superres.patches import Patches
from superres.snapshots import Snapshots
from superres.updates import Terms

# Steps between two checks of the losses on a GPU, which require synchronisation.
_LOOK_EVERY = 25


def _no_progress(report: Report) -> None:
    pass


def _no_warning(line: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Conditions:
    """The environment of a training run, which except for `compute` does not influence its result.

    Attributes:
        compute: where and how networks are computed.
        progress: receives the reports.
        snapshots: where snapshots are saved; an existing one is continued.
        validate: computes metrics of the generator in its current state.
        validate_every: steps between two validations; not at the last step, whose generator the
            caller judges anyway.
        keep: called after every `keep_every` epochs with the number of epochs and the contents of a
            checkpoint, without history.
        keep_every: epochs; 0: never.
        stop: when it is set, a snapshot is saved and the training ends.
        warn: receives a line about a snapshot that could not be saved; the training continues.
    """

    compute: Compute = field(default_factory=Compute)
    progress: Progress = _no_progress
    snapshots: Snapshots | None = None
    validate: Callable[[Generator], Mapping[str, float]] | None = None
    validate_every: int = 0
    keep: Callable[[int, Generator, Discriminator], None] | None = None
    keep_every: int = 0
    stop: Event = field(default_factory=Event)
    warn: Callable[[str], None] = _no_warning


class Course(Protocol):
    """A training run as a sequence of steps, with its state."""

    @property
    def steps(self) -> int:
        """Number of steps."""

    @property
    def generator_steps(self) -> int:
        """Number of steps, from the first, in which the generator learns."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The networks that are trained."""

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Their optimisers."""

    @property
    def scalers(self) -> Mapping[str, torch.amp.GradScaler]:
        """The scalers of their losses."""

    @property
    def result(self) -> Generator:
        """The generator in its current state."""

    def __call__(self, step: int, batch: Fed) -> Terms:
        """Run `step`, counted from 1."""


def run(course: Course, patches: Patches, conditions: Conditions) -> Monitor:
    """Run all steps of `course`, resuming from the snapshot if there is one.

    Raises:
        Diverged: the training diverged.
        Stopped: it was asked to stop.
        UserError: the snapshot belongs to another training, the GPU's memory does not suffice, or
            nothing can be compiled here.
    """
    compute = conditions.compute
    look_every = _LOOK_EVERY if compute.on_gpu else 1
    monitor = Monitor(course.steps, patches.epochs_a_step, conditions.progress, look_every)
    compute.prepare()
    done = _restore(course, monitor, conditions)
    group = compute.group
    for step, batch in enumerate(batches(patches, done + 1, course.steps, compute), done + 1):
        with compute.explained():
            terms = course(step, batch)
        monitor.watch(step, group.averaged(terms))
        last = step == course.steps
        every = conditions.validate_every
        due = every and not last and step % every == 0
        if conditions.validate is not None and due and group.first:
            epoch = patches.epochs(step)
            monitor.add(validated(step, epoch, conditions.validate(course.result)))
        if group.first:
            _keep_epoch(step, course, patches, conditions)
        if last:
            break
        # Several processes must agree, which they do when the losses are checked.
        agreeing = group.size == 1 or step % look_every == 0
        if agreeing and group.any(conditions.stop.is_set(), compute.device):
            _stop(step, course, monitor, conditions)
        if group.first and conditions.snapshots is not None and conditions.snapshots.due:
            try:
                _save(step, course, monitor, conditions.snapshots)
            except OSError as error:
                conditions.warn(f"no snapshot after step {step}, training goes on: {error}")
    return monitor


def validated(step: int, epoch: int, metrics: Mapping[str, float]) -> Report:
    """The report of a validation."""
    return {
        "step": step,
        "epoch": epoch,
        **{f"val_{name}": value for name, value in metrics.items()},
    }


def _stop(step: int, course: Course, monitor: Monitor, conditions: Conditions) -> NoReturn:
    """Save a snapshot and end the training."""
    done = f"stopped after step {step} of {course.steps}"
    if conditions.snapshots is None or not conditions.compute.group.first:
        raise Stopped(done)
    try:
        _save(step, course, monitor, conditions.snapshots)
    except OSError as error:
        earlier = (
            "from an earlier one" if conditions.snapshots.path.is_file() else "from the beginning"
        )
        raise Stopped(
            f"{done}, which could not be saved ({error}); the same command goes on {earlier}"
        ) from error
    raise Stopped(f"{done}; the same command continues it")


def _keep_epoch(step: int, course: Course, patches: Patches, conditions: Conditions) -> None:
    """Call `keep` if the generator has just finished an epoch that should be kept."""
    every = conditions.keep_every
    if conditions.keep is None or every == 0 or step > course.generator_steps:
        return
    epoch = patches.epochs(step)
    if epoch // every == patches.epochs(step - 1) // every:
        return
    discriminator = course.modules["discriminator"]
    assert isinstance(discriminator, Discriminator)
    try:
        conditions.keep(epoch, course.result, discriminator)
    except OSError as error:
        conditions.warn(f"epoch {epoch} is not kept, training goes on: {error}")


def _save(step: int, course: Course, monitor: Monitor, snapshots: Snapshots) -> None:
    networks = {name: module.state_dict() for name, module in course.modules.items()}
    optimisers = {name: one.state_dict() for name, one in course.optimisers.items()}
    snapshots.save(
        {
            "step": step,
            "networks": networks,
            "optimisers": optimisers,
            "scalers": {name: one.state_dict() for name, one in course.scalers.items()},
            "monitor": monitor.state(),
        }
    )


def _restore(course: Course, monitor: Monitor, conditions: Conditions) -> int:
    """Restore the snapshot, if there is one.

    Returns:
        Number of completed steps.
    """
    snapshots = conditions.snapshots
    state = None if snapshots is None else snapshots.load(conditions.compute.device)
    if state is None:
        return 0
    for name, module in course.modules.items():
        module.load_state_dict(state["networks"][name])
    for name, optimiser in course.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    for name, scaler in course.scalers.items():
        scaler.load_state_dict(state["scalers"][name])
    monitor.restore(state["monitor"])
    step: int = state["step"]
    return step
