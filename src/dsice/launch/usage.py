"""Built-in metrics, measured from outside the program: time, CPU time, memory, energy."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Collection, Mapping
from typing import Final

from dsice.launch.energy import NOT_OFFERED, EnergyMeter

BUILT_IN: Final[Mapping[str, str]] = {
    "$seconds": "wall time of the program, in seconds",
    "$cpu_seconds": "processor time of the program and of what it started, in seconds",
    "$memory": "peak resident memory of the largest of its processes, in MB (10^6 bytes)",
    "$joules": "energy of the processors, their memory and NVIDIA's devices meanwhile, in joules",
}
"""The built-in metrics, and what each is."""

_LOOK: Final = 30.0  # seconds between readings of energy counters


class Meter:
    """Measures the resource use of this process's children, from its creation to `end`.

    Args:
        wanted: names of built-in metrics.
        environment: of the program.
    """

    def __init__(
        self, wanted: Collection[str], environment: Mapping[str, str] = os.environ
    ) -> None:
        self._energy = EnergyMeter(environment) if "$joules" in wanted else None
        self._over = threading.Event()
        if self._energy is not None and self._energy.offered:
            threading.Thread(target=self._look, args=(self._energy,), daemon=True).start()
        self._cpu = _cpu_seconds()
        self._began = time.monotonic()
        self._seconds = 0.0
        self._joules: float | None = None

    def _look(self, energy: EnergyMeter) -> None:
        while not self._over.wait(_LOOK):
            energy.look()

    def end(self) -> None:
        """End the measurement, when the program has ended."""
        self._seconds = time.monotonic() - self._began
        self._over.set()
        if self._energy is not None:
            self._joules = self._energy.joules()

    def found(self) -> tuple[dict[str, float], dict[str, str]]:
        """All built-in metrics by name, and by name why one is unknown.

        Call it when the program and all its children have been waited for.
        """
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        metrics = {
            "$seconds": self._seconds,
            "$cpu_seconds": max(0.0, _cpu_seconds() - self._cpu),
            "$memory": used.ru_maxrss * 1024 / 1e6,
        }
        if self._joules is None:
            return metrics, {"$joules": f"unknown ({NOT_OFFERED})"}
        return metrics | {"$joules": self._joules}, {}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def unknown_here(wanted: Collection[str]) -> str:
    """Why one of the built-in metrics cannot be measured on this machine; empty if all can."""
    if "$joules" in wanted and not EnergyMeter().offered:
        return f"metric '$joules': {NOT_OFFERED}"
    return ""
