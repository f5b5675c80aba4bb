"""Parameters that a table has and the grid lacks."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dsice.errors import InvalidInput
from dsice.exchange.csv_file import write
from dsice.exchange.hidden import is_label
from tests.dsice.exchange.reading import found, small, told
from tests.dsice.stories import Story

Further = Callable[[random.Random, float, int], object]
POINTS = list(itertools.product([0.001, 0.01, 0.1], ["true", "false"]))


def table(further: Further, repeats: int = 3) -> str:
    """A column ``x`` beside noisy losses, from chance, the point's own value, and a count."""
    chance = random.Random(5)
    rows = [(*point, k) for point in POINTS for k in range(repeats)]
    chance.shuffle(rows)
    lines = []
    for lr, flag, k in rows:
        own = 100 * lr + (flag == "true")
        lines.append(f"{lr},{flag},{own + chance.gauss(0, 0.1)},{further(chance, own, k)}\n")
    return "lr,flag,loss,x\n" + "".join(lines)


SET: Mapping[str, Further] = {
    "a design": lambda chance, own, k: [16, 32, 64][k],
    "drawn from a list": lambda chance, own, k: chance.choice([16, 32]),
    "drawn on a logarithmic scale": lambda chance, own, k: 10 ** chance.uniform(-5, -1),
    "texts": lambda chance, own, k: ["adam", "sgd", "lion"][k],
    "truth values": lambda chance, own, k: chance.random() < 0.5,
}
MEASURED: Mapping[str, Further] = {
    "without noise": lambda chance, own, k: own * 7,
    "with noise": lambda chance, own, k: own + chance.gauss(0, 0.3),
    "with outliers": lambda chance, own, k: own + (1e9 if chance.random() < 0.1 else 0.0),
    "in whole numbers": lambda chance, own, k: round(10 * own + chance.gauss(0, 1)),
    "on a logarithmic scale": lambda chance, own, k: 10 ** (own + chance.gauss(0, 0.2)),
    "the same everywhere": lambda chance, own, k: 32,
    "nothing in some rows": lambda chance, own, k: own if k else "",
}


@pytest.mark.parametrize("further", SET.values(), ids=SET)
def test_a_column_that_somebody_set_is_refused(tmp_path: Path, further: Further) -> None:
    config = small(tmp_path)
    text = table(further)
    with pytest.raises(InvalidInput) as error:
        told(config, text)
    said = str(error.value)
    assert "have the same parameters but differ in 'x': add a parameter to the grid" in said
    assert "'--ignore x'" in said
    assert "--metric x=x" in said
    assert len(told(config, text, ignored=["x"]).results) == 18


def test_what_the_user_calls_a_metric_is_one(tmp_path: Path) -> None:
    matched = told(small(tmp_path), table(SET["a design"]), metrics={"x": "x"})
    assert {x for _, metrics in found(matched) for x in [metrics["x"]]} == {16, 32, 64}
    assert matched.others == ()


@pytest.mark.parametrize("further", MEASURED.values(), ids=MEASURED)
def test_a_column_that_was_measured_is_kept(tmp_path: Path, further: Further) -> None:
    matched = told(small(tmp_path), table(further))
    assert matched.others == ("x",)
    assert len(matched.results) == 18


def test_two_rows_are_enough(tmp_path: Path) -> None:
    config = small(tmp_path)
    for x in ("16", "adam"), ("32", "sgd"):
        assert len(told(config, f"lr,flag,x,loss\n0.1,true,{x[0]},1\n").results) == 1
    for first, second in (("16", "32"), ("adam", "sgd")):
        text = f"lr,flag,x,y,loss\n0.1,true,{first},1,1\n0.1,true,{second},1,2\n"
        with pytest.raises(InvalidInput, match=r"line 2 and line 3 .* differ in 'x': add"):
            told(config, text)


