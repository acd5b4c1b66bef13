"""The one way this package speaks HTTPS: a configured session of requests, failures as AuthError."""

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

_NAME = "msoauth"  # as which we introduce ourselves
TIMEOUT = 20.0  # seconds for each of connecting and reading


_IDLE_SECONDS = 15.0  # a connection unused for longer may be gone without our knowing
_KEPT = 8  # sets of connections: one a CA file and time limit


class _Adapter(HTTPAdapter):
    """Connections that outlive the session that made them: the next request saves two round trips."""

    def __init__(self, context: ssl.SSLContext, timeout: float) -> None:
        self._context = context
        self._timeout = timeout
        self.used = time.monotonic()
        self._ways: dict[tuple[Any, ...], tuple[Any, str]] = {}
        super().__init__(pool_maxsize=64)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: str, *_bundles: Any) -> None:
        """The context above decides; requests must not lay certifi's bundle over it."""
        if url.lower().startswith("https"):
            conn.cert_reqs = "CERT_REQUIRED"

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        self.used = time.monotonic()
        if options.get("timeout") is None:
            options["timeout"] = self._timeout
        try:
            pool = self.get_connection_with_tls_context(
                request, options.get("verify"), options.get("proxies"), options.get("cert")
            )
            made = getattr(pool, "num_connections", None)
        except (requests.RequestException, ValueError):
            return super().send(request, *args, **options)  # it fails there with its own words
        try:
            return super().send(request, *args, **options)
        except requests.ConnectionError as problem:
            # The server hung up on a connection that had been idle, before it read the request.
            again = getattr(pool, "num_connections", None)
            if made is not None and made == again and _hung_up(problem):
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
        """As :meth:`send`, without what requests lays around the answer: half of the time that it all takes.

        Raises:
            requests.RequestException: nothing came.
        """
        self.used = time.monotonic()
        try:
            pool, path = self._way(form, proxies)
            made = pool.num_connections
            ask = functools.partial(
                pool.urlopen, "POST", path, body, headers, retries=False,
                redirect=False, assert_same_host=False, preload_content=False,
                timeout=Timeout(connect=timeout, read=timeout),
            )  # fmt: skip
            try:
                answer = ask()
            except ProtocolError as problem:
                if pool.num_connections != made or not _hung_up(problem):
                    raise
                answer = ask()
        except requests.RequestException:
            raise
        except (HTTPError, ValueError) as problem:
            raise _in_words_of_requests(problem, _UNANSWERED) from problem
        try:
            content = answer.data  # from here on the connection is free again
        except HTTPError as problem:
            raise _in_words_of_requests(problem, _BROKEN_OFF) from problem
        return Reply(answer.status, answer.headers, _text(content, answer.headers))

    def _way(self, form: requests.PreparedRequest, proxies: dict[str, str]) -> tuple[Any, str]:
        """The connections that lead there, and what is asked of them; kept, for it takes long to find them."""
        place = (form.url, *proxies.items())
        pool, path = self._ways.get(place, (None, ""))
        if pool is None or pool.pool is None:  # closed, to make room for others
            pool = self.get_connection_with_tls_context(form, True, proxies)
            path = self.request_url(form, proxies)
            self._ways[place] = (pool, path)
        return pool, path

    def close(self) -> None:
        """A session that ends leaves the connections to the next one."""

    def end(self) -> None:
        """Let go of the connections."""
        self._ways.clear()
        super().close()


def _hung_up(problem: BaseException) -> bool:
    seen: BaseException | None = problem
    for _depth in range(8):
        if isinstance(seen, (ConnectionResetError, BrokenPipeError, RemoteDisconnected)):
            return True
        inner = seen.args[-1 if isinstance(seen, ProtocolError) else 0] if seen and seen.args else 0
        seen = inner if isinstance(inner, BaseException) else None
    return False


_Kinds = tuple[tuple[type[Exception], type[requests.RequestException]], ...]
# The first that fits.
_UNANSWERED: _Kinds = (
    (NewConnectionError, requests.ConnectionError),
    (ConnectTimeoutError, requests.ConnectTimeout),
    (ReadTimeoutError, requests.ReadTimeout),
    (ProxyError, requests.exceptions.ProxyError),
    (SSLError, requests.exceptions.SSLError),
    (ValueError, requests.exceptions.InvalidURL),
    (HTTPError, requests.ConnectionError),
)
_BROKEN_OFF: _Kinds = (
    (ProtocolError, requests.exceptions.ChunkedEncodingError),
    (DecodeError, requests.exceptions.ContentDecodingError),
    *_UNANSWERED,
)


