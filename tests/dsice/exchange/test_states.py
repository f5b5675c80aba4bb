"""How runs ended, in the words of the programs that kept them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsice.exchange.source import RowState
from dsice.exchange.states import state_of
from tests.dsice.exchange.reading import found, small, told

# As Optuna 5 and pandas 3 write it: study.trials_dataframe().to_csv("t.csv").
OPTUNA = """\
,number,value,datetime_start,datetime_complete,duration,params_flag,params_lr,user_attrs_mem,system_attrs_fixed_params,state
0,0,1.003,2026-11-26 21:15:45.48,2026-11-26 21:15:45.72,0 days 00:00:00.2,True,0.001,3.5,"{'lr': 0.001}",COMPLETE
1,1,,2026-11-26 21:15:46.17,2026-11-26 21:15:46.29,0 days 00:00:00.1,False,0.1,,"{'lr': 0.1}",PRUNED
2,2,,2026-11-26 21:15:46.34,2026-11-26 21:15:46.45,0 days 00:00:00.1,True,0.01,,"{'lr': 0.01}",FAIL
3,3,,2026-11-26 21:15:46.55,,,,,,"{'lr': 0.01}",RUNNING
4,4,,,,,,,,"{'lr': 0.01}",WAITING
"""  # noqa: E501

# As the table of runs in Weights & Biases is exported.
WANDB = """\
"Name","State","Notes","User","Tags","Created","Runtime","Sweep","batch","lr","flag","loss","val/acc"
"glad-sweep-5","running","-","me","","2024-05-01T10:04:00.000Z","12","k3j","32","0.1","false","2.5","0.1"
"glad-sweep-4","crashed","-","me","","2024-05-01T10:03:00.000Z","99","k3j","32","0.1","true","1.5","0.3"
"glad-sweep-3","failed","-","me","","2024-05-01T10:02:00.000Z","3","k3j","32","0.01","false","",""
"glad-sweep-2","killed","-","me","","2024-05-01T10:01:00.000Z","50","k3j","32","0.01","true","0.9","0.5"
"glad-sweep-1","finished","-","me","","2024-05-01T10:00:00.000Z","200","k3j","32","0.001","true","0.4","0.8"
"""

# mlflow.search_runs().to_csv("t.csv")
MLFLOW = """\
,run_id,experiment_id,status,artifact_uri,start_time,end_time,metrics.loss,metrics.acc,params.lr,params.flag
0,aa,1,FINISHED,s3://a,2024-01-01 00:00:00+00:00,2024-01-01 00:01:00+00:00,0.5,0.8,0.1,True
1,ab,1,FAILED,s3://b,2024-01-01 00:00:00+00:00,2024-01-01 00:01:00+00:00,,,0.01,True
2,ac,1,RUNNING,s3://c,2024-01-01 00:00:00+00:00,,0.9,,0.01,False
3,ad,1,KILLED,s3://c,2024-01-01 00:00:00+00:00,,0.9,,0.001,False
"""


def test_a_dataframe_of_optuna(tmp_path: Path) -> None:
    matched = told(small(tmp_path), OPTUNA, metrics={"loss": "value"})
    assert found(matched) == [((0, 0), {"loss": 1.003, "mem": 3.5}), ((1, 0), "failed")]
    assert matched.left_out == {
        "it was pruned": (1, "line 3"),
        "it has not ended": (2, "line 5"),
    }


def test_a_table_of_weights_and_biases(tmp_path: Path) -> None:
    config = small(tmp_path)
    matched = told(config, WANDB)
    kept = {"loss": 0.4, "Runtime": 200.0, "batch": 32.0, "val/acc": 0.8}
    assert found(matched) == [((2, 0), "crashed"), ((1, 1), "failed"), ((0, 0), kept)]
    assert matched.left_out == {
        "it has not ended": (1, "line 2"),
        "it was stopped": (1, "line 5"),
    }
    assert matched.others == ("Runtime", "batch", "val/acc")
    for name in ("State", "state"):
        alone = told(config, WANDB, ignored=[name, "Runtime", "batch", "val/acc"])
        assert found(alone) == [
            ((2, 1), {"loss": 2.5}),
            ((2, 0), {"loss": 1.5}),
            ((1, 1), "no metrics"),
            ((1, 0), {"loss": 0.9}),
            ((0, 0), {"loss": 0.4}),
        ]


def test_runs_of_mlflow(tmp_path: Path) -> None:
    matched = told(small(tmp_path), MLFLOW)
    assert found(matched) == [((2, 0), {"loss": 0.5, "acc": 0.8}), ((1, 0), "failed")]
    assert matched.left_out == {"it has not ended": (1, "line 4"), "it was stopped": (1, "line 5")}


def test_an_index_column_beside_states(tmp_path: Path) -> None:
    table = ",lr,flag,loss,state\n0,0.1,true,0.5,done\n1,0.01,true,,failed\n2,0.001,true,,running\n"
    matched = told(small(tmp_path), table)
    assert found(matched) == [((2, 0), {"loss": 0.5}), ((1, 0), "failed")]
    assert matched.others == ()


def test_a_state_that_nobody_knows_is_left_out_with_a_remedy(tmp_path: Path) -> None:
    config = small(tmp_path)
    table = (
        "lr,flag,loss,state,reason\n0.1,true,0.5,done,\n0.01,true,1,gone,\n0.001,true,,failed,OOM\n"
    )
    matched = told(config, table)
    assert found(matched) == [((2, 0), {"loss": 0.5}), ((0, 0), "OOM")]
    assert matched.left_out == {
        "state 'gone' is not known; --ignore state judges by metrics alone": (1, "line 3")
    }
    # A column without any known word says something else.
    assert len(told(config, "lr,flag,loss,state\n0.1,true,1,CA\n0.1,true,2,CA\n").results) == 2


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("done COMPLETE Completed finished SUCCESS StatusType.SUCCESS TERMINATED", RowState.ENDED),
        ("failed FAIL TrialState.FAIL crashed ERROR TIMEOUT OUT_OF_MEMORY MEMOUT", RowState.FAILED),
        ("running waiting PENDING queued SCHEDULED paused", RowState.OPEN),
        ("pruned PRUNED killed CANCELLED PREEMPTED NODE_FAIL EARLY_STOPPED", RowState.OPEN),
    ],
)
def test_words(words: str, state: RowState) -> None:
    for word in words.split():
        assert (known := state_of(f" {word} ")) is not None
        assert known[0] is state
        assert bool(known[1]) == (state is not RowState.ENDED)
    assert state_of("gone") is state_of(3) is state_of("") is None
