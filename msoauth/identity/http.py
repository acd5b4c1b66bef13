"""Sends HTTPS requests to the sign-in service and to Graph: sessions of requests on connections that are reused.

:func:`session` is for anything, :func:`post` for the token requests of an audit, which are many, and :func:`reach` to
find out whether a server answers a new connection at all.
"""

import functools
import json
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import RemoteDisconnected
from typing import Any, Protocol
from urllib.parse import urlencode

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from msoauth import tls
from msoauth.clouds import Cloud
from msoauth.identity.auth_errors import transport_error
from msoauth.texts import _

_USER_AGENT = "msoauth"
TIMEOUT = 20.0  # seconds for each of connecting and reading
_IDLE_SECONDS = 15.0  # a connection unused for longer may have been closed by the server
_MAX_ADAPTERS = 8  # each has the connections for one CA file and one time limit


class _Adapter(HTTPAdapter):
    """Keeps connections open beyond the session that made them, so that the next session saves two round trips."""

    def __init__(self, context: ssl.SSLContext, timeout: float) -> None:
        self._context = context
        self._timeout = timeout
        self.last_used = time.monotonic()
        self._pools: dict[tuple[Any, ...], tuple[Any, str]] = {}
        super().__init__(pool_maxsize=64)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: str, *_bundles: Any) -> None:
        """Leave verification to our TLS context, which certifi's bundle must not replace."""
        if url.lower().startswith("https"):
            conn.cert_reqs = "CERT_REQUIRED"

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        self.last_used = time.monotonic()
        if options.get("timeout") is None:
            options["timeout"] = self._timeout
        try:
            pool = self.get_connection_with_tls_context(
                request, options.get("verify"), options.get("proxies"), options.get("cert")
            )
            connections_before = getattr(pool, "num_connections", None)
        except (requests.RequestException, ValueError):
            return super().send(request, *args, **options)  # which raises the error itself
        try:
            return super().send(request, *args, **options)
        except requests.ConnectionError as error:
            # The server closed a connection that had been idle, before it read the request.
            connections_after = getattr(pool, "num_connections", None)
            if (
                connections_before is not None
                and connections_before == connections_after
                and _closed_by_server(error)
            ):
                return super().send(request, *args, **options)
            raise

    def post(
        self,
        form: requests.PreparedRequest,
        body: str,
        headers: Mapping[str, str],
        timeout: float,
        proxies: dict[str, str],
    ) -> "Reply":
        """As :meth:`send`, in half the time, because it skips the objects that requests builds for a reply.

        Raises:
            requests.RequestException: there was no reply.
        """
        self.last_used = time.monotonic()
        try:
            pool, path = self._pool_for(form, proxies)
            connections_before = pool.num_connections
            send_request = functools.partial(
                pool.urlopen,
                "POST",
                path,
                body,
                headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                timeout=Timeout(connect=timeout, read=timeout),
            )
            try:
                reply = send_request()
            except ProtocolError as error:
                if pool.num_connections != connections_before or not _closed_by_server(error):
                    raise
                reply = send_request()
        except requests.RequestException:
            raise
        except (HTTPError, ValueError) as error:
            raise _as_requests_error(error, _NO_REPLY) from error
        try:
            content = reply.data  # from here on the connection is free again
        except HTTPError as error:
            raise _as_requests_error(error, _BROKEN_REPLY) from error
        return Reply(reply.status, reply.headers, _text(content, reply.headers))

    def _pool_for(self, form: requests.PreparedRequest, proxies: dict[str, str]) -> tuple[Any, str]:
        """urllib3's pool for the form's address, and the request target; cached, because requests takes long to find it."""
        key = (form.url, *proxies.items())
        pool, path = self._pools.get(key, (None, ""))
        if pool is None or pool.pool is None:  # closed, to make room for others
            pool = self.get_connection_with_tls_context(form, True, proxies)
            path = self.request_url(form, proxies)
            self._pools[key] = (pool, path)
        return pool, path

    def close(self) -> None:
        """Do nothing when a session ends, because the next one reuses the connections."""

    def close_connections(self) -> None:
        """Close the connections."""
        self._pools.clear()
        super().close()


def _closed_by_server(error: BaseException) -> bool:
    current: BaseException | None = error
    for _depth in range(8):
        if isinstance(current, (ConnectionResetError, BrokenPipeError, RemoteDisconnected)):
            return True
        inner = (
            current.args[-1 if isinstance(current, ProtocolError) else 0]
            if current and current.args
            else 0
        )
        current = inner if isinstance(inner, BaseException) else None
    return False


_Kinds = tuple[tuple[type[Exception], type[requests.RequestException]], ...]
# Tried in order; the first match counts.
_NO_REPLY: _Kinds = (
    (NewConnectionError, requests.ConnectionError),
    (ConnectTimeoutError, requests.ConnectTimeout),
    (ReadTimeoutError, requests.ReadTimeout),
    (ProxyError, requests.exceptions.ProxyError),
    (SSLError, requests.exceptions.SSLError),
    (ValueError, requests.exceptions.InvalidURL),
    (HTTPError, requests.ConnectionError),
)
_BROKEN_REPLY: _Kinds = (
    (ProtocolError, requests.exceptions.ChunkedEncodingError),
    (DecodeError, requests.exceptions.ContentDecodingError),
    *_NO_REPLY,
)


def _as_requests_error(cause: Exception, kinds: _Kinds) -> requests.RequestException:
    return next(replacement for kind, replacement in kinds if isinstance(cause, kind))(cause)


