"""The page: facts, sentences and figures put into the template, in one file that needs no other."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from dsice import __version__
from dsice.errors import DsiceError
from dsice.report import summary
from dsice.report.facts import Facts
from dsice.report.figures import Figures
from dsice.report.pictures import picture_rows
from dsice.report.savings import Savings
from dsice.report.scales import Figure
from dsice.report.themes import THEMES
from dsice.report.timeline import Timeline
from dsice.report.words import bound, count, fraction, number, parameter, plain
from dsice.study.directory import write_atomically
from dsice.study.state import Study
from dsice.units import duration

_HERE: Final = files("dsice.report")
_SCRIPT_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def write_report(study: Study, path: Path) -> None:
    """Write the report of a study in any state: one HTML file that works without a network.

    Raises:
        DsiceError: the file cannot be written.
    """
    text = page(study)
    try:
        write_atomically(path, text)
    except OSError as error:
        raise DsiceError(f"cannot write the report to {path}: {error.strerror}") from error


def page(study: Study) -> str:
    """The report as HTML text."""
    facts, timeline = Facts.of(study), Timeline.of(study)
    figures = Figures.of(study)
    scripts = [_vega(), _file("page.js")] if any(figures) else [_file("page.js")]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {
        "count": count,
        "duration": duration,
        "fraction": fraction,
        "number": number,
        "parameter": parameter,
    }
    return environment.from_string(_file("page.html")).render(
        name=plain(study.config.name),
        goal=summary.goal_text(facts),
        headline=summary.headline(facts),
        facts=facts,
        bounds=[bound(each) for each in facts.goal.bounds],
        savings=(savings := Savings.of(study, timeline)),
        tiles=summary.tiles(facts, timeline, savings),
        command=summary.best_command(facts),
        figures=figures,
        timeline=timeline,
        pictures=picture_rows(facts),
        columns=summary.columns(facts),
        rows=summary.table(facts),
        failures=summary.failures(facts),
        warnings=summary.warnings(facts),
        sessions=summary.session_lines(facts),
        made=summary.moment(time.time()),
        version=__version__,
        directory=plain(str(study.directory.path)),
        style=Markup(_file("page.css")),
        data=embedded(packed(figures, study.config.name)),
        scripts=[Markup(script) for script in scripts],
        policy=_policy(scripts),
    )


def _vega() -> str:
    """Vega-Embed and all it needs, as JavaScript."""
    # Imported here: it loads a JavaScript engine.
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # In JavaScript the two mean the same; in HTML the first would end the script.
    return bundle.replace("</script", "<\\/script")


def packed(figures: Iterable[Figure], name: str) -> dict[str, Any]:
    """Figures for the page's script, each shared data set only once."""
    datasets: dict[str, Any] = {}
    specs = {}
    for figure in figures:
        spec = dict(figure.spec)
        datasets |= (own := spec.pop("datasets", {}))
        specs[figure.name] = {"spec": spec, "datasets": list(own)}
    return {"name": name, "datasets": datasets, "figures": specs, "themes": THEMES}


def embedded(data: object) -> Markup:
    """``data`` as JSON text that nothing in it can end or leave, inside a script element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character, escape in _SCRIPT_ESCAPES.items():
        text = text.replace(character, escape)
    return Markup(text)


def _policy(scripts: Iterable[str]) -> str:
    """The page's Content-Security-Policy: only its own scripts run, and nothing is fetched."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:"
    )


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
