"""What a benchmark with little time finds, and what it leaves out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Report:
    """What was found so far.

    Attributes:
        end: when everything has to be over.
        lines: of Markdown.
        figures: the same as JSON.
        left_out: what there was no time for.
    """

    end: float
    lines: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def say(self, line: str = "") -> None:
        print(line, flush=True)
        self.lines.append(line)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        for row in (heads, ["---"] * len(heads), *rows):
            self.say("| " + " | ".join(row) + " |")
        self.say()

    def save(self, path: Path | None) -> None:
        """Write what there is, so that a machine that is taken back leaves it."""
        if path is not None:
            path.write_text("\n".join(self.lines) + "\n")
            path.with_suffix(".json").write_text(json.dumps(self.figures, indent=1) + "\n")

    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    def attempt(self, what: str, seconds: float, measure: Callable[[], Any]) -> Any:
        """What `measure` gives; None if there is no time for it, or it fails."""
        if self.left() < seconds:
            self.left_out.append(what)
            return None
        print(f"{self.left():4.0f} s left: {what}", file=sys.stderr, flush=True)
        try:
            return measure()
        except Exception as error:  # one broken way must not cost the others' figures
            self.left_out.append(f"{what} (failed: {type(error).__name__}: {str(error)[:300]})")
            return None
