"""The authority of a tenant: its discovery document, and the msal client of a firm."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import msal
import requests

from msoauth import redact
from msoauth.clouds import Cloud
from msoauth.errors import AuthError
from msoauth.identity import http
from msoauth.identity.auth_errors import error_from_reply, transport_error
from msoauth.model import Account, Firm
from msoauth.store import Secret
from msoauth.texts import _

# Seconds. A clock that is wrong by more makes good tokens look expired, and dead ones good.
MAX_CLOCK_SKEW = 300.0
_DATE_PRECISION = 2.0  # seconds; a Date header has whole ones, and is on its way for a moment
_KEEP_SECONDS = 3600.0
_kept: dict[tuple[str, str | None], tuple[float, dict[str, Any]]] = {}
_kept_lock = threading.Lock()


def scopes_for(account: Account, cloud: Cloud) -> list[str]:
    """The delegated scopes an account needs, in full form (exchange-dev: how-to-authenticate…).

    ``offline_access`` is not among them: msal adds it and refuses to be given it.
    """
    retrieve = "IMAP.AccessAsUser.All" if account.retrieve == "imap" else "POP.AccessAsUser.All"
    return [cloud.scope(retrieve), cloud.scope("SMTP.Send")]


def configuration(cloud: Cloud, tenant: str, *, fresh: bool = False) -> dict[str, Any]:
    """The discovery document of a tenant; kept for an hour, unless *fresh*.

    Raises:
        AuthError: the tenant does not exist, or the authority cannot be reached.
    """
    url = discovery_url(cloud, tenant)
    place = (url, cloud.ca_file)
    with _kept_lock:
        kept = _kept.get(place)
    if kept is not None and not fresh and time.monotonic() - kept[0] < _KEEP_SECONDS:
        return kept[1]
    what = _("Looking up the directory {tenant}").format(tenant=tenant)
    with http.session(cloud) as session:
        try:
            reply = session.get(url)
        except requests.RequestException as problem:
            raise transport_error(problem, what) from None
    return take_configuration(cloud, tenant, reply)


def discovery_url(cloud: Cloud, tenant: str) -> str:
    """Where the discovery document of a tenant is."""
    return f"{cloud.authority}{tenant}/v2.0/.well-known/openid-configuration"


def take_configuration(cloud: Cloud, tenant: str, reply: http.Answered) -> dict[str, Any]:
    """The discovery document out of an answer to its address; kept from now on.

    Raises:
        AuthError: the tenant does not exist, or the answer is no such document.
    """
    what = _("Looking up the directory {tenant}").format(tenant=tenant)
    answer = json_of(reply, what)
    if "error" in answer or "authorization_endpoint" not in answer:
        raise error_from_reply(answer, what)
    with _kept_lock:
        _kept[discovery_url(cloud, tenant), cloud.ca_file] = (time.monotonic(), answer)
    return answer


def json_of(reply: http.Answered, what: str) -> dict[str, Any]:
    """The JSON object that the authority answered.

    Raises:
        AuthError: the answer is not JSON: a proxy's page, or an outage; or it is 429 or 5xx, in whatever form.
    """
    try:
        answer = reply.json()
    except ValueError:
        answer = None
    status = reply.status_code
    outage = status >= 500 or status == 429
    if isinstance(answer, dict) and ("error" in answer or not outage):
        if not outage:
            return answer
        refused = error_from_reply(answer, what)
        if status == 429 and refused.cause == "unknown":
            refused.cause = "throttled"
        elif refused.cause == "unknown":
            refused.cause = "service-unavailable"
        refused.retriable = True
        refused.retry_after = _retry_after(reply)
        raise refused
    said = _("{what}: the answer (HTTP {status}) is not what a sign-in service sends.")
    if outage:
        said = _("{what}: the sign-in service is busy or down (HTTP {status}); try again later.")
    raise AuthError(
        said.format(what=what, status=status),
        cause="throttled"
        if status == 429
        else "service-unavailable"
        if outage
        else "proxy-required"
        if status == 407
        else "unknown",
        evidence=redact.redact(reply.text[:500]),
        retriable=outage,
        retry_after=_retry_after(reply),
    )


def _retry_after(reply: http.Answered) -> float | None:
    """The seconds of a Retry-After header, which may also name a date (RFC 9110)."""
    text = reply.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


class OutageError(requests.RequestException):
    """An outage in the form that msal lets pass, falling back on a token that is still good."""

    def __init__(self, error: AuthError) -> None:
        super().__init__(error.summary)
        self.error = error


class _MsalHttp:
    """What msal speaks HTTP with: our connections, and the discovery document from our own shelf.

    Attributes:
        seconds_ahead: By how much this computer's clock is ahead of the authority's, as the last Date header says.
    """

    def __init__(self, cloud: Cloud, tenant: str) -> None:
        self._cloud = cloud
        self._tenant = tenant
        self._proxies = http.proxies(cloud)
        self.seconds_ahead = 0.0
        self._server_minus_monotonic = time.time() - time.monotonic()

    def server_time(self) -> float:
        """The authority's time in seconds since 1970; this computer's until a Date header tells another."""
        return time.monotonic() + self._server_minus_monotonic

    def _read_date(self, header: str) -> None:
        try:
            told = parsedate_to_datetime(header).timestamp()
        except (TypeError, ValueError):
            return
        self.seconds_ahead = time.time() - told
        if abs(told - self.server_time()) > _DATE_PRECISION:
            self._server_minus_monotonic = told - time.monotonic()

    def get(self, url: str, **options: Any) -> Any:
        if url.endswith("/.well-known/openid-configuration"):
            return _Known(configuration(self._cloud, self._tenant))
        with http.session(self._cloud) as session:
            return session.get(url, **_known_options(options))

    def post(self, url: str, **options: Any) -> http.Reply:
        reply = http.post(self._cloud, url, proxies=self._proxies, **_known_options(options))
        self._read_date(reply.headers.get("Date", ""))
        try:
            json_of(reply, _("Asking for a token"))
        except AuthError as problem:
            raise OutageError(problem) from None
        return reply


def _known_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in options.items()
        if key in ("params", "data", "headers", "timeout")
    }


class _Known:
    """A discovery document in the form of an HTTP answer."""

    status_code = 200

    def __init__(self, document: dict[str, Any]) -> None:
        self.text = json.dumps(document)
        self.headers: dict[str, str] = {}

    def raise_for_status(self) -> None:
        """There is nothing to raise."""


class _Cache(msal.SerializableTokenCache):  # type: ignore[misc]  # msal has no types
    """A token cache that is stored without line breaks: with them Python's slow encoder writes it, at every renewal."""

    def serialize(self) -> str:
        """The cache as text."""
        with self._lock:
            self.has_state_changed = False
            return json.dumps(self._cache)


