import math
import signal
from multiprocessing import active_children

import pytest

from dsice.errors import DsiceError
from dsice.simulate.workers import spread


def test_all_jobs_are_done() -> None:
    found: dict[int, float] = {}
    spread(math.sqrt, range(7), 2, found.__setitem__)
    assert found == {n: math.sqrt(n) for n in range(7)}
    assert not active_children()


def test_what_the_work_raises_ends_all() -> None:
    with pytest.raises(ValueError, match="math domain error"):
        spread(math.sqrt, [4, -1, 9], 2, lambda job, result: None)
    assert not active_children()


def test_a_process_that_is_gone_is_told_of() -> None:
    with pytest.raises(DsiceError, match="was killed: is memory short"):
        spread(signal.raise_signal, [signal.SIGKILL] * 2, 2, lambda job, result: None)
    assert not active_children()