def _in_words_of_requests(problem: Exception, kinds: _Kinds) -> requests.RequestException:
    return next(said for kind, said in kinds if isinstance(problem, kind))(problem)


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
        kept = _adapters.pop(place, None)
        if kept is not None and time.monotonic() - kept.used > _IDLE_SECONDS:
            kept.end()
            kept = None
        _adapters[place] = kept or _Adapter(tls.context(ca_file), timeout)
        while len(_adapters) > _KEPT:
            _adapters.pop(next(iter(_adapters))).end()
        return _adapters[place]


def forget_connections() -> None:
    """Close every connection that is kept for later."""
    with _adapters_lock:
        while _adapters:
            _adapters.popitem()[1].end()


def session(cloud: Cloud, *, timeout: float = TIMEOUT) -> requests.Session:
    """A session for this cloud's servers. The caller closes it.

    Connections are kept for the next session of this process, for some seconds.
    The environment's CA variables are ignored, because they would override the CA file of an endpoints
    file; its proxy variables are honoured, except for servers on this computer.
    """
    made = requests.Session()
    made.trust_env = False
    made.proxies = proxies(cloud)
    made.mount("https://", _adapter(cloud.ca_file, timeout))
    made.headers["User-Agent"] = _NAME
    return made


def proxies(cloud: Cloud) -> dict[str, str]:
    """The proxies that lead to this cloud's servers; none to servers on this computer."""
    host = cloud.authority.split("/")[2].rsplit(":", 1)[0]
    if host in ("localhost", "127.0.0.1", "[::1]"):
        return {}
    return dict(requests.utils.get_environ_proxies(cloud.authority))


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for a form."""

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    text: str = field(repr=False)

    def json(self) -> Any:
        """The text, read.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.text)


class Answered(Protocol):
    """An answer over HTTP: of a session, or a :class:`Reply`."""

    @property
    def status_code(self) -> int:
        """As HTTP counts them."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, without regard to case."""

    @property
    def text(self) -> str:
        """The content."""

    def json(self) -> Any:
        """The content, read."""


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
    """What came back for a form, over a connection of :func:`session`'s, without a session's work.

    A redirect is not followed: the form holds secrets.

    Raises:
        requests.RequestException: nothing came.
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
    """A form to be filled in: an audit sends ten thousand to one address."""
    headers = {
        "User-Agent": _NAME, "Accept-Encoding": "gzip, deflate", "Connection": "keep-alive",
        "Content-Type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    blank = requests.Request("POST", url, headers=headers).prepare()
    del blank.headers["Content-Length"]  # that of no form at all
    return blank


@dataclass(frozen=True, slots=True)
class Reached:
    """An answer, whatever its status, and who issued the server's certificate (empty: not known)."""

    reply: requests.Response
    issuer: str


def reach(cloud: Cloud, url: str, *, timeout: float = TIMEOUT, keep: bool = False) -> Reached:
    """Ask for *url* and take any answer, whatever its status: the server is there.

    It is asked over a new connection; one that is still open would not tell what a new one meets.

    Args:
        keep: The connection is kept for what is asked next, in place of those that are open.

    Raises:
        AuthError: no answer came.
    """
    adapter = _Adapter(tls.context(cloud.ca_file), timeout)
    with session(cloud, timeout=timeout) as http:
        http.mount("https://", adapter)
        try:
            reply = http.get(url, allow_redirects=False, stream=True)
            issuer = _issuer(reply)
            reply.content  # noqa: B018 - read here, so that the connection is free again
        except requests.RequestException as problem:
            adapter.end()
            host = url.split("/")[2]
            raise transport_error(problem, _("Reaching {host}").format(host=host)) from None
    with _adapters_lock:
        old = _adapters.pop((cloud.ca_file, timeout), None) if keep else adapter
        if keep:
            _adapters[cloud.ca_file, timeout] = adapter
    if old is not None:
        old.end()
    return Reached(reply, issuer)


def _issuer(reply: requests.Response) -> str:
    """Who issued the certificate; to be asked before the content is read, while the connection is ours."""
    connection = getattr(getattr(reply.raw, "connection", None), "sock", None)
    if not isinstance(connection, ssl.SSLSocket):
        return ""
    certificate: dict[str, Any] = connection.getpeercert() or {}
    parts = dict(pair for group in certificate.get("issuer", ()) for pair in group)
    return str(parts.get("organizationName") or parts.get("commonName") or "")
