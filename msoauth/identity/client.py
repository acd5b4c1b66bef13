"""Makes the msal client of a firm, on our HTTP connections, with one account's token cache.

msal is given the discovery document that :mod:`msoauth.identity.discovery` keeps, so that a new client sends no request.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import msal
from urllib3.exceptions import HTTPError

from msoauth import redact
from msoauth.clouds import Cloud
from msoauth.errors import AuthError
from msoauth.identity import http
from msoauth.identity.discovery import configuration, json_from_reply
from msoauth.model import Account, Firm
from msoauth.store import Secret
from msoauth.texts import _

_DATE_PRECISION = 2.0  # seconds; a Date header has whole seconds, and takes a moment to arrive


def scopes_for(account: Account, cloud: Cloud) -> list[str]:
    """The delegated scopes an account needs, in full form (exchange-dev: how-to-authenticate…).

    ``offline_access`` is not among them: msal adds it and refuses to be given it.
    """
    retrieve = "IMAP.AccessAsUser.All" if account.protocol == "imap" else "POP.AccessAsUser.All"
    return [cloud.scope(retrieve), cloud.scope("SMTP.Send")]


class OutageError(HTTPError):
    """An outage (429, 5xx, or no JSON) as an exception that makes msal use a cached token that is still good.

    Attributes:
        error: The AuthError that :func:`transport_error` returns for it.
    """

    def __init__(self, error: AuthError) -> None:
        super().__init__(error.summary)
        self.error = error


class MsalHttp:
    """msal's ``http_client``: it uses our connections, and answers for the discovery document itself.

    Attributes:
        seconds_ahead: By how much this computer's clock is ahead of the authority's, as the last Date header says.
    """

    def __init__(self, cloud: Cloud, tenant: str) -> None:
        self._cloud = cloud
        self._tenant = tenant
        self.seconds_ahead = 0.0
        self._server_minus_monotonic = time.time() - time.monotonic()

    def server_time(self) -> float:
        """The authority's time in seconds since 1970; this computer's until a Date header tells another."""
        return time.monotonic() + self._server_minus_monotonic

    def _read_date(self, header: str) -> None:
        try:
            sent_at = parsedate_to_datetime(header).timestamp()
        except (TypeError, ValueError):
            return
        self.seconds_ahead = time.time() - sent_at
        if abs(sent_at - self.server_time()) > _DATE_PRECISION:
            self._server_minus_monotonic = sent_at - time.monotonic()

    def get(self, url: str, **options: Any) -> Any:
        if url.endswith("/.well-known/openid-configuration"):
            return _DiscoveryReply(configuration(self._cloud, self._tenant))
        return http.get(self._cloud, url, **_supported(options, "params", "headers", "timeout"))

    def post(self, url: str, **options: Any) -> http.Reply:
        supported = _supported(options, "params", "data", "headers", "timeout")
        reply = http.post(self._cloud, url, **supported)
        self._read_date(reply.headers.get("Date", ""))
        try:
            json_from_reply(reply, _("Asking for a token"))
        except AuthError as error:
            raise OutageError(error) from None
        return reply


def _supported(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Those of msal's options that our HTTP functions take."""
    return {name: options[name] for name in names if options.get(name) is not None}


class _DiscoveryReply:
    """The discovery document in the form of an HTTP reply."""

    status_code = 200

    def __init__(self, document: dict[str, Any]) -> None:
        self.text = json.dumps(document)
        self.headers: dict[str, str] = {}

    def raise_for_status(self) -> None:
        """Raise nothing: the status is 200."""


class _Cache(msal.SerializableTokenCache):  # type: ignore[misc]  # msal has no types
    """A token cache that serializes without line breaks; with them, json uses its slow encoder at every renewal."""

    def serialize(self) -> str:
        """The cache as text."""
        with self._lock:
            self.has_state_changed = False
            return json.dumps(self._cache)


@dataclass(frozen=True, slots=True)
class _App:
    """An msal application, and what it was made from.

    Attributes:
        refused_requests: What msal was refused, and therefore does not send again for a minute.
    """

    firm: Firm
    secret: Secret | None
    document: dict[str, Any] = field(repr=False)
    http: MsalHttp
    refused_requests: dict[str, Any] = field(repr=False)
    msal: Any


class Client:
    """The msal application of a firm, with one account's token cache.

    A new client sends no request, because the discovery document is shared. It also forgets which requests were
    refused: msal answers such a request itself for a minute, and "check again" would get the old refusal.

    Attributes:
        document: The discovery document of the firm's directory.
    """

    def __init__(
        self,
        firm: Firm,
        secret: Secret | None,
        cache: str | None = None,
        *,
        _reused: _App | None = None,
    ) -> None:
        app = _reused or _application(firm, secret)
        self.firm = firm
        self.cache = _Cache()
        if cache:
            self.cache.deserialize(cache)
            redact_cached_tokens(self.cache)
        self.document = app.document
        self._http = app.http
        self.app = app.msal
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


_thread = threading.local()  # .app: the msal application that this thread used last


@contextmanager
def reused_client(firm: Firm, secret: Secret | None, cache: str) -> Iterator[Client]:
    """A client whose msal application is reused for this thread's next account of the same firm.

    Making an application takes longer than a request, and an audit renews the tokens of ten thousand accounts.
    """
    app: _App | None = _thread.__dict__.pop("app", None)
    document = configuration(firm.cloud, firm.tenant)
    if app is None or (app.firm, app.secret) != (firm, secret) or app.document is not document:
        app = _application(firm, secret)
    app.http.seconds_ahead = 0.0
    yield Client(firm, secret, cache, _reused=app)
    # Not reached after a failure, so that only a sound application is reused; it must forget this account.
    app.refused_requests.clear()
    app.msal.token_cache = None
    _thread.app = app


def _application(firm: Firm, secret: Secret | None) -> _App:
    """A new msal application.

    Raises:
        AuthError: the sign-in service cannot be used.
    """
    document = configuration(firm.cloud, firm.tenant)
    msal_http, refused_requests = MsalHttp(firm.cloud, firm.tenant), dict[str, Any]()
    options: dict[str, Any] = {
        "authority": firm.authority,
        "http_client": msal_http,
        "http_cache": refused_requests,
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
    except ValueError as error:
        raise AuthError(
            _("The sign-in service of {firm} cannot be used.").format(firm=firm.name),
            cause="tenant-not-found",
            evidence=redact.redact(str(error), 1000),
        ) from None
    return _App(firm, secret, document, msal_http, refused_requests, app)


def redact_cached_tokens(cache: msal.SerializableTokenCache) -> None:
    """Register every token in *cache* to be redacted from now on."""
    kinds = msal.TokenCache.CredentialType
    for kind in (kinds.ACCESS_TOKEN, kinds.REFRESH_TOKEN, kinds.ID_TOKEN):
        for entry in cache.search(kind):
            redact.remember(entry.get("secret"))


def token_cache_from_grant(firm: Firm, grant: Mapping[str, Any]) -> str:
    """Make an msal token cache, as text, from a grant that another program obtained (the practice tenant, a test).

    Args:
        grant: ``refresh_token``, ``client_info``, ``scope`` and ``id_token_claims``, as a token reply has them.

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
