"""Listens on the loopback interface for the browser's redirect at the end of a sign-in (RFC 8252, 7.3).

It takes one answer, at one path, with one state; every other request gets an error page.
"""

import errno
import hmac
import html
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from msoauth import ports
from msoauth.errors import AuthError
from msoauth.texts import _, language

_BODY_LIMIT = 64 * 1024  # an answer has a few kilobytes
_ATTEMPTS = 10  # to find a port that is free on both 127.0.0.1 and ::1
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


class Listener:
    """Listens on 127.0.0.1 and ::1 of one port.

    Attributes:
        port: The port.
        answered: Set when the answer is there, or when the listener was closed.
        answer: The answer's fields, or None.
    """

    def __init__(self, host: str, port: int | None, path: str) -> None:
        self.answered = threading.Event()
        self.answer: dict[str, str] | None = None
        self._path = path
        self._state = ""
        self._lock = threading.Lock()
        self._servers: list[_Server] = []
        self._threads: list[threading.Thread] = []
        for _attempt in range(_ATTEMPTS):
            try:
                self._servers = self._bind(host, port or 0)
                break
            except OSError as error:
                bind_error = error
        else:
            if port is None:
                raise AuthError(
                    _("No free port was found on this computer."),
                    evidence=bind_error.strerror or str(bind_error),
                )
            raise AuthError(
                _(
                    "Port {port}, which the redirect URI names, is taken on this computer: end the other sign-in that waits there, or the program that uses it."
                ).format(port=port),
                cause="redirect-mismatch",
                evidence=bind_error.strerror or str(bind_error),
            )
        self.port = int(self._servers[0].server_address[1])

    def _bind(self, host: str, port: int) -> "list[_Server]":
        """Servers on 127.0.0.1 and, as some browsers try it first for localhost, on ::1 of the same port.

        Raises:
            OSError: the port is taken on one of them, so that another program could receive the answer.
        """
        servers = [_Server(("127.0.0.1", port), self)]
        if host != "localhost":
            return servers
        try:
            servers.append(_Server6(("::1", int(servers[0].server_address[1])), self))
        except OSError as error:
            if error.errno not in _NO_IPV6:
                servers[0].server_close()
                raise
        return servers

    def listen(self, state: str) -> None:
        """Start listening for the answer with this *state*."""
        self._state = state
        for server in self._servers:
            thread = threading.Thread(
                target=server.serve_forever, args=(0.1,), name="sign-in listener", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Stop listening; a waiting thread wakes up."""
        with self._lock:
            servers, self._servers = self._servers, []
        for server in servers:
            if self._threads:
                server.shutdown()
            server.server_close()
        if threading.current_thread() not in self._threads:
            for thread in self._threads:
                thread.join(5)
        self.answered.set()

    def handle(self, target: str, host: str, fields: dict[str, str]) -> tuple[int, str]:
        """The HTTP status and the page for a request; 200 only for the answer, which is stored in ``answer``."""
        try:
            hostname = urlsplit(f"//{host}").hostname
            path = urlsplit(target).path or "/"
        except ValueError:
            hostname, path = None, ""
        if hostname not in ("localhost", "127.0.0.1", "::1"):
            return HTTPStatus.FORBIDDEN, _page(
                _("Not for this address"), _("This page answers to this computer only.")
            )
        if path != self._path or not ({"code", "error"} & fields.keys()):
            return HTTPStatus.NOT_FOUND, _page(
                _("Nothing here"), _("The sign-in is waiting for its answer at another address.")
            )
        if not hmac.compare_digest(fields.get("state", "").encode(), self._state.encode()):
            return HTTPStatus.BAD_REQUEST, _page(
                _("This answer does not belong to the sign-in"),
                _(
                    "It comes from an older tab or another attempt. Close this window and use the newest sign-in page."
                ),
            )
        with self._lock:
            if self.answer is not None:
                return HTTPStatus.CONFLICT, _page(
                    _("Already answered"),
                    _("This sign-in has its answer. You may close this window."),
                )
            self.answer = fields
        if "error" in fields:
            why = fields.get("error_description") or fields["error"]
            return HTTPStatus.OK, _page(
                _("The sign-in did not succeed"), why, _("You may close this window and go back.")
            )
        return HTTPStatus.OK, _page(
            _("Verification code received"),
            _("You may close this window. The rest happens where you started the sign-in."),
        )


class _Server(ThreadingHTTPServer):
    """An HTTP server on one loopback address."""

    daemon_threads = True
    allow_reuse_address = False  # server_bind says what is reused

    def server_bind(self) -> None:
        ports.take_alone(self.socket)
        # Not HTTPServer's own, which asks DNS for the computer's whole name: up to half a minute on macOS.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def __init__(self, address: tuple[str, int], listener: Listener) -> None:
        self.listener = listener
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing when a browser closes the connection early."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # seconds for a whole request: half-open connections do not pile up

    def do_GET(self) -> None:
        self._handle(_fields(self.path.partition("?")[2]))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _BODY_LIMIT:
            self._reply(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                _page(_("Too long"), _("This is not a sign-in's answer.")),
            )
            return
        body = self.rfile.read(int(length)).decode("utf-8", "replace")
        self._handle(_fields(body))

    def _handle(self, fields: dict[str, str]) -> None:
        listener = self.server.listener
        status, page = listener.handle(self.path, self.headers.get("Host", ""), fields)
        try:
            self._reply(status, page)
        finally:
            # Not earlier: the waiting thread may end the program, and then the page would not be sent.
            if status == HTTPStatus.OK:
                listener.answered.set()

    def _reply(self, status: int, page: str) -> None:
        body = page.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "msoauth"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Log nothing: the request line holds the authorization code."""


def _fields(query: str) -> dict[str, str]:
    try:
        return {name: values[0] for name, values in parse_qs(query, max_num_fields=50).items()}
    except ValueError:
        return {}


def _page(title: str, *paragraphs: str) -> str:
    body = "".join(f"<p>{html.escape(text)}</p>" for text in paragraphs)
    return f"""<!DOCTYPE html>
<html lang="{language()}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{html.escape(title)} – msoauth</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 17px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem; }}
  h1 {{ font-size: 1.6rem; font-weight: 600; margin-bottom: .5rem; }}
  p {{ white-space: pre-line; overflow-wrap: anywhere; }}
</style></head><body><main><h1>{html.escape(title)}</h1>{body}</main></body></html>"""
