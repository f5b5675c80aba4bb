"""Energy used by a machine, from the counters of RAPL (processors) and NVML (NVIDIA's devices).

The counters cover whole packages and devices, including other programs that run there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

_POWERCAP: Final = Path("/sys/class/powercap")

NOT_OFFERED: Final = (
    "no energy counter can be read here: neither /sys/class/powercap/intel-rapl:*/energy_uj (which "
    "most systems let root alone read) nor one of NVIDIA's by NVML (pip install 'dsice[energy]')"
)


class Rapl:
    """The energy counter of one processor package, or of its memory.

    It wraps around every few minutes to hours, so `joules` must be called more often.

    Args:
        zone: its folder under /sys/class/powercap.

    Raises:
        OSError: it cannot be read.
        ValueError: its files do not hold numbers as expected.
    """

    def __init__(self, zone: Path) -> None:
        self._file = zone / "energy_uj"
        self._range = int((zone / "max_energy_range_uj").read_text())
        self._last = self._count()
        self._total = 0

    def joules(self) -> float:
        """Energy since the creation of this object, in joules."""
        count = self._count()
        self._total += (count - self._last) % (self._range + 1)
        self._last = count
        return self._total / 1e6

    def _count(self) -> int:
        return int(self._file.read_text())


class EnergyMeter:
    """Measures the energy that this machine uses from its creation on.

    Args:
        environment: of the program, which may select its visible devices.
        powercap: the folder of the processors' counters.

    Attributes:
        offered: whether there is any counter.
    """

    def __init__(
        self, environment: Mapping[str, str] = os.environ, powercap: Path = _POWERCAP
    ) -> None:
        self._counters: list[Callable[[], float]] = []
        for zone in sorted(powercap.glob("intel-rapl:*")):
            with suppress(OSError, ValueError):
                if _counts_apart((zone / "name").read_text().strip()):
                    self._counters.append(Rapl(zone).joules)
        self._counters += _devices(environment.get("CUDA_VISIBLE_DEVICES"))
        self.offered: Final = bool(self._counters)
        self._joules = 0.0

    def look(self) -> None:
        """Read the counters; call at least once a minute, as some wrap around."""
        with suppress(OSError, ValueError):
            self._joules = sum(joules() for joules in self._counters)

    def joules(self) -> float | None:
        """Energy since the creation of this object, in joules; None without any counter."""
        self.look()
        return self._joules if self.offered else None


def _counts_apart(name: str) -> bool:
    """Whether a zone is not part of another: ``core`` and ``uncore`` belong to their package."""
    return name.startswith("package") or name == "dram"


def _devices(visible: str | None) -> list[Callable[[], float]]:
    """A counter for each NVIDIA device that is visible to the program."""
    try:
        import pynvml
    except ImportError:
        return []
    counters = []
    try:
        pynvml.nvmlInit()
        for handle in _visible(pynvml, visible):
            counters.append(_device(pynvml, handle))
    except pynvml.NVMLError:  # no driver, or a device without a counter
        return counters
    return counters


def _visible(nvml: Any, wanted: str | None) -> list[Any]:
    if wanted is None:
        return [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    return [
        nvml.nvmlDeviceGetHandleByIndex(int(name))
        if name.isdecimal()
        else nvml.nvmlDeviceGetHandleByUUID(name)
        for name in names
        if name.isdecimal() or name.startswith(("GPU-", "MIG-"))
    ]


def _device(nvml: Any, handle: Any) -> Callable[[], float]:
    begin: int = nvml.nvmlDeviceGetTotalEnergyConsumption(handle)

    def joules() -> float:
        try:
            used: int = nvml.nvmlDeviceGetTotalEnergyConsumption(handle) - begin
        except nvml.NVMLError as error:
            raise OSError(str(error)) from None
        return used / 1000

    return joules
