"""Output of a command: the result file, the progress file and the terminal."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from superres.errors import UserError
from superres.files import write_whole

# Seconds between two lines on the terminal; the progress file gets every report.
_PAUSE = 2.0


class Recorder:
    """Writes a command's progress and result.

    Args:
        result: file for the final metrics, one JSON object. A file of an earlier run is removed at
            once, so that a failed run leaves none.
        progress: file to which reports are appended, one JSON object per line.

    Raises:
        UserError: a file cannot be written.
    """

    def __init__(self, result: Path | None, progress: Path | None = None) -> None:
        self._result = result
        self._progress = progress
        self._started = time.monotonic()
        self._last_line = -_PAUSE
        try:
            for path in (result, progress):
                if path is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
            if result is not None:
                result.unlink(missing_ok=True)
            if progress is not None:
                progress.touch()
        except OSError as error:
            raise UserError(f"cannot write {error.filename}: {error.strerror}") from error

    @property
    def seconds(self) -> float:
        """Seconds since the recorder was created."""
        return time.monotonic() - self._started

    def progress(self, report: dict[str, float]) -> None:
        """Append `report` to the progress file; print it if some time has passed since the last.

        A report that cannot be written, for example to a full disk, is dropped instead of failing.
        """
        with suppress(OSError):
            if self._progress is not None:
                with self._progress.open("a") as file:
                    file.write(json.dumps(report) + "\n")
        if self.seconds - self._last_line >= _PAUSE:
            self._last_line = self.seconds
            figures = "  ".join(f"{k} {v:.4g}" for k, v in report.items() if k != "epoch")
            with suppress(OSError):
                print(f"{self.seconds:5.0f} s  {figures}", flush=True)

    def finish(self, metrics: dict[str, Any]) -> None:
        """Write the result file, if any, and print the same as the last line."""
        line = json.dumps({**metrics, "seconds": round(self.seconds, 2)})
        if self._result is not None:
            # A reader that waits for the file must never see an incomplete one.
            write_whole(self._result, lambda file: file.write(line.encode() + b"\n"))
        print(line, flush=True)