@dataclass(frozen=True, slots=True)
class _App:
    """An msal application, and what it was made of."""

    firm: Firm
    secret: Secret | None
    document: dict[str, Any] = field(repr=False)
    http: _MsalHttp
    answers: dict[str, Any] = field(repr=False)  # msal's own memory of requests that were refused
    msal: Any


class Client:
    """The msal application of a firm, with one account's token cache.

    A new one costs no request (the discovery document is shared), and msal's own memory of refused requests,
    which would answer "check again" with the old refusal for a minute, goes with it.
    """

    def __init__(
        self,
        firm: Firm,
        secret: Secret | None,
        cache: str | None = None,
        *,
        _kept: _App | None = None,
    ) -> None:
        made = _kept or _application(firm, secret)
        self.firm = firm
        self.cache = _Cache()
        if cache:
            self.cache.deserialize(cache)
            redact_cached_tokens(self.cache)
        self._http = made.http
        self.app = made.msal
        self.app.token_cache = self.cache

    @property
    def seconds_ahead(self) -> float:
        """By how much this computer's clock is ahead of the authority's, after a request; negative: behind."""
        return self._http.seconds_ahead

    def server_time(self) -> float:
        """The authority's time in seconds since 1970, as its last reply told it; this computer's before that."""
        return self._http.server_time()

    def serialized(self) -> str:
        """The token cache, to be sealed."""
        redact_cached_tokens(self.cache)
        return self.cache.serialize()


_idle = threading.local()


@contextmanager
def lent(firm: Firm, secret: Secret | None, cache: str) -> Iterator[Client]:
    """A client for as long as the block lasts; its msal application serves this thread's next one.

    Making one takes longer than its request, and an audit needs one for each of ten thousand accounts.
    """
    kept: _App | None = _idle.__dict__.pop("app", None)
    document = configuration(firm.cloud, firm.tenant)
    if kept is None or (kept.firm, kept.secret) != (firm, secret) or kept.document is not document:
        kept = _application(firm, secret)
    kept.http.seconds_ahead = 0.0
    yield Client(firm, secret, cache, _kept=kept)
    # After a failure it is not lent again. What it knows of the account goes.
    kept.answers.clear()
    kept.msal.token_cache = None
    _idle.app = kept


def _application(firm: Firm, secret: Secret | None) -> _App:
    """A new msal application.

    Raises:
        AuthError: the sign-in service cannot be used.
    """
    document = configuration(firm.cloud, firm.tenant)
    speaker, answers = _MsalHttp(firm.cloud, firm.tenant), dict[str, Any]()
    options: dict[str, Any] = {
        "authority": firm.authority,
        "http_client": speaker,
        "http_cache": answers,
        # Only Microsoft's hosts are known to Microsoft's instance discovery.
        "instance_discovery": None if firm.cloud.is_microsoft else False,
    }
    try:
        app = (
            msal.PublicClientApplication(firm.client_id, **options)
            if secret is None
            else msal.ConfidentialClientApplication(
                firm.client_id, client_credential=secret.reveal(), **options
            )
        )
    except ValueError as problem:
        raise AuthError(
            _("The sign-in service of {firm} cannot be used.").format(firm=firm.name),
            cause="tenant-not-found",
            evidence=redact.redact(str(problem))[:1000],
        ) from None
    return _App(firm, secret, document, speaker, answers, app)


def redact_cached_tokens(cache: msal.SerializableTokenCache) -> None:
    """Have every token in *cache* taken out of whatever is shown."""
    kinds = msal.TokenCache.CredentialType
    for kind in (kinds.ACCESS_TOKEN, kinds.REFRESH_TOKEN, kinds.ID_TOKEN):
        for entry in cache.search(kind):
            redact.remember(entry.get("secret"))


def token_cache_from_grant(firm: Firm, grant: Mapping[str, Any]) -> str:
    """The token cache, as msal keeps it, for a grant: ``refresh_token``, ``client_info``, ``scope`` and
    ``id_token_claims``, as a token answer has them.

    Raises:
        AuthError: the authority cannot be reached.
    """
    redact.remember(grant["refresh_token"])
    cache = msal.SerializableTokenCache()
    cache.add(
        {
            "client_id": firm.client_id,
            "scope": str(grant["scope"]).split(),
            "token_endpoint": configuration(firm.cloud, firm.tenant)["token_endpoint"],
            "response": {
                "token_type": "Bearer",
                "refresh_token": grant["refresh_token"],
                "client_info": grant["client_info"],
                "id_token_claims": dict(grant["id_token_claims"]),
                "scope": grant["scope"],
            },
        }
    )
    return str(cache.serialize())