def _text(content: bytes, headers: Mapping[str, str]) -> str:
    encoding = requests.utils.get_encoding_from_headers(headers) or "utf-8"
    try:
        return content.decode(encoding, "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


_adapters: dict[tuple[str | None, float], _Adapter] = {}
_adapters_lock = threading.Lock()


def _adapter(ca_file: str | None, timeout: float) -> _Adapter:
    adapter_key = (ca_file, timeout)
    with _adapters_lock:
        now = time.monotonic()
        for key, adapter in list(_adapters.items()):
            if now - adapter.last_used > _IDLE_SECONDS:
                _adapters.pop(key).close_connections()
        existing = _adapters.pop(adapter_key, None)
        _adapters[adapter_key] = existing or _Adapter(tls.context(ca_file), timeout)
        while len(_adapters) > _MAX_ADAPTERS:
            _adapters.pop(next(iter(_adapters))).close_connections()
        return _adapters[adapter_key]


def forget_connections() -> None:
    """Close every connection that is open for later requests."""
    with _adapters_lock:
        while _adapters:
            _adapters.popitem()[1].close_connections()


def session(cloud: Cloud, *, timeout: float = TIMEOUT) -> requests.Session:
    """A session for this cloud's servers; the caller closes it.

    Its connections stay open for the next session in this process, for some seconds.
    The environment's CA variables are ignored, because they would override the CA file of an endpoints
    file; its proxy variables are honoured, except for servers on this computer.
    """
    new_session = requests.Session()
    new_session.trust_env = False
    new_session.proxies = proxies(cloud)
    new_session.mount("https://", _adapter(cloud.ca_file, timeout))
    new_session.headers["User-Agent"] = _USER_AGENT
    return new_session


def proxies(cloud: Cloud) -> dict[str, str]:
    """The proxies that lead to this cloud's servers; none to servers on this computer."""
    host = cloud.authority.split("/")[2].rsplit(":", 1)[0]
    if host in ("localhost", "127.0.0.1", "[::1]"):
        return {}
    return dict(requests.utils.get_environ_proxies(cloud.authority))


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to :func:`post`."""

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    text: str = field(repr=False)

    def json(self) -> Any:
        """The body, parsed as JSON.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.text)


class AnyReply(Protocol):
    """An HTTP reply: a response of requests, or a :class:`Reply`."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by name without regard to case."""

    @property
    def text(self) -> str:
        """The body."""

    def json(self) -> Any:
        """The body, parsed as JSON."""


def post(
    cloud: Cloud,
    url: str,
    *,
    proxies: dict[str, str],
    data: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    timeout: float = TIMEOUT,
) -> Reply:
    """Post a form over a connection that :func:`session` uses too, without the overhead of a session.

    A redirect is not followed, because the form holds secrets.

    Raises:
        requests.RequestException: there was no reply.
    """
    form = _blank_form(url)
    if params:
        form = form.copy()
        form.prepare_url(url, dict(params))
    fields = [(name, value) for name, value in data.items() if value is not None]
    return _adapter(cloud.ca_file, TIMEOUT).post(
        form, urlencode(fields), {**form.headers, **(headers or {})}, timeout, proxies
    )


@functools.lru_cache(maxsize=16)
def _blank_form(url: str) -> requests.PreparedRequest:
    """A request without its form, cached because an audit sends ten thousand to one address."""
    headers = {
        "User-Agent": _USER_AGENT,
        "Accept-Encoding": "gzip, deflate",
        "Connection": "keep-alive",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    blank = requests.Request("POST", url, headers=headers).prepare()
    del blank.headers["Content-Length"]  # that of an empty form
    return blank


@dataclass(frozen=True, slots=True)
class ReachResult:
    """The reply of a server, and who issued its certificate (empty if unknown)."""

    reply: requests.Response
    issuer: str


def reach(cloud: Cloud, url: str, *, timeout: float = TIMEOUT, keep: bool = False) -> ReachResult:
    """Check that the server of *url* answers a new connection, with whatever status.

    Args:
        keep: Use the connection for the next requests, in place of those that are open.

    Raises:
        AuthError: there was no reply.
    """
    adapter = _Adapter(tls.context(cloud.ca_file), timeout)
    with session(cloud, timeout=timeout) as http:
        http.mount("https://", adapter)
        try:
            reply = http.get(url, allow_redirects=False, stream=True)
            issuer = _issuer(reply)
            reply.content  # noqa: B018 - read here, so that the connection is free again
        except requests.RequestException as error:
            adapter.close_connections()
            host = url.split("/")[2]
            raise transport_error(error, _("Reaching {host}").format(host=host)) from None
    with _adapters_lock:
        replaced = _adapters.pop((cloud.ca_file, timeout), None) if keep else adapter
        if keep:
            _adapters[cloud.ca_file, timeout] = adapter
    if replaced is not None:
        replaced.close_connections()
    return ReachResult(reply, issuer)


def _issuer(reply: requests.Response) -> str:
    """Who issued the server's certificate; only known until the body has been read."""
    connection = getattr(getattr(reply.raw, "connection", None), "sock", None)
    if not isinstance(connection, ssl.SSLSocket):
        return ""
    certificate: dict[str, Any] = connection.getpeercert() or {}
    parts = dict(pair for group in certificate.get("issuer", ()) for pair in group)
    return str(parts.get("organizationName") or parts.get("commonName") or "")
