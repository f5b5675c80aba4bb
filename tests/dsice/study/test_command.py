from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsice.errors import InvalidInput
from dsice.report.words import parameter
from dsice.study import command
from dsice.terminal import params_line
from dsice.units import setting


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
    with pytest.raises(
        InvalidInput,
        match=r"in '-t={tyle}': did you mean {tile}. accepted .*tile",
    ):
        command.check("-t={tyle}", ["tile", "dir"])


@pytest.mark.parametrize(
    ("value", "text"), [(8, "8"), (1e-6, "1e-06"), (0.1, "0.1"), (True, "true"), ("so a", "so a")]
)
def test_values_as_they_stand_in_commands(value: bool | int | float | str, text: str) -> None:
    assert command.shown(value) == text


@pytest.mark.parametrize("value", [True, False, 8, 1e-6, 0.1, 7.8125e-06, "so a"])
def test_values_are_shown_to_people_as_a_command_gets_them(value: bool | int | float | str) -> None:
    passed = command.fill("{fused}", {"fused": value})
    assert setting(value) == passed
    assert params_line({"fused": value}) == f"fused={passed}"
    assert parameter(value) == passed


def test_long_floats_are_cut_for_people() -> None:
    assert setting(1 / 3) == "0.333333"


def test_programs() -> None:
    command.check_program("sh")
    command.check_program("/bin/sh")
    with pytest.raises(InvalidInput, match="'no-such-program' is not found"):
        command.check_program("no-such-program")
    with pytest.raises(InvalidInput, match=r"write \{study\}/\./a\.out for a file beside"):
        command.check_program("./a.out")
