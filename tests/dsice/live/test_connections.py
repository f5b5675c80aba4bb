"""Connections are few, and none is kept by a client that is slow, or silent."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from dsice.live import connections
from dsice.live.connections import Connections
from dsice.live.news import News
from dsice.live.server import Server
from tests.dsice.stories import demo_story

GET = b"GET /data.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    story = demo_story(tmp_path_factory.mktemp("study"), trials=3, written=True)
    return story.study.directory.path


@contextmanager
def serving(directory: Path) -> Iterator[Server]:
    with Server(News(directory), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def connect(server: Server) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=60)
    client.settimeout(60)
    return client


def answer(client: socket.socket) -> bytes:
    """The first line of an answer; empty if the connection has ended."""
    try:
        return client.recv(65536).split(b"\r\n", 1)[0]
    except ConnectionResetError:
        return b""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_whoever_keeps_silent_makes_room_for_others(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 5)
    with serving(directory) as server, ExitStack() as stack:
        silent = []
        for k in range(5):
            silent.append(stack.enter_context(connect(server)))
            until(lambda k=k: len(server.connections) == k + 1)  # type: ignore[misc]
        for k in range(3):
            client = stack.enter_context(connect(server))  # stays, and has been silent less long
            client.sendall(GET)
            assert answer(client) == b"HTTP/1.1 200 OK"
            assert answer(silent[k]) == b""
            until(lambda: len(server.connections) == 5)
        silent[4].sendall(GET)  # the others were silent longer
        assert answer(silent[4]) == b"HTTP/1.1 200 OK"


def test_there_are_no_more_threads_than_connections(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 5)
    before = threading.active_count()
    with serving(directory) as server, ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(40)]
        assert [answer(client) for client in clients[:35]] == [b""] * 35
        until(lambda: threading.active_count() <= before + 1 + 5)
        until(lambda: len(server.connections) == 5)


def test_where_all_are_being_answered_the_next_one_is_refused(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 2)
    asked, go_on = threading.Semaphore(0), threading.Event()

    def versions(self: News) -> bytes:
        asked.release()
        assert go_on.wait(60)
        return b"{}"

    monkeypatch.setattr(News, "versions", versions)
    with serving(directory) as server, ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(2)]
        for client in clients:
            client.sendall(GET)
            assert asked.acquire(timeout=60)
        with connect(server) as more:
            assert answer(more) == b"HTTP/1.1 503 Service Unavailable"
        go_on.set()
        assert [answer(client) for client in clients] == [b"HTTP/1.1 200 OK"] * 2


def test_a_request_that_comes_too_slowly_is_not_awaited(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST", 0.3)
    with serving(directory) as server, connect(server) as client:
        with pytest.raises(OSError, match=r"Broken pipe|reset"):  # noqa: PT012
            client.sendall(b"GET /data.json HTTP/1.1\r\nHost: localhost\r\n")
            for _ in range(3000):  # each byte comes soon, the end never
                client.sendall(b"X-More: more\r\n"[:1])
                time.sleep(0.02)
        until(lambda: len(server.connections) == 0)


def test_whoever_does_not_take_an_answer_is_let_go(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ANSWER", 0.3)
    monkeypatch.setattr(News, "versions", lambda self: b"x" * 50_000_000)
    with serving(directory) as server, connect(server) as client:
        client.sendall(GET)
        until(lambda: len(server.connections) == 1)
        until(lambda: len(server.connections) == 0)


def test_a_connection_may_ask_again_and_again(directory: Path) -> None:
    with serving(directory) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
        for _ in range(5):
            client.request("GET", "/data.json")
            response = client.getresponse()
            assert (response.status, response.read()[:1]) == (200, b"{")
            assert len(server.connections) == 1
        client.close()
        until(lambda: len(server.connections) == 0)


def test_times_count_from_the_last_change() -> None:
    now = 0.0
    kept = Connections(lambda: now)
    here, there = socket.socketpair()
    with here, there:
        assert kept.admit(here)
        now = connections.REQUEST
        kept.end_slow()
        assert len(kept) == 1
        kept.answers(here)
        now += connections.ANSWER
        kept.end_slow()
        assert len(kept) == 1
        kept.awaits_request(here)
        now += connections.REQUEST + 1
        kept.end_slow()
        assert len(kept) == 0
        assert there.recv(1) == b""
        kept.answers(here)  # it had to go meanwhile
        kept.remove(here)
        assert len(kept) == 0
