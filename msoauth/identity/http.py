"""The one way this package speaks HTTPS: a configured session of requests, failures as AuthError."""

import functools
import ssl
from typing import Any

import requests
import truststore
from requests.adapters import HTTPAdapter

from msoauth.clouds import Cloud
from msoauth.errors import AuthError
from msoauth.redact import redact
from msoauth.texts import _

TIMEOUT = 20.0  # seconds for each of connecting and reading


@functools.lru_cache(maxsize=16)
def _tls(ca_file: str | None) -> ssl.SSLContext:
    """TLS 1.2 or later against the system's trust store, or only the cloud's own CA file."""
    context = (
        ssl.create_default_context(cafile=ca_file)
        if ca_file
        else truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Adapter(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext, timeout: float) -> None:
        self._context = context
        self._timeout = timeout
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: str, *_bundles: Any) -> None:
        """The context above decides; requests must not lay certifi's bundle over it."""
        if url.lower().startswith("https"):
            conn.cert_reqs = "CERT_REQUIRED"

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        if options.get("timeout") is None:
            options["timeout"] = self._timeout
        return super().send(request, *args, **options)


def session(cloud: Cloud, *, timeout: float = TIMEOUT) -> requests.Session:
    """A session for this cloud's servers. The caller closes it.

    The environment's CA variables are ignored, because they would override the CA file of an endpoints
    file; its proxy variables are honoured, except for servers on this computer.
    """
    made = requests.Session()
    made.trust_env = False
    host = cloud.authority.split("/")[2].rsplit(":", 1)[0]
    if host not in ("localhost", "127.0.0.1", "[::1]"):
        made.proxies = dict(requests.utils.get_environ_proxies(cloud.authority))
    made.mount("https://", _Adapter(_tls(cloud.ca_file), timeout))
    made.headers["User-Agent"] = "msoauth"
    return made


def failure(problem: requests.RequestException, what: str) -> AuthError:
    """What a failed request means, as an error with its cause.

    Args:
        what: What was tried, as a noun phrase for people.
    """
    words = redact(_innermost(problem))
    causes: tuple[tuple[type[BaseException], str, str], ...] = (
        (requests.exceptions.ProxyError, "proxy-required", _("the proxy refused it")),
        (requests.exceptions.SSLError, "tls", _("the TLS connection failed")),
        (requests.exceptions.Timeout, "connect-timeout", _("nothing answered in time")),
        (requests.exceptions.ConnectionError, "connection", _("the server could not be reached")),
    )
    cause, why = "unknown", _("the request failed")
    for kind, name, sentence in causes:
        if isinstance(problem, kind):
            cause, why = name, sentence
            break
    lower = words.lower()
    if cause == "tls":
        cause = "tls-untrusted" if "certificate" in lower and "verify" in lower else "tls-failed"
    elif cause == "connection":
        if any(
            hint in lower
            for hint in (
                "resolve",
                "getaddrinfo",
                "name or service",
                "nodename",
                "no address associated",
            )
        ):
            cause, why = "dns-failed", _("its name does not resolve")
        elif any(hint in lower for hint in ("refused", "10061")):
            cause, why = "connect-refused", _("the port refuses connections")
        elif any(hint in lower for hint in ("reset", "aborted", "closed", "eof", "disconnect")):
            cause, why = "tls-failed", _("the connection was cut off")
        else:
            cause = "connect-timeout"
    return AuthError(
        _("{what}: {why}.").format(what=what, why=why),
        cause=cause,
        evidence=words[:1000],
        retriable=cause in _PASSING,
    )


_PASSING = frozenset({"connect-timeout"})


def _innermost(problem: BaseException) -> str:
    """The last of the nested causes that requests and urllib3 wrap around one another."""
    texts = [str(problem)]
    seen: BaseException | None = problem
    while seen is not None:
        reason = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        seen = reason if isinstance(reason, BaseException) else seen.__cause__ or seen.__context__
        if seen is not None:
            texts.append(str(seen))
        if len(texts) > 8:
            break
    return texts[0] if len(texts[0]) < 500 else texts[-1]


def reach(cloud: Cloud, url: str, *, timeout: float = TIMEOUT) -> requests.Response:
    """Ask for *url* and take any answer, whatever its status: the server is there.

    Raises:
        AuthError: no answer came.
    """
    with session(cloud, timeout=timeout) as http:
        try:
            return http.get(url, allow_redirects=False)
        except requests.RequestException as problem:
            host = url.split("/")[2]
            raise failure(problem, _("Reaching {host}").format(host=host)) from None
