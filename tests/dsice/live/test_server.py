from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dsice.errors import InvalidInput
from dsice.live import news
from dsice.live.news import News
from dsice.live.server import Server, is_local
from tests.dsice.stories import Story, demo_story

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]


class Browser:
    """Asks a server, as a client that may say anything."""

    def __init__(self, server: Server) -> None:
        self._port = server.server_address[1]

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(
                method, path, body, {k.replace("_", "-"): v for k, v in headers.items()}
            )
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def status(self, path: str, method: str = "GET", **headers: str) -> int:
        return self.ask(path, method, None, **headers)[0].status

    def json(self, path: str) -> Any:
        return json.loads(self.ask(path)[1])


@contextmanager
def served(directory: Path, token: str = "") -> Iterator[Browser]:
    with Server(News(directory), "127.0.0.1", 0, token) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Browser(server)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server looks at the disk whenever it is asked, and needs no megabyte of programs."""
    monkeypatch.setattr(news, "_LOOK", -1.0)
    monkeypatch.setattr(news, "_REST", 0.0)
    monkeypatch.setattr("dsice.report.html.vega", lambda: "window.vegaEmbed = null;")


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """A study on disk in which some trials have ended."""
    return demo_story(tmp_path / "study", trials=12, written=True)


@pytest.fixture
def browser(story: Story) -> Iterator[Browser]:
    """Asks the server of the story."""
    with served(story.study.directory.path) as browser:
        yield browser


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Asks the server of a study that nothing happens to."""
    story = demo_story(tmp_path_factory.mktemp("settled"), trials=12, written=True)
    with served(story.study.directory.path) as browser:
        yield browser


def test_the_page_and_its_parts(browser: Browser, story: Story) -> None:
    response, page = browser.ask("/")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"connect-src &#39;self&#39;" in page
    parts = browser.json("/data.json")["parts"]
    assert {"section head", "section now", "figure progress", "dataset trials"} <= parts.keys()
    assert len(browser.json("/part.json?name=dataset%20trials")) == 12
    assert "demo" in browser.json("/part.json?name=section%20head")
    story.log(3, "hello\n")
    assert browser.json("/trial.json?number=3")["output"] == ["hello"]


def test_only_what_changed_has_a_new_version(browser: Browser, story: Story) -> None:
    before = browser.json("/data.json")["parts"]
    response, _ = browser.ask("/data.json")
    tag = response.headers["ETag"]
    response, nothing = browser.ask("/data.json", If_None_Match=tag)
    assert (response.status, nothing) == (304, b"")
    story.trials(1, seed=3, failures=0)
    response, _ = browser.ask("/data.json", If_None_Match=tag)
    assert response.status == 200
    after = browser.json("/data.json")["parts"]
    changed = {name for name in before if before[name] != after[name]}
    assert {"section head", "dataset trials", "section trials", "figure slots"} <= changed
    assert not {"section pictures", "section failures"} & changed


@pytest.mark.parametrize(
    "path",
    [
        *("/nothing", "/../journal.jsonl", "/%2e%2e/study.toml", "/study.toml", "//etc/passwd"),
        *("/part.json", "/part.json?name=../../study.toml", "/part.json?name=/etc/passwd"),
        *("/trial.json", "/trial.json?number=0", "/trial.json?number=13", "/trial.json?number=-1"),
        *(
            "/trial.json?number=1e1",
            "/trial.json?number=%C2%B2",
            f"/trial.json?number={'9' * 5000}",
        ),
    ],
)
def test_everything_else_is_refused(settled: Browser, path: str) -> None:
    response, content = settled.ask(path)
    assert (response.status, json.loads(content)) == (404, {"error": "there is nothing here"})


@pytest.mark.parametrize(
    "method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
)
def test_nothing_can_be_asked_but_to_see(settled: Browser, method: str) -> None:
    response, _ = settled.ask("/data.json", method, None if method == "TRACE" else b"x=1")
    assert (response.status, response.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "["])
def test_a_name_that_was_made_to_point_here_is_refused(settled: Browser, host: str) -> None:
    assert settled.status("/data.json", Host=host) == 421
    assert settled.status("/", Host=host) == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:1", "[::1]:80"])
def test_own_names_are_good_through_any_tunnel(settled: Browser, host: str) -> None:
    assert settled.status("/data.json", Host=host) == 200


