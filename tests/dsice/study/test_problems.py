"""Every key of every table of a study file, given what it cannot be: one plain line about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from dsice.errors import InvalidInput
from dsice.launch.make import SETTINGS
from dsice.launch.settings import Resources
from dsice.study.config import parse, with_budget
from dsice.study.program_table import CommandConfig, MetricConfig, ProgressConfig
from dsice.study.run_table import RunConfig
from dsice.study.tables import First, PictureRow, Range, ReportConfig, StudyFile

FILE = {
    "name": '"small"',
    "minimize": '"y"',
    "grid": "{ a = [1, 2] }",
    "trial": '{ command = ["run", "{a}"] }',
}
TABLES: list[tuple[str, str, type[BaseModel]]] = [
    ("trial", '{{ command = ["run"], {} }}', CommandConfig),
    ("trial", '{{ command = ["run"], progress = {{ {} }} }}', ProgressConfig),
    ("trial", '{{ command = ["run"], metrics = {{ y = {{ pattern = "y", {} }} }} }}', MetricConfig),
    ("trial", '{{ command = ["run"], resources = {{ {} }} }}', Resources),
    ("stage", '{{ build = {{ command = ["make"], {} }} }}', CommandConfig),
    ("run", "{{ {} }}", RunConfig),
    *(("run", f"{{{{ {name} = {{{{ {{}} }}}} }}}}", model) for name, model in SETTINGS.items()),
    ("report", "{{ {} }}", ReportConfig),
    ("report", "{{ pictures = [{{ files = {{ }}, {} }}] }}", PictureRow),
    ("grid", "{{ a = {{ {} }} }}", Range),
    ("first", "{{ settings = [], {} }}", First),
]
WRONG = (
    *("3", "-1", "0", "1.5", "nan", "inf", "true", '""', '"a b"', '"x"', "[]", "[3]", '[""]'),
    *("[[1]]", "[1, 2, 3]", '["a", 3]', "{}", "{ x = 3 }", "[{}]", "1979-05-27", "99999999999"),
)
NEEDED = (
    *('command = ["run"], ', 'command = ["make"], ', "files = { }, ", "settings = [], "),
    'pattern = "y", ',
)
PYDANTIC = re.compile(
    r"Input should| valid |constrained|tuple|\bdict|pydantic|Value error|instance|type=|validation"
    r"|None|list\[|Range|function-|union|\bstr\b|\bint\b|\bfloat\b|\bbool\b|nullable|model"
    r"|[A-Z]\w+ should|Extra inputs|required|strict|datetime|Infinity|\bTrue\b|\bFalse\b"
)


def keys_and_files() -> Iterator[tuple[str, str]]:
    """Each key, and a file in which it is wrong."""
    for key in StudyFile.model_fields:
        for value in WRONG:
            yield key, text(**{key: value})
    for table, form, model in TABLES:
        for key in model.model_fields:
            for value in WRONG:
                inside = form.format(f"{key} = {value}")
                for needed in NEEDED:
                    if needed.startswith(f"{key} = "):
                        inside = inside.replace(needed, "")
                yield key, text(**{table: inside})


def text(**entries: str) -> str:
    return "\n".join(f"{key} = {value}" for key, value in {**FILE, **entries}.items())


def test_every_key_given_what_it_cannot_be() -> None:
    refused = 0
    for key, file in keys_and_files():
        try:
            parse(file, Path("/x"), "study.toml")
        except InvalidInput as error:
            message = str(error)
            refused += 1
            assert message.startswith("study.toml: "), file
            assert "\n" not in message, file
            assert PYDANTIC.search(message.replace(file, "")) is None, f"{file}\n{message}"
            others = ("'grid.a'", "goal", "first setting")
            assert any(name in message for name in (key, *others)), f"{file}\n{message}"
    assert refused > 1000


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"name": "3"}, "key 'name' = 3: accepted is letters, digits and . _ - with a letter"),
        ({"minimize": '["a", 3]'}, "key 'minimize', item 2 = 3: accepted is a text"),
        ({"minimize": "3"}, "key 'minimize' = 3: accepted is a text that is not empty or a list"),
        ({"seed": "true"}, "key 'seed' = true: accepted is a whole number of 0 or more"),
        ({"search": "{ name = [1] }"}, "key 'search' = [1]: accepted are dsice, "),
        ({"grid": "{ a = { linear = [1] } }"}, "key 'grid.a.linear', item 2 is missing: accepted"),
        (
            {"grid": "{ a = { linear = [1, 2, 3], levels = 3 } }"},
            "key 'grid.a.linear' = [1, 2, 3]: accepted is a list of two numbers",
        ),
        (
            {"grid": "{ a = { integers = [1, 2.5] } }"},
            "key 'grid.a.integers', item 2 = 2.5: accepted is a whole number",
        ),
        (
            {"grid": "{ a = 3 }"},
            "key 'grid.a' = 3: accepted is a list, each item true or false, a number, or a text, "
            "or a table with the keys range, log, linear, geometric, integers, choice, values, ",
        ),
        (
            {"grid": "{ a = { Rangs = 3 } }"},
            "unknown key 'grid.a.Rangs': did you mean 'range'? accepted are range, log, linear, ",
        ),
        ({"trial": "{}"}, "key 'trial.command' is missing: accepted is a list of texts"),
        ({"trial": '{ command = "run" }'}, "key 'trial.command' = \"run\": accepted is a list of"),
        (
            {"trial": '{ command = ["run"], timeout = true }'},
            "key 'trial.timeout' = true is no duration: write '90 s'",
        ),
        (
            {"run": '{ on = "moon" }'},
            'accepted is "local", "slurm", "pjm", "pbs", "lsf" or "allocation"',
        ),
        ({"run": "{ parallel = 0 }"}, "'run.parallel' = 0: accepted is a whole number from 1 to"),
        (
            {"run": "{ slurm = { submit_rate = 0 } }"},
            "key 'run.slurm.submit_rate' = 0: accepted is a number greater than 0 and up to 1000",
        ),
        (
            {"report": '{ pictures = [{ titel = "x", files = {} }] }'},
            "unknown key 'report.pictures', item 1, 'titel': did you mean 'title'?",
        ),
    ],
)
def test_what_is_said(entries: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(text(**entries), Path("/x"), "study.toml")
    assert message in str(error.value)


def test_what_is_said_of_options() -> None:
    config = parse(text(), Path("/x"))
    for given, message in (
        ({"parallel": 0}, "--parallel 0: accepted is a whole number from 1 to 100000"),
        ({"trials": -3}, "--trials -3: accepted is a whole number of 1 or more"),
        ({"hours": float("nan")}, "--hours nan: accepted is a number greater than 0"),
    ):
        with pytest.raises(InvalidInput) as error:
            with_budget(config, **given)
        assert str(error.value) == message
