"""Study files: what is accepted, and one clear line about what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsice.errors import InvalidInput, OtherStudy
from dsice.grid import Axis
from dsice.launch.settings import SlurmSettings
from dsice.study.config import StudyConfig, load, parse, with_budget
from dsice.study.frozen import require_same
from dsice.study.program_table import TimesMedian

TEXT = """
name = "stencil"
minimize = "seconds"
subject_to = ["error <= 1e-6"]
allowed = "tile * unroll <= 512"
search = "dsice-2024"
seed = 0
[grid]
tile = [8, 16, 32, 64]
unroll = { linear = [1, 8], levels = 8 }
eps = { geometric = [1e-6, 1e-2], levels = 5 }
layout = { choice = ["aos", "soa"] }
size = { integers = [2, 10], step = 4 }
[stage.build]
command = ["make", "-C", "{study}/src", "OUT={dir}"]
[trial]
command = ["{stage.build}/stencil", "--tile={tile}", "--unroll={unroll}", "--eps={eps}"]
timeout = "10 min"
retries = 1
[run]
on = "local"
parallel = 2
trials = 100
hours = 2.0
"""


def parsed(text: str = TEXT) -> StudyConfig:
    return parse(text, Path("/folder"), "study.toml")


def test_everything_of_a_full_file() -> None:
    config = parsed()
    assert config.grid.axes == (
        Axis("tile", [8, 16, 32, 64]),
        Axis("unroll", [1, 2, 3, 4, 5, 6, 7, 8]),
        Axis("eps", [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]),
        Axis.choice("layout", ["aos", "soa"]),
        Axis("size", [2, 6, 10]),
    )
    assert config.grid.rule == "tile * unroll <= 512"
    assert str(config.goal) == "minimize seconds subject to error <= 1e-06"
    assert (config.trial.timeout, config.trial.retries, config.trial.threads) == (600, 1, None)
    assert (config.run.parallel, config.run.trials, config.run.hours) == (2, 100, 2.0)
    assert list(config.stages) == ["build"]


def test_where_time_is_the_only_budget_trials_are_to_be_worth_theirs() -> None:
    both = TEXT.replace('search = "dsice-2024"\n', "")
    hours, trials = both.replace("trials = 100\n", ""), both.replace("hours = 2.0\n", "")
    said = 'search = { name = "dsice", durations = %s }\n'
    assert parsed(hours).told == {"durations": True}
    assert parsed(hours.replace("hours =", "job_hours =")).told == {"durations": True}
    assert parsed(both).told == parsed(trials).told == {}
    assert parsed(said % "false" + hours).told == {"durations": False}
    assert parsed(said % "true" + trials).told == {"durations": True}
    assert parsed('search = "dsice-2018"\n' + hours).told == {}
    with pytest.raises(InvalidInput, match="key 'search': durations = 3"):
        parsed(said % "3" + both)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "stencil"', "", "key 'name' is missing"),
        ('name = "stencil"', 'name = "a b"', "key 'name' = \"a b\""),
        ("seed = 0", "sed = 0", "unknown key 'sed': did you mean 'seed'? accepted are name, "),
        ("seed = 0", "seed = -1", "key 'seed' = -1: accepted is a whole number of 0 or more"),
        ("seed = 0", 'seed = "0"', "key 'seed' = \"0\": accepted is a whole number of 0"),
        ("parallel = 2", "paralel = 2", "unknown key 'run.paralel': did you mean 'parallel'?"),
        ("parallel = 2", "parallel = 0", "key 'run.parallel' = 0: "),
        ("parallel = 2", "parallel = true", "key 'run.parallel' = true: "),
        ("trials = 100", "trials = 0", "key 'run.trials' = 0: "),
        ("hours = 2.0", "hours = -1", "key 'run.hours' = -1: "),
        ('on = "local"', 'on = "moon"', 'key \'run.on\' = "moon": accepted is "local", "slurm", '),
        ('"10 min"', '"10 parsecs"', "key 'trial.timeout' = \"10 parsecs\" is no duration: "),
        ("retries = 1", "retry = 1", "unknown key 'trial.retry': did you mean 'retries'?"),
        (
            '"dsice-2024"',
            '{ name = "dsice", speed = 3 }',
            "key 'search': search 'dsice' has no option 'sp",
        ),
        (
            '"dsice-2024"',
            '{ name = "dsice", repeats = -1 }',
            "key 'search': repeats = -1: an integer ",
        ),
        (
            '"dsice-2024"',
            "{ tolerance = 0.1 }",
            "key 'search.name' is missing: accepted are dsice, ",
        ),
        (
            "dsice-2024",
            "dsice-2025",
            "key 'search' = \"dsice-2025\": accepted are dsice, dsice-2017, ",
        ),
        ("[8, 16, 32, 64]", "[]", "axis 'tile' has no levels"),
        ("[8, 16, 32, 64]", "[8, 16, 8]", "axis 'tile' has the level 8 twice"),
        ("[8, 16, 32, 64]", "{ list = [8] }", "unknown key 'grid.tile.list'"),
        ("[8, 16, 32, 64]", "{ levels = 3 }", "key 'grid.tile': give a list of levels, or a table"),
        ("[8, 16, 32, 64]", "[[8]]", "key 'grid.tile', item 1 = [8]: accepted is true or"),
        ("[8, 16, 32, 64]", "8", "key 'grid.tile' = 8: "),
        ("{ linear = [1, 8], levels = 8 }", "{ linear = [1, 8] }", "give either levels or step"),
        ("{ linear = [1, 8], levels = 8 }", "{ linear = [1] }", "key 'grid.unroll.linear"),
        ("[1e-6, 1e-2]", "[0, 1]", "axis 'eps': both ends of a geometric range"),
        ('["aos", "soa"]', "[]", "axis 'layout' has no levels"),
        ("tile = [8, 16, 32, 64]", "dir = [1]", "axis name 'dir' is reserved"),
        ("error <= 1e-6", "error < tiny", "cannot read the bound 'error < tiny'"),
        ("error <= 1e-6", "error 1e-6", "cannot read the bound 'error 1e-6': write it like"),
        ("error <= 1e-6", "error <= stage.no.e", "there is no stage 'no'"),
        ('minimize = "seconds"', "", "a goal needs exactly one of minimize and maximize"),
        ("tile * unroll", "tile * unrol", "rule 'tile * unrol <= 512' reads 'unrol'"),
        ("tile * unroll", "__import__('os')", "cannot use"),
        (
            "{tile}",
            "{tyle}",
            "unknown field {tyle} in '--tile={tyle}': did you mean {tile}? accepted",
        ),
        ("{stage.build}/", "{stage.bild}/", "unknown field {stage.bild}"),
        ('"make"', '"{stage.build}/make"', "[stage.build] command: unknown field {stage.build}"),
        ('"OUT={dir}"', '"OUT={dir"', "a single '{'"),
        ("[stage.build]", "[stage.a-b]", "[stage.a-b]: a stage is named with"),
        ('command = ["make"', 'comand = ["make"', "unknown key 'stage.build.comand'"),
        ("[run]", "[runn]", "unknown key 'runn': did you mean 'run'?"),
        ("[run]", "[run", "not a TOML file"),
        ("seed = 0", f"seed = {'9' * 5000}", "not a TOML file"),
        ("seed = 0", '"a[b" = 1', "unknown key 'a[b': accepted are name, "),
        (
            "hours = 2.0",
            "hours = inf",
            "key 'run.hours' = inf: accepted is a number greater",
        ),
        (
            "retries = 1",
            'metrics = { y = "(" }',
            "key 'trial.metrics.y': '(' is no regular expression: missing )",
        ),
        (
            "retries = 1",
            'metrics = { y = "$second" }',
            "'trial.metrics.y': there is no built-in metric '$second': did you mean '$seconds'?",
        ),
        (
            "retries = 1",
            'metrics = { "$y" = "y" }',
            "'trial.metrics.$y': names with $ are",
        ),
        (
            "retries = 1",
            'metrics = { y = { pattern = "y=(.*)", sample = "y: 3" } }',
            "key 'trial.metrics.y': 'y=(.*)' finds nothing in the sample 'y: 3'",
        ),
        (
            "retries = 1",
            'metrics = { y = { pattern = "y=(.*)", sample = "y=3 ms" } }',
            "key 'trial.metrics.y': of the sample 'y=3 ms': '3 ms' is no number; say which",
        ),
        (
            "retries = 1",
            'metrics = { y = { pattern = "y", file = "/etc/y" } }',
            "key 'trial.metrics.y': '/etc/y': give the name of a file in the program's own folder",
        ),
        ("retries = 1", "metrics = { seed = 'y' }", "[trial.metrics] seed: this is a key of its"),
        (
            "retries = 1",
            'progress = { pattern = "loss (.*)" }',
            "key 'trial.progress.pattern': 'loss (.*)' names no group",
        ),
        ("retries = 1", 'progress = { sample = "y" }', "key 'trial.progress.sample': there is no"),
        (
            "error <= 1e-6",
            "$memry <= 3",
            "the goal: there is no built-in metric '$memry': did you mean '$memory'?",
        ),
        ("hours = 2.0", 'on_end = "mail"', "key 'run.on_end' = \"mail\": accepted is a list of"),
        ("hours = 2.0", 'on_end = ["x", "{trial}"]', "[run] on_end: unknown field {trial} in"),
        ("hours = 2.0", 'on_best = ["{tyle}"]', "[run] on_best: unknown field {tyle} in '{tyle}'"),
        ("[2, 10], step = 4", "[2, 10], step = inf", "key 'grid.size': integers take a whole step"),
    ],
)
def test_one_line_about_a_mistake(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(InvalidInput) as error:
        parsed(TEXT.replace(old, new))
    assert str(error.value).startswith("study.toml: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_command_is_a_list_and_not_empty() -> None:
    head, tail = TEXT.split("[trial]\ncommand = ")
    rest = tail.split("\n", 1)[1]
    for command, message in (("[]", "at least one"), ('"make all"', "a list of")):
        with pytest.raises(InvalidInput, match=message):
            parsed(f"{head}[trial]\ncommand = {command}\n{rest}")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.toml': No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(InvalidInput, match="it is a folder, not a regular file"):
        load(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="not UTF-8 text"):
        load(tmp_path / "binary")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("stencil", "other", "another name: stencil there, other here"),
        ("[8, 16, 32, 64]", "[8, 16]", "another grid: tile: "),
        ("[8, 16, 32, 64]", "[8.0, 16, 32, 64]", "another grid: tile: "),
        ("error <= 1e-6", "error <= 1e-5", "another goal: "),
        ('minimize = "seconds"', 'maximize = "seconds"', "another goal: "),
        ("<= 512", "<= 256", "another rule 'allowed': "),
        ("seed = 0", "seed = 1", "another seed: 0 there, 1 here"),
        ("dsice-2024", "random", "another search: dsice-2024 there, random here"),
        ('"OUT={dir}"', '"O={dir}"', "another command of stage 'build': "),
    ],
)
def test_what_may_not_change(old: str, new: str, what: str) -> None:
    with pytest.raises(OtherStudy) as error:
        require_same(parsed(), parsed(TEXT.replace(old, new)), Path("runs/x"), ["build"])
    assert what in str(error.value)
    assert "runs/x" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("trials = 100", "trials = 200"),
        ("parallel = 2", "parallel = 4"),
        ('"10 min"', '"1 h"'),
        ("/stencil", "/stencil2"),
        ('"OUT={dir}"', '"O={dir}"'),
        ("error <= 1e-6", "error  <=  0.000001"),
    ],
)
def test_what_may_change(old: str, new: str) -> None:
    require_same(parsed(), parsed(TEXT.replace(old, new)), Path("runs/x"))


RATIOS = 'only_ratios_of = ["unroll", "size"]\nseed = 0'


def test_axes_that_matter_through_their_ratios() -> None:
    config = parsed(TEXT.replace("seed = 0", RATIOS))
    assert config.grid.only_ratios_of == ("unroll", "size")
    with pytest.raises(OtherStudy, match=r"another 'only_ratios_of': \[\] there, \['unroll', 's"):
        require_same(parsed(), config, Path("runs/x"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('["unroll", "sice"]', "study.toml: only_ratios_of names 'sice', which is no axis: the ax"),
        ('["unroll", "layout"]', "study.toml: only_ratios_of: axis 'layout' has the level 'aos'"),
        ('["unroll"]', r"study.toml: only_ratios_of = \['unroll'\]: a ratio needs two axes"),
        ('"unroll"', "study.toml: key 'only_ratios_of' = \"unroll\": "),
        ("[1, 2]", "study.toml: key 'only_ratios_of', item 1 = 1: "),
    ],
)
def test_ratios_of_what_has_none(value: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parsed(TEXT.replace("seed = 0", f"only_ratios_of = {value}"))


PATHS = (
    TEXT.replace(
        "[grid]",
        """[paths]
