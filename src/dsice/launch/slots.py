"""Slots: places for trials on this machine, each with a number and optionally GPUs and cores."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dsice.errors import InvalidInput
from dsice.launch.devices import VARIABLES, Devices, visible_devices

NUMBER: Final = "DSICE_SLOT"
"""The environment variable that tells a program its slot."""

_EXACT: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one trial.

    Attributes:
        number: counted from 0; None for a stage, which runs alone.
        devices: names of its GPUs.
        cores: that its program may use; empty: all of the driver's.
        env: the environment variables that select them for its program.
    """

    number: int | None
    devices: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """The number of the slot of a pending trial, if it has one, and its GPUs."""

    slot: int | None
    devices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Slots:
    """All places for trials.

    Attributes:
        all: in the order of their numbers.
        devices: names of all GPUs, which a stage may use.
        trials_per_device: how many trials may share a GPU.
        variables: the environment that gives a program some of these GPUs.
    """

    all: tuple[Slot, ...]
    devices: tuple[str, ...] = ()
    trials_per_device: int = 1
    variables: Callable[[tuple[str, ...]], Mapping[str, str]] = lambda names: {}

    @classmethod
    def plain(cls, count: int) -> Slots:
        """``count`` slots with numbers only."""
        return cls(tuple(Slot(number, env={NUMBER: str(number)}) for number in range(count)))

    def whole(self, gpus: int | None) -> Slot:
        """The slot of a stage, with all GPUs or the first ``gpus``."""
        names = self.devices[:gpus]
        return Slot(None, names, env=self.variables(names))

    def free(self, held: Iterable[Held]) -> list[Slot]:
        """The free slots, those with the least used GPUs first.

        Trials of an earlier session may have had other slots on the same GPUs.
        """
        held = list(held)
        taken = {each.slot for each in held}
        use = Counter(device for each in held for device in each.devices)
        if not self.devices:
            return [slot for slot in self.all if slot.number not in taken]
        free = []
        left = [slot for slot in self.all if slot.number not in taken]
        while left:
            slot = min(left, key=lambda slot: sum(use[device] for device in slot.devices))
            left.remove(slot)
            if all(use[device] < self.trials_per_device for device in slot.devices):
                use.update(slot.devices)
                free.append(slot)
        return free


def local_slots(
    parallel: int | None,
    gpus: int | str | Sequence[int | str] | None,
    gpus_per_trial: float | None,
    cores_per_trial: int | None,
    pinned: bool,
    devices: Devices | None = None,
    cores: Sequence[int] | None = None,
) -> Slots:
    """The slots of this machine.

    Args:
        parallel: maximum number of trials at once; None: as many as GPUs or cores allow.
        gpus: how many, or which, or ``"all"``; None: no GPUs for trials.
        gpus_per_trial: a whole number, or a fraction: 0.5 lets two trials share a GPU; None: 1.
        cores_per_trial: number of pinned cores; None: an equal share of all.
        pinned: whether each trial has its own cores.
        devices: the available GPUs; None: detect them.
        cores: the available cores; None: those of this process.

    Raises:
        InvalidInput: more is requested than available.
    """
    if gpus is None:
        used, per_device, places = Devices(()), 1, None
    else:
        devices = visible_devices() if devices is None else devices
        used = _asked_for(gpus, devices)
        per_device, places = _places(used.names, 1 if gpus_per_trial is None else gpus_per_trial)
    available = (_own_cores() if cores is None else list(cores)) if pinned else []
    count = len(places) if places is not None else parallel
    if count is None:
        count = len(available) // (cores_per_trial or 1) if pinned else 1
    if parallel is not None and parallel > count:
        raise InvalidInput(
            f"key 'run.parallel' = {parallel}: the GPUs have room for {count} trials at once; "
            "leave it out, or give fewer, or a smaller 'run.gpus_per_trial'"
        )
    count = count if parallel is None else parallel
    each = cores_per_trial or len(available) // max(count, 1)
    if pinned and (each == 0 or each * count > len(available)):
        raise InvalidInput(
            f"key 'run.cores' = 'pinned': {count} trials at once need {max(each, 1) * count} cores "
            f"and this process may use {len(available)}"
        )

    def variables(names: tuple[str, ...]) -> dict[str, str]:
        return {} if gpus is None else used.environment(names)

    slots = []
    for number in range(count):
        names = places[number] if places is not None else ()
        own = tuple(sorted(available[number * each : (number + 1) * each]))
        slots.append(Slot(number, names, own, {NUMBER: str(number), **variables(names)}))
    return Slots(tuple(slots), used.names, per_device, variables)


