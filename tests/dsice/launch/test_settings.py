"""What a study file says of batch systems."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from dsice.errors import InvalidInput
from dsice.launch.make import SETTINGS
from dsice.launch.settings import BatchSettings, SlurmSettings
from dsice.study.config import parse


def settings(**given: object) -> SlurmSettings:
    return SlurmSettings.model_validate(given)


def test_a_job_has_the_time_of_its_program_and_some() -> None:
    assert settings().of({}, 600.0).time == 900
    assert settings().of({}, 601.0).minutes == 16
    assert settings(time="1 h").of({}, 600.0).minutes == 60
    assert settings(time="1 h").of({}, None).minutes == 60


@pytest.mark.parametrize("system", SETTINGS)
def test_somebody_must_say_how_long(system: str) -> None:
    with pytest.raises(InvalidInput, match=rf"{system} must know how long .* \[run\.{system}\]"):
        SETTINGS[system]().of({}, None)


def test_a_program_must_not_outlive_its_job() -> None:
    with pytest.raises(InvalidInput, match=r"timeout of 700 s is longer than .* 600 s"):
        settings(time=600).of({}, 700.0)


def test_own_resources_come_first() -> None:
    common = settings(cpus=2, memory="1 GB", time="1 h", partition="p", setup=["a"])
    own = common.of({"cpus": 8, "time": 60.0}, None)
    assert (own.cpus, own.memory, own.minutes, own.partition) == (8, "1 GB", 1, "p")
    assert common.of({}, None) == common


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [("16 GB", 16384), ("800 MB", 800), ("16G", 16384), ("3GiB", 3072), (" 7 M ", 7)],
)
def test_memory(text: str, megabytes: int) -> None:
    assert settings(memory=text).megabytes == megabytes


@pytest.mark.parametrize("text", ["", "16", "1.5 GB", "-1 GB", "16 TB", "16 gb", "16 GB\n#"])
def test_no_memory(text: str) -> None:
    with pytest.raises(ValidationError, match="16 GB"):
        settings(memory=text)


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({}, 0),
        ({"gpus": 2}, 2),
        ({"gpus": 2, "nodes": 3}, 6),
        ({"gres": "gpu:1"}, 1),
        ({"gres": "gpu:a100:4", "nodes": 2}, 8),
        ({"gres": "shard:1", "gpus": 1}, 1),
    ],
)
def test_gpu_count(given: dict[str, object], count: int) -> None:
    assert settings(**given).gpu_count == count


@pytest.mark.parametrize("system", SETTINGS)
@pytest.mark.parametrize("hostile", ["a b", "a\n#PJM -x", "$(reboot)", "`x`", "'", "", "a\\"])
def test_hostile_names(system: str, hostile: str) -> None:
    kind: type[BatchSettings] = SETTINGS[system]
    for key in {"account", "partition", "qos", "group", "unit", "queue"} & kind.model_fields.keys():
        with pytest.raises(ValidationError):
            kind.model_validate({key: hostile})
    with pytest.raises(ValidationError):
        kind.model_validate({"modules": [hostile]})


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "\x1b[0m", "", "  "])
def test_one_line_each(text: str) -> None:
    for key in ("setup", "directives"):
        with pytest.raises(ValidationError):
            settings(**{key: [text]})


STUDY = """
name = "s"
minimize = "y"
[grid]
x = [1, 2]
[trial]
command = ["run", "{x}"]
[run]
on = "slurm"
[run.slurm]
time = "10 min"
"""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('partitoin = "p"', "unknown key 'run.slurm.partitoin': did you mean 'partition'?"),
        ('queue = "q"', "unknown key 'run.slurm.queue': accepted are "),
        ('partition = "a b"', "key 'run.slurm.partition' = \"a b\": letters, digits and "),
        ('memory = "lots"', "key 'run.slurm.memory' = \"lots\": write '16 GB' or '800 MB'"),
        ('poll = "soon"', "key 'run.slurm.poll' = \"soon\" is no duration"),
        ("cpus = 0", "key 'run.slurm.cpus' = 0: "),
        ('cpus = "4"', "key 'run.slurm.cpus' = \"4\": "),
        ("submit_rate = 0", "key 'run.slurm.submit_rate' = 0: "),
        ('setup = "module load x"', "key 'run.slurm.setup' = "),
        ("[run.sge]", "unknown key 'run.sge': "),
        ("[trial.resources]\ngpu = 1", "unknown key 'trial.resources.gpu': did you mean 'gpus'?"),
        ('[trial.resources]\npartition = "p"', "unknown key 'trial.resources.partition': "),
    ],
)
def test_one_line_about_a_mistake(line: str, message: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(f"{STUDY}{line}\n", Path("/folder"), "study.toml")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_memory_that_grows_where_it_was_exceeded() -> None:
    growing = settings(memory="8 GB x attempt")
    assert growing.megabytes == 8192
    assert [growing.memory_after(count) for count in range(3)] == ["8 GB", "16 GB", "24 GB"]
    assert settings(memory="8 GB").memory_after(2) == "8 GB"
    assert settings().memory_after(2) is None
