"""``dsice completion``: prints the completion script of a shell."""

from __future__ import annotations

import argparse
from pathlib import Path

from dsice.commands.arguments import Subparsers
from dsice.text import say

_SHELLS = ("bash", "zsh", "fish")


def add(commands: Subparsers) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser(
        "completion",
        help="print what makes a shell complete dsice's commands and options",
        description="Complete commands, options and files after a Tab. bash: dsice completion bash "
        "> ~/.local/share/bash-completion/completions/dsice. zsh: dsice completion zsh > "
        "~/.zfunc/_dsice, with fpath=(~/.zfunc $fpath) before compinit in ~/.zshrc. fish: dsice "
        "completion fish > ~/.config/fish/completions/dsice.fish. A new shell knows it.",
    )
    parser.add_argument("shell", choices=_SHELLS)
    parser.set_defaults(command=_completion)


def _completion(options: argparse.Namespace) -> int:
    import shtab

    whole: argparse.ArgumentParser = options.parser
    _complete_paths(whole)
    say(shtab.complete(whole, options.shell).removesuffix("\n"))
    return 0


def _complete_paths(parser: argparse.ArgumentParser) -> None:
    """Complete arguments that are paths with names of files or folders."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_paths(command)
        elif action.type is Path:
            folder = action.metavar in ("DIR", "FOLDER")
            action.complete = (  # type: ignore[attr-defined]  # what shtab looks for
                shtab.DIRECTORY if folder else shtab.FILE
            )