def _asked_for(gpus: int | str | Sequence[int | str], devices: Devices) -> Devices:
    """The requested ones of ``devices``."""
    there = devices.names
    if isinstance(gpus, int):
        if gpus > len(there):
            raise InvalidInput(f"key 'run.gpus' = {gpus}: {_there(devices)}")
        chosen = there[:gpus]
    elif gpus == "all":
        if not there:
            raise InvalidInput(f"key 'run.gpus' = 'all': {_there(devices)}")
        chosen = there
    else:
        found = []
        for name in map(str, [gpus] if isinstance(gpus, str) else gpus):
            device = devices.named(name)
            if device is None:
                raise InvalidInput(f"key 'run.gpus': no GPU {name!r}: {_there(devices)}")
            if device in found:
                raise InvalidInput(f"key 'run.gpus': {name!r} is there twice")
            found.append(device)
        chosen = tuple(found)
    return Devices(chosen, devices.variable, devices.others, devices.aliases)


def _there(devices: Devices) -> str:
    """The available GPUs, in words."""
    if set_by := next((name for name in VARIABLES if name in os.environ), ""):
        where = f"{set_by}={os.environ[set_by]!r}"
        return f"this process may use {len(devices.names)} ({where})"
    if not devices.names:
        return "no GPU is found on this machine, neither by nvidia-smi nor in /sys/class/kfd"
    return f"this machine has {len(devices.names)}: {', '.join(devices.names)}"


def _places(names: tuple[str, ...], per_trial: float) -> tuple[int, list[tuple[str, ...]]]:
    """How many trials may share a GPU, and the GPUs of each slot.

    If GPUs are shared, consecutive slots are on different GPUs.
    """
    if per_trial < 1:
        shared = int(1 / per_trial + _EXACT)
        return shared, [(name,) for _ in range(shared) for name in names]
    each = round(per_trial)
    if abs(per_trial - each) > _EXACT:
        raise InvalidInput(
            f"key 'run.gpus_per_trial' = {per_trial:g}: accepted are whole numbers and fractions "
            "below 1"
        )
    if each > len(names):
        raise InvalidInput(
            f"key 'run.gpus_per_trial' = {each}: there are {len(names)} to be given ('run.gpus')"
        )
    return 1, [names[first : first + each] for first in range(0, len(names) - each + 1, each)]


def places_on(gpus: int, per_trial: float) -> int:
    """How many trials fit ``gpus`` GPUs at once, see `local_slots`."""
    return len(_places(tuple(map(str, range(gpus))), per_trial)[1])


def _own_cores() -> list[int]:
    """The cores that this process may use, with the hardware threads of a core adjacent."""
    try:
        cores = os.sched_getaffinity(0)
    except AttributeError:  # not Linux
        raise InvalidInput("key 'run.cores' = 'pinned': this system cannot pin cores") from None
    return sorted(cores, key=_place)


def _place(core: int) -> tuple[int, int, int]:
    folder = Path(f"/sys/devices/system/cpu/cpu{core}/topology")
    try:
        package = int((folder / "physical_package_id").read_text())
        return package, int((folder / "core_id").read_text()), core
    except (OSError, ValueError):
        return 0, core, core
