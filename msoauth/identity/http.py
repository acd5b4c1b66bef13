"""Sends HTTPS requests to the sign-in service and to Graph, through proxies where there are any, on connections that are reused.

:func:`get` and :func:`post` are for everybody, msal included; :func:`reach` finds out whether a server answers a new
connection at all. Redirects are never followed, because requests hold secrets. All of them raise
:class:`urllib3.exceptions.HTTPError` where there was no reply.
"""

import importlib
import importlib.util
import ipaddress
import json
import shutil
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from urllib3 import (
    BaseHTTPResponse,
    HTTPHeaderDict,
    PoolManager,
    ProxyManager,
    Timeout,
    make_headers,
)
from urllib3.exceptions import (
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
)

from msoauth import tls
from msoauth.clouds import Cloud
from msoauth.identity.auth_errors import chain, transport_error
from msoauth.texts import _

TIMEOUT = 20.0  # seconds for each of connecting and reading
_IDLE_SECONDS = 15.0  # a connection unused for longer may have been closed by the server
_MAX_POOLS = 128  # each has the connections for one TLS context and one proxy
_HEADERS = {"User-Agent": "msoauth", "Accept-Encoding": "gzip, deflate"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class BrokenReplyError(HTTPError):
    """A reply began and could not be read to its end."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply."""

    status_code: int
    headers: Mapping[str, str] = field(repr=False)  # by name, without regard to case
    text: str = field(repr=False)

    def json(self) -> Any:
        """The body, parsed as JSON.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.text)


class _Pool:
    """The connections for one TLS context and one proxy."""

    def __init__(self, context: ssl.SSLContext, proxy: str | None) -> None:
        self._manager = _manager(context, proxy)
        self._by_socks = bool(proxy and proxy.startswith("socks"))
        self._proxy = without_credentials(proxy) if proxy else ""
        self.last_used: float | None = None

    def send(self, method: str, url: str, timeout: float, **options: Any) -> BaseHTTPResponse:
        """Send a request; the reply's body is still to be read.

        Raises:
            HTTPError: there was no reply.
        """
        was_used, self.last_used = self.last_used is not None, time.monotonic()
        options |= {
            "retries": False,
            "redirect": False,
            "preload_content": False,
            "timeout": Timeout(connect=timeout, read=timeout),
        }
        try:
            return self._request(method, url, was_used, options)
        except ProxyError as error:
            error.proxy = self._proxy  # type: ignore[attr-defined]  # for transport_error to name it
            raise

    def _request(
        self, method: str, url: str, was_used: bool, options: dict[str, Any]
    ) -> BaseHTTPResponse:
        try:
            try:
                return self._manager.request(method, url, **options)
            except ProtocolError as error:
                # A server may close a connection that had been idle just when it is used again. On a new connection
                # it has read the request, which must not be sent twice.
                if not was_used or not any(isinstance(e, ConnectionError) for e in chain(error)):
                    raise
                return self._manager.request(method, url, **options)
        except NewConnectionError as error:
            if self._by_socks:  # the proxy's own refusals too come as this
                raise ProxyError("the SOCKS proxy did not connect", error) from error
            raise

    def close(self) -> None:
        """Close the connections."""
        self._manager.clear()


def _manager(context: ssl.SSLContext, proxy: str | None) -> PoolManager:
    """urllib3's connections, direct or through a proxy.

    Raises:
        ProxyError: the proxy's URL is none, or the package for its kind is missing.
    """
    options: dict[str, Any] = {"ssl_context": context, "maxsize": 64}
    if proxy is None:
        return PoolManager(**options)
    parts = urlsplit(proxy)
    name, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme.startswith("socks"):
        if importlib.util.find_spec("socks") is None:
            missing = _("a SOCKS proxy needs the Python package PySocks")
            raise ProxyError(missing, ImportError("socks"))
        from urllib3.contrib.socks import SOCKSProxyManager

        return SOCKSProxyManager(proxy, username=name or None, password=password, **options)
    sign_in = make_headers(proxy_basic_auth=f"{name}:{password}") if name else None
    try:
        return ProxyManager(proxy, proxy_headers=sign_in, proxy_ssl_context=context, **options)
    except LocationValueError as error:
        raise ProxyError(_("the proxy's address is not valid"), error) from None


# Known by what they trust, and not by the name of its file, in which other certificates may stand meanwhile. Where each
# thread has a context of its own (Windows, macOS), each has connections of its own.
_pools: dict[tuple[ssl.SSLContext, str | None], _Pool] = {}
_pools_lock = threading.Lock()


def _pool(cloud: Cloud, proxy: str | None) -> _Pool:
    context = tls.context(cloud.ca_file)
    with _pools_lock:
        now = time.monotonic()
        for key, pool in list(_pools.items()):
            if pool.last_used is not None and now - pool.last_used > _IDLE_SECONDS:
                _pools.pop(key).close()
        existing = _pools.pop((context, proxy), None)
        _pools[context, proxy] = existing or _Pool(context, proxy)
        while len(_pools) > _MAX_POOLS:
            _pools.pop(next(iter(_pools))).close()
        return _pools[context, proxy]


def forget_connections() -> None:
    """Close every connection that is open for later requests."""
    with _pools_lock:
        while _pools:
            _pools.popitem()[1].close()


def without_credentials(url: str) -> str:
    """A proxy's host and port, without the user name and password that its URL may hold."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    host = parts.hostname or "?"
    try:
        return f"{host}:{parts.port}" if parts.port else host
    except ValueError:
        return host


def proxy_for(url: str) -> str | None:
    """The proxy that leads to *url* by the environment or the system's settings; None to servers on this computer."""
    parts = urlsplit(url)
    if parts.hostname in _LOOPBACK or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies = urllib.request.getproxies()
    for network in proxies.get("no", "").split(","):
        with suppress(ValueError):  # the host or the entry is a name
            if ipaddress.ip_address(parts.hostname or "") in ipaddress.ip_network(network.strip()):
                return None
    proxy = proxies.get("https") or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


_INTERNET_SETTINGS = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"


def proxy_script() -> str | None:
    """The address of the script by which the system lets programs choose a proxy (PAC), if it names one.

    Windows keeps it in the registry, macOS prints it with ``scutil --proxy``. No script is run here: a browser reaches
    servers through the proxy that it chooses, and this program does not.
    """
    try:
        winreg: Any = importlib.import_module("winreg")
    except ImportError:
        scutil = shutil.which("scutil")
        if scutil is None:
            return None
        shown = subprocess.run([scutil, "--proxy"], capture_output=True, check=False, timeout=10)
        lines = (
            line.partition(" : ") for line in shown.stdout.decode(errors="replace").splitlines()
        )
        settings = {name.strip(): value.strip() for name, _colon, value in lines}
        enabled = settings.get("ProxyAutoConfigEnable") == "1"
        return settings.get("ProxyAutoConfigURLString") if enabled else None
    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _INTERNET_SETTINGS) as key:
            return str(winreg.QueryValueEx(key, "AutoConfigURL")[0]) or None
    except OSError:  # no such value
        return None