def test_all_columns_are_named_at_once(tmp_path: Path) -> None:
    text = "lr,flag,batch,opt,loss\n0.1,true,16,adam,1\n0.1,true,32,sgd,2\n"
    with pytest.raises(
        InvalidInput, match=r"differ in 'batch' \(and others in opt\): add"
    ) as error:
        told(small(tmp_path), text)
    assert "'--ignore batch --ignore opt'" in str(error.value)


def test_rows_that_have_not_ended_or_name_no_point_show_nothing(tmp_path: Path) -> None:
    text = "lr,flag,x,loss,state\n0.1,true,16,1,done\n0.1,true,32,,running\n"
    assert len(told(small(tmp_path), text).results) == 1


def test_prefixes_say_what_is_a_parameter(tmp_path: Path) -> None:
    config = small(tmp_path)
    text = "config/lr,config/flag,config/batch,loss,took\n0.1,true,16,1,5\n0.1,true,32,2,7\n"
    with pytest.raises(
        InvalidInput, match="a parameter 'config/batch' that this study has not, wi"
    ):
        told(config, text)
    matched = told(config, text, ignored=["config/batch"])
    assert found(matched) == [
        ((2, 0), {"loss": 1.0, "took": 5.0}),
        ((2, 0), {"loss": 2.0, "took": 7.0}),
    ]
    assert matched.others == ()  # the format says that they are metrics
    # Its name alone makes no parameter of what may be the size of a network.
    text = "lr,flag,param_count,loss\n0.1,true,1000,1\n0.01,true,2000,2\n"
    assert told(config, text).others == ("param_count",)
    # Conditional parameters: nothing stands where nothing was set.
    text = "params_lr,params_flag,params_depth,loss\n0.1,true,,1\n0.01,true,2,2\n"
    assert len(told(config, text).results) == 2


def test_labels_are_neither_parameters_nor_metrics(tmp_path: Path) -> None:
    numbers = [str(k) for k in range(7, 19)]
    texts = [f"run-{k}" for k in range(12)]
    assert is_label("x", numbers)
    assert is_label("x", texts)
    assert not is_label("x", numbers[:3])  # threads = 1, 2, 3
    assert not is_label("x", texts[:3])
    assert not is_label("x", numbers[::-1])
    assert not is_label("x", [*texts, "run-1"])
    assert is_label("random_seed", ["1", "7"])
    assert is_label("Trial ID", ["a", "a"])
    text = "lr,flag,loss,seed,Created\n0.1,true,1,1,May\n0.1,true,2,2,June\n"
    matched = told(small(tmp_path), text)
    assert found(matched) == [((2, 0), {"loss": 1.0}), ((2, 0), {"loss": 2.0})]
    assert matched.others == ()


def test_ignoring_what_is_not_there_or_is_needed_is_a_mistake(tmp_path: Path) -> None:
    config = small(tmp_path)
    text = "lr,flag,loss\n0.1,true,1\n"
    with pytest.raises(InvalidInput, match=r"--ignore batch: .*t.csv has lr, flag, loss"):
        told(config, text, ignored=["batch"])
    for name in ("lr", "loss"):
        with pytest.raises(InvalidInput, match=f"--ignore {name}: the study itself reads '{name}'"):
            told(config, text, ignored=[name])


def test_an_own_table_has_parameters_before_its_metrics(tmp_path: Path) -> None:
    """A metric that is nothing but noise does not hinder; a parameter that was dropped does."""
    more = small(tmp_path).text.replace("[trial]", "batch = [16, 32, 64]\n[trial]")
    story = Story(more, tmp_path)
    story.session()
    chance = random.Random(1)
    for k in range(18):
        task = story.propose((k % 3, k % 2, k // 6))
        metrics = {"loss": chance.random(), "noise": chance.random()}
        story.end(task, story.begin(task), metrics)
    write(story.study, str(tmp_path / "own.csv"))
    text = (tmp_path / "own.csv").read_text()
    matched = told(story.study.config, text)
    assert all(r.metrics is not None and "noise" in r.metrics for r in matched.results)
    with pytest.raises(InvalidInput, match="have the same parameters but differ in 'batch': add"):
        told(small(tmp_path), text)