def test_with_a_token_every_route_needs_it(story: Story) -> None:
    with served(story.study.directory.path, token="s3cret") as browser:
        for path in ("/", "/data.json", "/part.json?name=section%20head", "/trial.json?number=1"):
            glue = "&" if "?" in path else "?"
            assert browser.status(path) == 403
            for wrong in ("", "S3cret", "s3cre", "%F0%9F%94%91"):
                assert browser.status(f"{path}{glue}token={wrong}") == 403
            assert browser.status(f"{path}{glue}token=s3cret") == 200


def test_elsewhere_a_token_must_be(story: Story) -> None:
    with pytest.raises(InvalidInput, match="token is needed"):
        Server(News(story.study.directory.path), "0.0.0.0", 0)
    assert [is_local(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [is_local(host) for host in ("0.0.0.0", "::", "10.1.1.1", "node7")] == [False] * 4


def test_a_study_that_is_damaged_is_told_and_may_come_back(browser: Browser, story: Story) -> None:
    journal = story.study.directory.journal
    good = journal.read_bytes()
    journal.write_bytes(b"rubbish\n" + good)
    response, content = browser.ask("/data.json")
    assert response.status == 503
    assert "line 1 cannot be read" in json.loads(content)["error"]
    journal.write_bytes(good + b"\n"[:0])
    assert browser.status("/data.json") == 200


def test_hostile_texts_are_literal(story: Story) -> None:
    attack = "</script><script>window.hacked=1</script>\x1b[31m"
    trial = story.propose((1, 1, 1, 1))
    story.begin(trial)
    story.log(13, attack * 3 + "\n" + "x" * 1_000_000)
    job = story.study.directory.trial(13).job(1)
    job.progress.write_text(json.dumps({attack: 1.5}) + "\n")
    with story.study.directory.lock.held(), served(story.study.directory.path) as browser:
        now = browser.json("/part.json?name=section%20now")
        assert "&lt;script&gt;" in now
        assert "<script" not in now
        assert "\x1b" not in now
        _, content = browser.ask("/trial.json?number=13")
        assert len(content) < 10_000
        _, page = browser.ask("/")
        assert page.count(b"<script") == 3


def test_the_command_says_where_it_is_and_ends_with_ctrl_c(story: Story, dsice: Dsice) -> None:
    directory = str(story.study.directory.path)
    with serving(directory, "--token") as (server, address):
        assert address.startswith("http://127.0.0.1:")
        port, token = address.split(":")[2].split("/?token=")
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
        connection.request("GET", f"/data.json?token={token}")
        assert connection.getresponse().status == 200
        connection.close()
        taken = dsice("serve", directory, "--port", port)
        assert (taken.returncode, taken.stdout) == (2, "")
        assert f"port {port} of 127.0.0.1 is taken" in taken.stderr
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=60)
        assert (server.returncode, errors) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_on_a_signal_even_when_a_shell_started_it_in_the_background(
    story: Story, number: signal.Signals
) -> None:
    with serving(str(story.study.directory.path), ignoring=True) as (server, _):
        server.send_signal(number)
        _, errors = server.communicate(timeout=60)
        assert (server.returncode, errors) == (0, b"")


@contextmanager
def serving(
    directory: str, *options: str, ignoring: bool = False
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """``dsice serve`` as a process, and its address; ``ignoring`` SIGINT as after ``nohup ... &``.

    It is killed if a test fails, instead of being waited for.
    """
    command = [sys.executable, "-m", "dsice.cli", "serve", directory, "--port", "0", *options]
    if ignoring:
        command = ["sh", "-c", 'trap "" INT HUP; exec "$@"', "sh", *command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            yield server, server.stdout.readline().decode().split()[-1]
        finally:
            server.kill()


def test_the_page_says_which_hook_failed(story: Story) -> None:
    directory = story.study.directory.path
    with served(directory) as browser:
        assert "hook" not in browser.json("/part.json?name=section%20now")
        (directory / "hooks.log").write_text(
            "--- a on_best: b\n<i>\n=== a on_best: exit <code> 3\n"
        )
        shown = browser.json("/part.json?name=section%20now")
        assert "A hook failed: a on_best: exit &lt;code&gt; 3; its output is in hooks.log" in shown
        (directory / "hooks.log").unlink()
        (directory / "hooks.log").symlink_to(__file__)  # followed by nobody
        assert "hook" not in browser.json("/part.json?name=section%20now")