def get(
    cloud: Cloud,
    url: str,
    *,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Reply:
    """Request *url* of one of this cloud's servers.

    Args:
        timeout: Seconds for each of connecting and reading.

    Raises:
        HTTPError: there was no reply.
    """
    pool = _pool(cloud, proxy_for(url))
    return _read(
        pool.send("GET", _with(url, params), timeout, headers={**_HEADERS, **(headers or {})})
    )


def post(
    cloud: Cloud,
    url: str,
    *,
    data: Mapping[str, Any],
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Reply:
    """Post a form to one of this cloud's servers; fields that are None are left out.

    Raises:
        HTTPError: there was no reply.
    """
    form = urlencode([(name, value) for name, value in data.items() if value is not None])
    pool = _pool(cloud, proxy_for(url))
    return _read(
        pool.send(
            "POST",
            _with(url, params),
            timeout,
            body=form,
            headers={**_HEADERS, **_FORM, **(headers or {})},
        )
    )


def _with(url: str, params: Mapping[str, Any] | None) -> str:
    if not params:
        return url
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(dict(params))}"


def _read(reply: BaseHTTPResponse) -> Reply:
    """A reply with its body; the connection is free again."""
    try:
        content = reply.data
    except HTTPError as error:
        raise BrokenReplyError(error) from error
    return Reply(reply.status, HTTPHeaderDict(reply.headers), _text(content, reply.headers))


def _text(content: bytes, headers: Mapping[str, str]) -> str:
    message = Message()
    message["Content-Type"] = headers.get("Content-Type", "")
    try:
        return content.decode(message.get_content_charset("utf-8"), "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class ReachResult:
    """The reply of a server, and who issued its certificate (empty if unknown)."""

    reply: Reply
    issuer: str


def reach(cloud: Cloud, url: str, *, timeout: float = TIMEOUT, keep: bool = False) -> ReachResult:
    """Check that the server of *url* answers a new connection, with whatever status.

    Args:
        keep: Use the connection for the next requests, in place of those that are open.

    Raises:
        AuthError: there was no reply.
    """
    proxy = proxy_for(url)
    pool: _Pool | None = None
    try:
        context = tls.context(cloud.ca_file)
        pool = _Pool(context, proxy)
        response = pool.send("GET", url, timeout, headers=_HEADERS)
        issuer = _issuer(response)
        reply = _read(response)
    except HTTPError as error:
        if pool is not None:
            pool.close()
        raise transport_error(
            error, _("Reaching {host}").format(host=urlsplit(url).netloc)
        ) from None
    with _pools_lock:
        replaced = _pools.pop((context, proxy), None) if keep else pool
        if keep:
            _pools[context, proxy] = pool
    if replaced is not None:
        replaced.close()
    return ReachResult(reply, issuer)


def _issuer(reply: BaseHTTPResponse) -> str:
    """Who issued the server's certificate; only known until the body has been read."""
    connection = getattr(reply.connection, "sock", None)
    if not isinstance(connection, ssl.SSLSocket):
        return ""
    certificate: dict[str, Any] = connection.getpeercert() or {}
    parts = dict(pair for group in certificate.get("issuer", ()) for pair in group)
    return str(parts.get("organizationName") or parts.get("commonName") or "")
