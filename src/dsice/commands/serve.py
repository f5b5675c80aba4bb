"""``dsice serve``: serves the live page of a study."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from dsice.commands.arguments import Subparsers, add_directory
from dsice.signals import handled
from dsice.text import say

PORT: Final = 8765


def add(commands: Subparsers) -> None:
    """Add ``serve`` to the subparsers of the command line."""
    serve = commands.add_parser(
        "serve",
        help="a local page that shows a study live",
        description="Serve the report's page, which keeps itself up to date, until Ctrl-C (or a "
        "SIGTERM). It only shows: nothing can be changed through it. For a study on another "
        f"machine: ssh -L {PORT}:127.0.0.1:{PORT} MACHINE dsice serve DIR. Without --token, "
        "everybody who is logged in on this machine can see the page.",
    )
    add_directory(serve)
    serve.add_argument("--port", type=int, default=PORT, help=f"{PORT} by default; 0: any free one")
    serve.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where to listen: 127.0.0.1 by default, which only this machine reaches; with any "
        "other, such as 0.0.0.0, the page needs a token, and is sent unencrypted",
    )
    serve.add_argument(
        "--token", action="store_true", help="ask for a token on this machine's own address, too"
    )
    serve.set_defaults(command=_serve)


def _serve(options: argparse.Namespace) -> int:
    import secrets

    from dsice.live.news import News
    from dsice.live.server import Server, is_local

    news = News(options.directory)
    token = secrets.token_urlsafe(24) if options.token or not is_local(options.host) else ""
    try:
        with _interrupted_by_signals(), Server(news, options.host, options.port, token) as server:
            say(f"{options.directory} is at {server.address}\nCtrl-C ends it.")
            server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        return 0
    return 0


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Within, SIGINT and SIGTERM raise KeyboardInterrupt.

    A shell starts background programs with SIGINT ignored, so that its own Ctrl-C does not end
    them; ``kill -INT`` should end the server nevertheless.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with handled(interrupt, signal.SIGINT, signal.SIGTERM):
        yield
