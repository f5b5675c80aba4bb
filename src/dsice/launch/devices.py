"""The GPUs that this process may use, and the environment variables that select them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

VARIABLES: Final = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
"""What NVIDIA's and AMD's libraries read, in the order in which the driver's own are looked at."""

_PATIENCE: Final = 60.0  # seconds: the first call may have to load the kernel's module
_GPU: Final = re.compile(r"^GPU (\d+):.*?(?:\(UUID: (\S+)\))?\s*$")
_MIG: Final = re.compile(r"^\s+MIG .*\(UUID: (\S+)\)\s*$")
_KFD: Final = Path("/sys/class/kfd/kfd/topology/nodes")


@dataclass(frozen=True, slots=True)
class Devices:
    """The GPUs of this machine that this process may use.

    Attributes:
        names: in the form of the variable: numbers, UUIDs or names of MIG instances.
        variable: the environment variable that selects a program's GPUs.
        others: further variables that must be set as well.
        aliases: other names of the same GPUs, such as UUIDs.
    """

    names: tuple[str, ...]
    variable: str = VARIABLES[0]
    others: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def named(self, name: str) -> str | None:
        """The GPU called ``name``, or None; UUIDs may be abbreviated if unambiguous."""
        if name in self.names:
            return name
        if name in self.aliases:
            return self.aliases[name]
        known = {**{each: each for each in self.names}, **self.aliases}
        begin = [known[each] for each in known if not name.isdigit() and each.startswith(name)]
        return begin[0] if len(set(begin)) == 1 else None

    def environment(self, names: tuple[str, ...]) -> dict[str, str]:
        """The environment variables that give a program these GPUs."""
        return {self.variable: ",".join(names), **self.others}


def visible_devices(environment: Mapping[str, str] = os.environ) -> Devices:
    """Find the GPUs that the libraries would use in ``environment``.

    A variable that is already set, for example by a batch system, decides; otherwise the
    vendors' tools are queried.
    """
    for variable in VARIABLES:
        if (text := environment.get(variable)) is not None:
            return Devices(_listed(text), variable)
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["nvidia-smi", "-L"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_PATIENCE,
            stdin=subprocess.DEVNULL,
        )
        return nvidia_devices(done.stdout, environment)
    count = sum(1 for node in _KFD.glob("*/properties") if _is_gpu(node))
    if count:
        # Common to HIP, OpenCL and OpenMP.
        return Devices(tuple(map(str, range(count))), VARIABLES[2])
    return Devices(())


def _listed(text: str) -> tuple[str, ...]:
    """The GPUs in the value of a variable; the list ends at the first invalid entry."""
    names: list[str] = []
    for name in map(str.strip, text.split(",")):
        if not re.fullmatch(r"\d+|(GPU|MIG)-\S+", name) or name in names:
            break
        names.append(name)
    return tuple(names)


def nvidia_devices(text: str, environment: Mapping[str, str]) -> Devices:
    """Parse the GPUs in the output of ``nvidia-smi -L``.

    A GPU that is split into MIG instances can only be used through these.
    """
    found: list[tuple[str, str, list[str]]] = []
    for line in text.splitlines():
        if gpu := _GPU.match(line):
            found.append((gpu[1], gpu[2] or "", []))
        elif found and (instance := _MIG.match(line)):
            found[-1][2].append(instance[1])
    names = [name for number, _, instances in found for name in instances or [number]]
    aliases = {uuid: number for number, uuid, instances in found if uuid and not instances}
    # By default CUDA numbers the fastest first, and nvidia-smi by bus position.
    order = {} if "CUDA_DEVICE_ORDER" in environment else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return Devices(tuple(names), VARIABLES[0], order, aliases)


def _is_gpu(properties: Path) -> bool:
    try:
        return bool(re.search(r"^simd_count [1-9]", properties.read_text(), re.MULTILINE))
    except OSError:
        return False
