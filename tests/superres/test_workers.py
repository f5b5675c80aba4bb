from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from superres.workers import in_processes


def test_results_come_in_order_and_items_are_taken_as_needed() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield -number  # what comes back is the number

    results = in_processes(operator.neg, items(), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(taken) <= 3 + 2 * 2
    del results  # ends the processes


def test_processes_end_with_the_one_that_began_them(tmp_path: Path) -> None:
    """Even if it is killed: the write end of the pipe is theirs, and closes when they are gone."""
    script = tmp_path / "work.py"
    script.write_text(
        "import os, time\n"
        "from superres.workers import in_processes\n"
        "if __name__ == '__main__':\n"
        "    for pid in in_processes(os.getpgid, [0] * 3, 2):\n"
        "        print('working', flush=True)\n"
        "        time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    # If it fails, the test ends nevertheless, and leaves nothing behind.
    late = threading.Timer(60, os.killpg, (process.pid, signal.SIGKILL))
    with process.stdout:
        assert process.stdout.readline() == b"working\n"
        process.kill()
        process.wait()
        late.start()
        process.stdout.read()
    in_time = not late.finished.is_set()
    late.cancel()
    assert in_time
