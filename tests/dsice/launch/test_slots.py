"""Slots: how GPUs and cores are shared out, and which slots are free."""

from __future__ import annotations

from typing import Any

import pytest

from dsice.errors import InvalidInput
from dsice.launch.devices import Devices
from dsice.launch.slots import Held, Slots, local_slots

FOUR = Devices(("0", "1", "2", "3"), aliases={"GPU-a": "0"})


def slots(**given: Any) -> Slots:
    asked: dict[str, Any] = {
        "parallel": None,
        "gpus": None,
        "gpus_per_trial": None,
        "cores_per_trial": None,
        "pinned": False,
        "devices": FOUR,
        "cores": list(range(8)),
    }
    return local_slots(**asked | given)


def devices(found: Slots) -> list[tuple[str, ...]]:
    return [slot.devices for slot in found.all]


def test_without_anything_a_slot_is_a_number() -> None:
    found = slots(parallel=3)
    assert [slot.env for slot in found.all] == [{"DSICE_SLOT": str(k)} for k in range(3)]
    assert found.all == Slots.plain(3).all
    assert len(slots().all) == 1


@pytest.mark.parametrize(
    ("asked", "places"),
    [
        ({"gpus": "all"}, [("0",), ("1",), ("2",), ("3",)]),
        ({"gpus": 2}, [("0",), ("1",)]),
        ({"gpus": [2, "GPU-a"]}, [("2",), ("0",)]),
        ({"gpus": "all", "gpus_per_trial": 2}, [("0", "1"), ("2", "3")]),
        ({"gpus": 3, "gpus_per_trial": 2}, [("0", "1")]),
        ({"gpus": 2, "gpus_per_trial": 0.5}, [("0",), ("1",), ("0",), ("1",)]),
        ({"gpus": 1, "gpus_per_trial": 0.33}, [("0",)] * 3),
        ({"gpus": 1, "gpus_per_trial": 0.2}, [("0",)] * 5),
        ({"gpus": 4, "parallel": 2}, [("0",), ("1",)]),
    ],
)
def test_gpus_are_shared_out(asked: dict[str, Any], places: list[tuple[str, ...]]) -> None:
    found = slots(**asked)
    assert devices(found) == places
    for slot in found.all:
        assert slot.env["CUDA_VISIBLE_DEVICES"] == ",".join(slot.devices)


def test_cores_are_shared_out() -> None:
    assert [slot.cores for slot in slots(parallel=3, pinned=True).all] == [(0, 1), (2, 3), (4, 5)]
    by_need = slots(pinned=True, cores_per_trial=4)
    assert [slot.cores for slot in by_need.all] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert [slot.cores for slot in slots(gpus=4, pinned=True).all][3] == (6, 7)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"gpus": 5}, "'run.gpus' = 5: this machine has 4: 0, 1, 2, 3"),
        ({"gpus": [0, 7]}, "no GPU '7': this machine has 4"),
        ({"gpus": [0, "GPU-a"]}, "'GPU-a' is there twice"),
        ({"gpus": "all", "devices": Devices(())}, "no GPU is found on this machine"),
        ({"gpus": 4, "parallel": 5}, "'run.parallel' = 5: the GPUs have room for 4 trials"),
        ({"gpus": 4, "gpus_per_trial": 1.5}, "'run.gpus_per_trial' = 1.5: accepted are"),
        ({"gpus": 2, "gpus_per_trial": 3}, "'run.gpus_per_trial' = 3: there are 2"),
        ({"parallel": 9, "pinned": True}, "9 trials at once need 9 cores and .* may use 8"),
        ({"parallel": 3, "pinned": True, "cores_per_trial": 3}, "need 9 cores"),
    ],
)
def test_what_is_not_there_is_said(
    asked: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InvalidInput, match=words):
        slots(**asked)


def test_a_variable_that_hides_gpus_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(InvalidInput, match=r"may use 2 \(CUDA_VISIBLE_DEVICES='0,1'\)"):
        slots(gpus=4, devices=None)


def test_free_slots_are_on_the_least_used_gpus() -> None:
    found = slots(gpus=2, gpus_per_trial=0.5)
    assert [slot.number for slot in found.free([])] == [0, 1, 2, 3]
    held = [Held(0, ["0"]), Held(2, ["0"])]
    assert [slot.number for slot in found.free(held)] == [1, 3]
    assert [slot.number for slot in found.free([Held(1, ["1"])])] == [0, 2, 3]


def test_trials_of_an_earlier_session_occupy_their_gpus_still() -> None:
    found = slots(gpus=[2, 3])
    # It began when slot 7 was the one on GPU 3; another is on a GPU that is not used any more.
    assert [slot.number for slot in found.free([Held(7, ["3"]), Held(9, ["0"])])] == [0]
    assert [slot.number for slot in found.free([Held(None)])] == [0, 1]


def test_a_stage_may_have_all() -> None:
    found = slots(gpus="all", gpus_per_trial=0.5)
    assert found.whole(None).devices == ("0", "1", "2", "3")
    assert found.whole(None).env == {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}
    assert found.whole(2).env == {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert slots(parallel=2).whole(None).env == {}
