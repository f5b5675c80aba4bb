"""The limit of BLAS threads: in force within a block, and nothing left of it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event, Thread

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from dsice import Axis, Goal, Grid, make_search
from dsice.gp.anova import Anova
from dsice.threads import one_blas_thread


def threads() -> set[int]:
    """Numbers of threads of the BLAS libraries in this process."""
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """As without OMP_NUM_THREADS, on any machine."""
    with threadpool_limits(2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("this BLAS has no threads")
        yield


def test_a_block_has_one_thread_and_gives_the_others_back() -> None:
    with one_blas_thread():
        assert threads() == {1}
        with one_blas_thread():
            assert threads() == {1}
        assert threads() == {1}
    assert threads() == {2}


def test_an_error_gives_them_back_too() -> None:
    with pytest.raises(ValueError, match="inside"), one_blas_thread():
        raise ValueError("inside")
    assert threads() == {2}


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_blocks_that_overlap_in_two_python_threads(first_ends_first: bool) -> None:
    other_is_in, end_other = Event(), Event()

    def other() -> None:
        with one_blas_thread():
            other_is_in.set()
            end_other.wait(60)

    thread = Thread(target=other)
    with one_blas_thread():
        thread.start()
        assert other_is_in.wait(60)
        if not first_ends_first:
            end_other.set()
            thread.join()
        assert threads() == {1}
    end_other.set()
    thread.join()
    assert threads() == {2}


CALLS: dict[str, Callable[..., object]] = {
    "ask": lambda search: search.ask(1),
    "forecast": lambda search: search.forecast([(0, 0)]),
    "tell and ask": lambda search: (search.tell((3, 3), {"cost": 5.0}), search.ask(1)),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_call_of_a_search_computes_with_one_thread(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    covariance = Anova.covariance

    def observed(*arguments: object) -> object:
        seen.update(threads())
        return covariance(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Anova, "covariance", observed)
    grid = Grid([Axis.integers("x", 0, 9), Axis.integers("y", 0, 9)])
    search = make_search("dsice", grid, Goal(minimize="cost"))
    for k in range(8):
        search.tell((k, (3 * k) % 10), {"cost": float((k - 4) ** 2)})
    CALLS[call](search)
    assert seen == {1}
    assert threads() == {2}
