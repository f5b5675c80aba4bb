"""Reports of a training run for TensorBoard."""

from __future__ import annotations

import warnings
from pathlib import Path

from superres.monitor import Report


class Board:
    """Writes reports as scalars, one curve for each of their names.

    Args:
        folder: folder of the event files, created if missing.

    Raises:
        ModuleNotFoundError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings of tensorboard's own imports
            import tensorboard  # noqa: F401 - torch tells less clearly that it is missing
            from torch.utils.tensorboard import SummaryWriter
        self._writer = SummaryWriter(str(folder))

    def __call__(self, report: Report) -> None:
        """Write a report and flush, so that TensorBoard shows the newest one."""
        step = int(report["step"])
        for name, value in report.items():
            if name != "step":
                self._writer.add_scalar(name, value, step)
        self._writer.flush()
