"""The command-line parser, which suggests corrections of typos."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from dsice.text import visible

_CHOICE: Final = re.compile(r"invalid choice: '(.*?)' \(choose from (.*)\)")


class Parser(argparse.ArgumentParser):
    """An argument parser whose messages are safe to print, with suggestions for typos."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit with code 2."""
        if wrong := _CHOICE.search(message):
            hint = suggestion(wrong[1], re.findall(r"[\w.-]+", wrong[2]))
            message = message.replace(wrong[0], f"invalid choice: '{wrong[1]}'{hint} {_of(wrong)}")
        super().error(visible(message))

    def parse_args(  # type: ignore[override]  # of its overloads, the one that is used here
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> Any:
        """Parse the arguments; the error for an unknown option shows the usage of its command."""
        options, unknown = self.parse_known_args(args, namespace)
        if not unknown:
            return options
        command = self._command(getattr(options, "called", None))
        known = command._option_string_actions
        wrong = next((text for text in unknown if text.startswith("-")), unknown[0])
        hint = suggestion(wrong.partition("=")[0], known) if wrong.startswith("-") else ""
        command.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")

    def _command(self, name: str | None) -> argparse.ArgumentParser:
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction) and name in action.choices:
                found: argparse.ArgumentParser = action.choices[name]
                return found
        return self


def suggestion(word: str, known: Iterable[str]) -> str:
    """``: did you mean 'run'?`` if ``word`` is close to a known one, else an empty string."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f": did you mean {close[0]!r}?" if close else ""


def _of(wrong: re.Match[str]) -> str:
    return f"(choose from {wrong[2]})"
