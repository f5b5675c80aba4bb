"""A real browser for tests of pages: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

NAMES = ("chromium", "chromium-browser", "google-chrome")

DRAWN = "html[data-drawn]"
"""Selects a page all of whose figures are drawn."""


def chromium() -> str | None:
    """Where Chromium is, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def started() -> Iterator[Browser]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    # Its sandbox cannot be set up by root, as whom containers run.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser, address: str, width: int = 1600, dark: bool = False, allowed: str = "-"
) -> Iterator[Page]:
    """A page with its figures drawn. At its end nothing may have gone wrong in it.

    Args:
        browser: to open it in.
        address: of the page.
        width: of the window.
        dark: whether the system is.
        allowed: part of messages that are no failure.
    """
    wrong: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    own = ours(address)

    def note_request(request: Request) -> None:
        if not request.url.startswith(own):
            wrong.append(f"asked for {request.url}")

    def note_message(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and allowed not in message.text:
            wrong.append(message.text)

    context.on("request", note_request)
    page = context.new_page()
    page.on("console", note_message)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    page.wait_for_selector(DRAWN)
    try:
        yield page
    finally:
        context.close()
    assert wrong == []


def ours(address: str) -> tuple[str, ...]:
    """How the addresses begin that a page may ask for: its server's, and data in itself."""
    server = "/".join(address.split("/")[:3]) + "/"
    return ("data:", "blob:", address.split("#")[0] if address.startswith("file:") else server)
