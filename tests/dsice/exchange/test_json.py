"""Results as JSON, in every form that programs write."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from dsice.errors import InvalidInput
from tests.dsice.exchange.reading import found, small, told

RECORDS = [
    {"lr": 0.1, "flag": True, "loss": 0.5},
    {"lr": 0.001, "flag": False, "loss": 2},
]
RESULTS = [((2, 0), {"loss": 0.5}), ((0, 1), {"loss": 2.0})]
LINES = "".join(json.dumps(each) + "\n" for each in RECORDS)
COLUMNS = {name: [each[name] for each in RECORDS] for name in ("lr", "flag", "loss")}
NESTED = [
    {"config": {"lr": e["lr"], "flag": e["flag"]}, "summary": {"loss": e["loss"]}} for e in RECORDS
]
DATAFRAME = {name: {str(k): v for k, v in enumerate(vs)} for name, vs in COLUMNS.items()}
SPLIT = {"columns": list(COLUMNS), "index": [0, 1], "data": [list(e.values()) for e in RECORDS]}

FORMS = {
    "a list": RECORDS,
    "nested": NESTED,
    "beside other things": {"name": "x", "trials": RECORDS},
    "by key": {"first": RECORDS[0], "second": RECORDS[1]},
    "pandas": DATAFRAME,
    "pandas, orient=index": {str(k): each for k, each in enumerate(RECORDS)},
    "pandas, orient=split": SPLIT,
    "pandas, orient=table": {"schema": {"fields": [{"name": "lr"}]}, "data": RECORDS},
    "lists by column": COLUMNS,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_forms(tmp_path: Path, form: object) -> None:
    config = small(tmp_path)
    for text in (json.dumps(form), json.dumps(form, indent=2)):
        matched = told(config, text, "t.json")
        assert found(matched) == RESULTS
        assert matched.left_out == {}
    assert found(told(config, gzip.compress(json.dumps(form).encode()), "t.json.gz")) == RESULTS


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson", "t.json"])
@pytest.mark.parametrize("text", [LINES, LINES.rstrip(), "\n" + LINES.replace("\n", "\r\n\n")])
def test_an_object_a_line(tmp_path: Path, name: str, text: str) -> None:
    matched = told(small(tmp_path), text, name)
    assert found(matched) == RESULTS


def test_lines_that_are_being_written(tmp_path: Path) -> None:
    config = small(tmp_path)
    more = '{"lr": 0.01, "flag": true, "loss": 7}'
    for cut in range(1, len(more)):
        assert found(told(config, LINES + more[:cut], "t.jsonl")) == RESULTS
    assert len(told(config, LINES + more, "t.jsonl").results) == 3
    with pytest.raises(InvalidInput, match="line 2 is no JSON object"):
        told(config, LINES.replace("\n", "\n{,\n"), "t.jsonl")


def test_line_separators_of_unicode_end_no_line(tmp_path: Path) -> None:
    record = {**RECORDS[0], "note": "a\u2028b\x85c"}
    text = json.dumps(record, ensure_ascii=False) + "\n" + json.dumps(RECORDS[1]) + "\n"
    assert found(told(small(tmp_path), text, "t.jsonl")) == RESULTS


def test_a_single_result(tmp_path: Path) -> None:
    config = small(tmp_path)
    parts = {"params": {"lr": 0.1, "flag": True}, "metrics": {"loss": 0.5}}
    for one in (RECORDS[0], parts):
        assert found(told(config, json.dumps(one), "t.json")) == RESULTS[:1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "has no results that can be read: accepted are a list of objects"),
        ("[[0.1, true, 1]]", "has no results that can be read"),
        ("3", "has no results that can be read"),
        ("{}", "has no results that can be read"),
        ("[]", "has no rows"),
        ("[{}]", "has no rows"),
        ("{", "not JSON: Expecting property name"),
        ("", "not JSON: Expecting value"),
        ("[" * 100_000, "nested too deeply|not JSON"),
        ('{"columns": ["lr"], "data": [[1, 2]]}', "has no results that can be read"),
    ],
)
def test_what_is_no_results_is_said_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as error:
        told(small(tmp_path), text, "t.json")
    assert "\n" not in str(error.value)
    assert "t.json" in str(error.value)
