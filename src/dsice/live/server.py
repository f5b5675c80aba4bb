"""A small read-only web server that shows one study.

Answers GET only, and only the routes of `_Handler`; no part of a request is used as a path. It
needs a token unless it listens on a loopback address. Against DNS rebinding, the Host header
must be an address or one of this machine's names. Connections are limited, see
`dsice.live.connections`.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import ipaddress
import json
import socket
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from dsice.errors import DsiceError, InvalidInput
from dsice.live.connections import REQUEST, Connections
from dsice.live.news import News

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_JSON: Final = "application/json"
_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Server(ThreadingHTTPServer):
    """Serves one study. ``serve_forever`` until ``shutdown`` or a Ctrl-C.

    Args:
        news: of the study.
        host: the address or name to listen at.
        port: 0 takes any that is free.
        token: what requests must bring; empty if nothing. Needed unless `is_local`.

    Raises:
        InvalidInput: the address cannot be had; the message says why.
    """

    daemon_threads = True

    def __init__(self, news: News, host: str, port: int, token: str = "") -> None:
        if not token and not is_local(host):
            raise InvalidInput(f"{host} can be reached from other machines: a token is needed")
        self.news: Final = news
        self.token: Final = token
        self.host: Final = host
        self.connections: Final = Connections()
        names = [
            "localhost",
            host,
            socket.gethostname(),
            "" if is_local(host) else socket.getfqdn(),
        ]
        self.names: Final = {name.lower() for name in names if name}
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except OverflowError:
            raise InvalidInput(f"--port {port}: accepted are 0 to 65535") from None
        except OSError as error:
            raise InvalidInput(_why(error, host, port)) from None

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        query = f"?token={self.token}" if self.token else ""
        return f"http://{host}:{self.server_address[1]}/{query}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer on a thread of its own, if there is a place."""
        if self.connections.admit(request):
            super().process_request(request, client_address)
        else:
            with suppress(OSError):
                request.settimeout(0)
                request.sendall(_BUSY)
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self.connections.remove(request)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End the connections that take too long."""
        self.connections.end_slow()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore browsers that close their connection."""


def is_local(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken: give another with --port, or --port 0 for any"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights: give one from 1024 on with --port"
    return f"cannot listen at {host}, port {port}: {error.strerror or error}"


class _Handler(BaseHTTPRequestHandler):
    """Answers requests."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "dsice"
    sys_version = ""
    timeout = REQUEST

    def handle_one_request(self) -> None:
        """Await a request, and answer it."""
        self.server.connections.awaits_request(self.connection)
        super().handle_one_request()

    def do_GET(self) -> None:
        """Answer one of the routes."""
        self.server.connections.answers(self.connection)
        try:
            url = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST, "this is no address")
            return
        try:
            if not self._comes_by_our_name():
                self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this server has another name")
            elif not self._has_token(query.get("token", "")):
                self._refuse(HTTPStatus.FORBIDDEN, "the token is missing or wrong")
            else:
                self._route(url.path, query)
        except DsiceError as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    def _route(self, path: str, query: dict[str, str]) -> None:
        news = self.server.news
        found: bytes | None = None
        match path:
            case "/":
                found = news.page().encode()
            case "/data.json":
                found = news.versions()
            case "/part.json":
                found = news.part(query.get("name", ""))
            case "/trial.json":
                asked = query.get("number", "")
                ascii_digits = asked.isascii() and asked.isdecimal() and len(asked) < 10
                found = news.trial(int(asked)) if ascii_digits else None
            case "/favicon.ico":
                self._answer(HTTPStatus.NO_CONTENT, _JSON, b"")
                return
        if found is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
            return
        self._answer(HTTPStatus.OK, _JSON if path != "/" else "text/html; charset=utf-8", found)

    def _comes_by_our_name(self) -> bool:
        try:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
            if name in self.server.names:
                return True
            ipaddress.ip_address(name)  # only names can be made to point elsewhere
        except ValueError:
            return False
        return True

    def _has_token(self, given: str) -> bool:
        token = self.server.token
        return not token or hmac.compare_digest(given.encode(), token.encode())

    def _answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        if status is HTTPStatus.OK and self.headers.get("If-None-Match") == tag:
            status, content = HTTPStatus.NOT_MODIFIED, b""
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("ETag", tag)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        content = json.dumps({"error": why}).encode()
        self.close_connection = True
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.send_header("Content-Type", _JSON)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what the library could not make sense of: other methods than GET, above all."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "this server only shows: GET")
        else:
            self._refuse(HTTPStatus(code), message or "")

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the address may contain the token."""
