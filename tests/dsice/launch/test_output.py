"""What programs print, and which metrics are read from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dsice.launch.output import last_line, last_lines, metrics_in

SUMMARY = "".join(f"wandb: line {number} of the summary {{}}\n" for number in range(90))


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return tmp_path / "metrics.json"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "stdout.txt"


@pytest.mark.parametrize("where", ["result", "output"])
@pytest.mark.parametrize(
    "text",
    [
        '{"y": 1}',
        '{"y": 1}\n',
        '\ufeff{"y": 1}\n',
        'some\n\ufeff{"y": 1}\n',
        '{"y": 1}\r\n',
        '10%|#    |\r90%|#### |\r{"y": 1}\r\n',
        ' {"y": 1}  \n\n',
        '{"y": 1}\nwandb: synced\n',
        f'{{"y": 1}}\n{SUMMARY}',
        'start\n{\n  "y": 1,\n  "runs": [\n    {\n      "y": 2\n    },\n    {"y": 3}\n  ]\n}\n',
        '{\n  "y": 1, "deep": {"y": 4}}\nwandb: synced\n',
        '{"y": 0}\n{"y": 5, \n{"y": 1}\n',
        '{"step": 1, "y": 9}\n{"step": 2, "y": 7}\n{"y": 1}\n',
        '{"y": 1}\nnow the config: {"y": 6}\n[{"y": 7}]\n{"y": 8} is no line of its own\n',
        '{"y": 1}\n' + '{"y": 2}, x\n' * 50,
    ],
)
def test_the_last_object_among_the_last_lines(
    result: Path, output: Path, where: str, text: str
) -> None:
    path = result if where == "result" else output
    path.write_bytes(text.encode())
    assert metrics_in(result, output)[0]["y"] == 1.0


@pytest.mark.parametrize("break_", ["\u2028", "\u2029", "\u0085"])
def test_breaks_of_unicode_inside_of_a_string_end_no_line(
    result: Path, output: Path, break_: str
) -> None:
    output.write_text(f'{{"y": 1, "device": "one{break_}two"}}\n')
    assert metrics_in(result, output)[0] == {"y": 1.0}
    output.write_text(f"bad luck{break_}of mine\n\n")
    assert last_line(output) == f"bad luck{break_}of mine"
    assert last_lines(output, 1) == ["bad luck of mine"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("true", "true"),
        ("null", "null"),
        ("1" + "0" * 400, "too big"),
        ("1" + "0" * 5000, "Infinity"),
        ("NaN", "NaN"),
        ('"3.5"', '"3.5"'),
    ],
)
def test_what_is_no_number_is_named(result: Path, output: Path, value: str, said: str) -> None:
    output.write_text(f'{{"l": {value}}}\n')
    assert metrics_in(result, output) == ({}, {"l": said})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it wrote no metrics: neither a result file nor any output"),
        (" \n\n", "it wrote no metrics: neither a result file nor any output"),
        ("loss 3\n\n", "its output has no JSON object of metrics; its last line is: loss 3"),
        ("0.5", "its output has no JSON object of metrics; its last line is: 0.5"),
        ("{'y': 1}", "(what begins like one: Expecting property name enclosed in double quotes)"),
        ('{"y": 1} # the result', "(what begins like one: more text follows it on its line)"),
        ('{"y": 1', "(what begins like one: Expecting ',' delimiter)"),
        ('[\n{"y": 1}\n]\n', "(what begins like one: it is part of something larger)"),
        ('{\n"a": [\n{"y": 1}\n],\n"b": oops\n}', "(what begins like one: Expecting value)"),
        ('{"y":' * 200_000, "(what begins like one: it is nested too deeply)"),
        (f'{{"y": 1}}\n{SUMMARY}{SUMMARY}', "but over 100 lines follow it"),
        ('{"y": 1}\n{}\n', "its output has no metrics: {}"),
    ],
)
def test_without_metrics_the_reason_is_named(
    result: Path, output: Path, text: str, reason: str
) -> None:
    output.write_text(text)
    with pytest.raises(ValueError, match=re.escape(reason)) as error:
        metrics_in(result, output)
    assert len(str(error.value)) < 400


def test_a_result_file_comes_before_the_output(result: Path, output: Path) -> None:
    output.write_text('{"y": 2}\n')
    result.write_text('{"y": 1}')
    assert metrics_in(result, output)[0] == {"y": 1.0}
    result.write_text("oops")
    with pytest.raises(ValueError, match="its result file has no JSON object of metrics"):
        metrics_in(result, output)
    result.write_text("\n")
    assert metrics_in(result, output)[0] == {"y": 2.0}


def test_an_object_that_begins_before_what_is_read(result: Path, output: Path) -> None:
    """Of more than a megabyte the end is read: no part of it passes for the whole."""
    runs = ",\n".join('{"y": 1}' for _ in range(150_000))
    result.write_text(f'{{"runs": [\n{runs}\n],\n"y": 2}}\n')
    with pytest.raises(ValueError, match="has no JSON object of metrics"):
        metrics_in(result, output)


@pytest.mark.parametrize("text", ['{"a":\n', "{\n", '{"a": "x\n', '{"a": 1} x\n'])
def test_hostile_output_is_read_within_bounds(result: Path, output: Path, text: str) -> None:
    """An attempt at every line of these would take minutes."""
    output.write_text(text * (1_000_000 // len(text)))
    with pytest.raises(ValueError, match="has no JSON object of metrics"):
        metrics_in(result, output)
