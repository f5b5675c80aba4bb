"""The page: its parts in one self-contained HTML file that works offline."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from dsice.errors import DsiceError
from dsice.files import write_atomically, write_into
from dsice.report.details import all_details
from dsice.report.facts import Facts
from dsice.report.parts import SECTIONS, Parts, environment, parts_of
from dsice.report.themes import THEMES
from dsice.study.state import Study, no_garbage
from dsice.text import plain

PROGRAMS: Final = ("data.js", "figures.js", "pictures.js", "table.js", "details.js")
"""The page's own programs, in the order in which they run, as one."""

_FOLDER: Final = files("dsice.report") / "page"
_SCRIPT_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def write_report(study: Study, path: Path | None = None) -> Path:
    """Write the report of a study in any state: one HTML file that works offline.

    Args:
        study: the study.
        path: the file; a symbolic link there is followed. The default is a file in the study's
            directory, where a link is not followed, as others may have prepared the directory.

    Returns:
        The path of the file.

    Raises:
        DsiceError: the file cannot be written.
    """
    text = report(study)
    try:
        if path is None:
            write_atomically(study.directory.report, text)
        else:
            write_into(path, text)
    except OSError as error:
        where = path or study.directory.report
        raise DsiceError(f"cannot write the report to {where}: {error.strerror}") from error
    return path or study.directory.report


def report(study: Study) -> str:
    """The report as HTML text."""
    with no_garbage():
        facts = Facts.of(study)
        parts = parts_of(study, facts)
        more = {"details": all_details(facts)}
        return page(study.config.name, parts, PROGRAMS, more, drawn=bool(parts.figures))


def page(
    name: str,
    parts: Parts,
    programs: Iterable[str],
    more: Mapping[str, Any],
    *,
    drawn: bool = True,
    live: bool = False,
    single: bool = True,
) -> str:
    """A page of ``parts``, as HTML text.

    Args:
        name: name of the study.
        parts: the parts to show.
        programs: files of the page's own JavaScript, in order.
        more: further data for these programs.
        drawn: whether it can draw figures, which needs a megabyte of JavaScript.
        live: whether it polls the server it came from for updates.
        single: whether it is about one study, with a table of its trials.
    """
    own = "\n".join(_file(program) for program in programs)
    scripts = [vega(), own] if drawn else [own]
    data = {
        "name": plain(name, 200),
        "figures": parts.figures,
        "datasets": parts.datasets,
        "themes": THEMES,
        **more,
    }
    return (
        environment()
        .get_template("page.html")
        .render(
            name=plain(name),
            sections={name: Markup(text) for name, text in parts.sections.items()},
            order=[name for name in SECTIONS if name not in ("head", "foot")],
            live=live,
            single=single,
            style=Markup(_file("page.css")),
            data=embedded(data),
            scripts=[Markup(script) for script in scripts],
            policy=_policy(scripts, live),
        )
    )


_BUNDLE: Final = """
import sys, vl_convert
sys.stdout.buffer.write(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").encode())
"""


@cache
def vega() -> str:
    """Vega-Embed and its dependencies, as JavaScript."""
    # In a separate process: a JavaScript engine works for a second and ignores Ctrl-C.
    command = [sys.executable, "-c", _BUNDLE]
    done = subprocess.run(command, capture_output=True, start_new_session=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise DsiceError(f"cannot make the figures' program: {said[-1] if said else done}")
    # Both mean the same in JavaScript, but the first would end the script in HTML.
    return done.stdout.decode().replace("</script", "<\\/script")


def embedded(data: object) -> Markup:
    """``data`` as JSON text, escaped so that it cannot end its script element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character, escape in _SCRIPT_ESCAPES.items():
        text = text.replace(character, escape)
    return Markup(text)


def _policy(scripts: Iterable[str], live: bool) -> str:
    """The page's Content-Security-Policy: only its own scripts run, and nothing is fetched.

    A live page may connect to the server it came from.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    fetched = "connect-src 'self'; " if live else ""
    return (
        f"default-src 'none'; {fetched}script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _file(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