data = "data/train"
model = "/models/a.bin"
home = "~/x"
[grid]""",
    )
    .replace('"OUT={dir}"', '"OUT={dir}", "{data}"')
    .replace("--eps", "{model} --eps")
)


def test_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    paths = parsed(PATHS).paths
    assert {name: str(path) for name, path in paths.items()} == {
        "data": "/folder/data/train",
        "model": "/models/a.bin",
        "home": "/home/me/x",
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("home =", "tile =", r"study.toml: \[paths\] tile: a parameter has this name"),
        ("home =", "study =", r"study.toml: \[paths\]: name 'study' is reserved"),
        ("home =", "my-home =", r"study.toml: \[paths\]: name 'my-home': accepted are letters"),
        ('"~/x"', "3", "study.toml: key 'paths.home' = 3: "),
        ('"~/x"', '"~nobody-here/x"', "there is no such user"),
        ("{model}", "{modell}", r"unknown field {modell} in .*{model}"),
    ],
)
def test_paths_that_are_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parsed(PATHS.replace(old, new))


def test_budgets_from_the_command_line() -> None:
    config = with_budget(parsed(), trials=7, parallel=3)
    assert (config.run.parallel, config.run.trials, config.run.hours) == (3, 7, 2.0)
    assert with_budget(config) == config
    with pytest.raises(InvalidInput, match="--parallel 0: "):
        with_budget(config, parallel=0)


SLURM = """[run.slurm]
partition = "gpu"
gpus = 1
time = "2 h"
[trial.resources]
memory = "16 GB"
[stage.build.resources]
gpus = 0
time = "5 min"
"""


def test_batch_systems() -> None:
    config = parsed(TEXT.replace('"local"', '"slurm"') + SLURM)
    batch = config.run.batch
    assert batch is not None
    assert (batch.SYSTEM, batch.gpus, batch.time) == ("slurm", 1, 7200)
    assert config.trial.resources.model_dump(exclude_none=True) == {"memory": "16 GB"}
    stage = config.stages["build"].resources.model_dump(exclude_none=True)
    assert stage == {"gpus": 0, "time": 300}
    assert batch.of(stage, None).minutes == 5
    assert parsed(TEXT + SLURM).run.batch is None


def test_another_launcher_from_the_command_line() -> None:
    config = with_budget(parsed(TEXT + SLURM), on="slurm")
    assert config.run.batch == SlurmSettings(partition="gpu", gpus=1, time=7200.0)
    assert with_budget(config, on="local").run.batch is None
    with pytest.raises(InvalidInput, match="--on moon: "):
        with_budget(config, on="moon")
    # The stage says nothing of its time, and a batch system must know it.
    with pytest.raises(InvalidInput, match=r"\[stage\.build\]: pjm must know how long"):
        with_budget(parsed(), on="pjm")


def test_a_timeout_must_fit_its_job() -> None:
    short = SLURM.replace("2 h", "5 min")
    with pytest.raises(InvalidInput, match=r"\[trial\]: the program's timeout of 600 s is longer"):
        parsed(TEXT.replace('"local"', '"slurm"') + short)


def test_a_learned_timeout() -> None:
    assert parsed(TEXT.replace("10 min", "3 x median")).trial.timeout == TimesMedian(3.0)
    assert parsed(TEXT.replace("10 min", "1.5x median")).trial.timeout == TimesMedian(1.5)
    for text, message in (("0.5 x median", "half of all"), ("x median", "is no duration")):
        with pytest.raises(InvalidInput, match=message):
            parsed(TEXT.replace("10 min", text))
    stage = TEXT.replace("[trial]", 'timeout = "3 x median"\n[trial]')
    with pytest.raises(InvalidInput, match=r"\[stage.build\] timeout: only trials have a median"):
        parsed(stage)
    with pytest.raises(InvalidInput, match="must know how long"):
        with_budget(parsed(TEXT.replace("10 min", "3 x median")), on="slurm")
