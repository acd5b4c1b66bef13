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
    """Connections that outlive the session that made them, so that the next one saves two round trips."""

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
            made = getattr(pool, "num_connections", None)
        except (requests.RequestException, ValueError):
            return super().send(request, *args, **options)  # it raises the error there
        try:
            return super().send(request, *args, **options)
        except requests.ConnectionError as problem:
            # The server closed a connection that had been idle, before it read the request.
            again = getattr(pool, "num_connections", None)
            if made is not None and made == again and _closed_by_server(problem):
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
        """As :meth:`send`, in half the time: without the objects that requests makes of an answer.

        Raises:
            requests.RequestException: there was no reply.
        """
        self.last_used = time.monotonic()
        try:
            pool, path = self._pool_for(form, proxies)
            made = pool.num_connections
            ask = functools.partial(
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
                answer = ask()
            except ProtocolError as problem:
                if pool.num_connections != made or not _closed_by_server(problem):
                    raise
                answer = ask()
        except requests.RequestException:
            raise
        except (HTTPError, ValueError) as problem:
            raise _as_requests_error(problem, _NO_REPLY) from problem
        try:
            content = answer.data  # from here on the connection is free again
        except HTTPError as problem:
            raise _as_requests_error(problem, _BROKEN_REPLY) from problem
        return Reply(answer.status, answer.headers, _text(content, answer.headers))

    def _pool_for(self, form: requests.PreparedRequest, proxies: dict[str, str]) -> tuple[Any, str]:
        """urllib3's pool for the form's address, and the request target; cached, because requests looks long for it."""
        key = (form.url, *proxies.items())
        pool, path = self._pools.get(key, (None, ""))
        if pool is None or pool.pool is None:  # closed, to make room for others
            pool = self.get_connection_with_tls_context(form, True, proxies)
            path = self.request_url(form, proxies)
            self._pools[key] = (pool, path)
        return pool, path

    def close(self) -> None:
        """Do nothing when a session ends: the connections are for the next one."""

    def close_connections(self) -> None:
        """Close the connections."""
        self._pools.clear()
        super().close()


def _closed_by_server(problem: BaseException) -> bool:
    seen: BaseException | None = problem
    for _depth in range(8):
        if isinstance(seen, (ConnectionResetError, BrokenPipeError, RemoteDisconnected)):
            return True
        inner = seen.args[-1 if isinstance(seen, ProtocolError) else 0] if seen and seen.args else 0
        seen = inner if isinstance(inner, BaseException) else None
    return False


_Kinds = tuple[tuple[type[Exception], type[requests.RequestException]], ...]
# The first that fits.
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


def _as_requests_error(problem: Exception, kinds: _Kinds) -> requests.RequestException:
    return next(error for kind, error in kinds if isinstance(problem, kind))(problem)


def _text(content: bytes, headers: Mapping[str, str]) -> str:
    encoding = requests.utils.get_encoding_from_headers(headers) or "utf-8"
    try:
        return content.decode(encoding, "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


_adapters: dict[tuple[str | None, float], _Adapter] = {}
_adapters_lock = threading.Lock()


def _adapter(ca_file: str | None, timeout: float) -> _Adapter:
    place = (ca_file, timeout)
    with _adapters_lock:
        now = time.monotonic()
        for key, adapter in list(_adapters.items()):
            if now - adapter.last_used > _IDLE_SECONDS:
                _adapters.pop(key).close_connections()
        kept = _adapters.pop(place, None)
        _adapters[place] = kept or _Adapter(tls.context(ca_file), timeout)
        while len(_adapters) > _MAX_ADAPTERS:
            _adapters.pop(next(iter(_adapters))).close_connections()
        return _adapters[place]


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
    made = requests.Session()
    made.trust_env = False
    made.proxies = proxies(cloud)
    made.mount("https://", _adapter(cloud.ca_file, timeout))
    made.headers["User-Agent"] = _USER_AGENT
    return made


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
    """Post a form over a connection that :func:`session` uses too, without the work of a session.

    A redirect is not followed, because the form holds secrets.

    Raises:
        requests.RequestException: there was no reply.
    """
    form = _blank_form(url)
    if params:
        form = form.copy()
        form.prepare_url(url, dict(params))
    given = [(name, value) for name, value in data.items() if value is not None]
    return _adapter(cloud.ca_file, TIMEOUT).post(
        form, urlencode(given), {**form.headers, **(headers or {})}, timeout, proxies
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
class Reached:
    """The reply of a server, and who issued its certificate (empty: unknown)."""

    reply: requests.Response
    issuer: str


def reach(cloud: Cloud, url: str, *, timeout: float = TIMEOUT, keep: bool = False) -> Reached:
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
        except requests.RequestException as problem:
            adapter.close_connections()
            host = url.split("/")[2]
            raise transport_error(problem, _("Reaching {host}").format(host=host)) from None
    with _adapters_lock:
        old = _adapters.pop((cloud.ca_file, timeout), None) if keep else adapter
        if keep:
            _adapters[cloud.ca_file, timeout] = adapter
    if old is not None:
        old.close_connections()
    return Reached(reply, issuer)


def _issuer(reply: requests.Response) -> str:
    """Who issued the server's certificate; only known until the body has been read."""
    connection = getattr(getattr(reply.raw, "connection", None), "sock", None)
    if not isinstance(connection, ssl.SSLSocket):
        return ""
    certificate: dict[str, Any] = connection.getpeercert() or {}
    parts = dict(pair for group in certificate.get("issuer", ()) for pair in group)
    return str(parts.get("organizationName") or parts.get("commonName") or "")
