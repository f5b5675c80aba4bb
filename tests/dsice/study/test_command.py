from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsice.errors import InvalidInput
from dsice.study import command


@given(st.text(), st.text())
def test_values_are_put_in_whole_and_once(value: str, around: str) -> None:
    text = around.replace("{", "{{").replace("}", "}}")
    assert command.fill(text + "{a}" + text, {"a": value}) == around + value + around


def test_fields() -> None:
    assert command.fields("--x={x} {{no}} {stage.build}/bin") == ["x", "stage.build"]


@pytest.mark.parametrize("text", ["{", "a}", "{a}}", "{{a}", "{a{b}}"])
def test_a_single_brace(text: str) -> None:
    with pytest.raises(InvalidInput, match="double it to mean the brace"):
        command.fields(text)


def test_an_unknown_field() -> None:
    with pytest.raises(InvalidInput, match=r"unknown field {tyle} in '-t={tyle}': accepted .*tile"):
        command.check("-t={tyle}", ["tile", "dir"])


@pytest.mark.parametrize(
    ("value", "text"), [(8, "8"), (1e-6, "1e-06"), (0.1, "0.1"), (True, "true"), ("so a", "so a")]
)
def test_values_as_they_stand_in_commands(value: bool | int | float | str, text: str) -> None:
    assert command.shown(value) == text


def test_programs() -> None:
    command.check_program("sh")
    command.check_program("/bin/sh")
    with pytest.raises(InvalidInput, match="'no-such-program' is not found"):
        command.check_program("no-such-program")
    with pytest.raises(InvalidInput, match=r"write \{study\}/\./a\.out for a file beside"):
        command.check_program("./a.out")
