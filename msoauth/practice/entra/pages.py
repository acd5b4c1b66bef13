"""The base of the browser pages: running sign-ins, browser sessions, templates, and redirects to the app."""

import hmac
import re
import secrets
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import jinja2
import tornado.web

from msoauth.practice.address import Address
from msoauth.practice.entra.clients import Client
from msoauth.practice.entra.grants import Authority, Code
from msoauth.practice.entra.policy import Evaluation
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.state import Tenant, User

FLOWS_KEPT = 2000  # a flood of requests must not fill the memory
FLOW_SECONDS = 900
COOKIE = "PRACTICE_SESSIONS"
_OWN_PAGES = re.compile(r"/(admin|practice)(/|$)")  # what is not Microsoft's


@cache
def templates(package: str = "msoauth.practice.entra") -> jinja2.Environment:
    """The templates of a package's pages; every value is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(slots=True)
class Session:
    """A user's session in a browser, which the cookie identifies."""

    tenant: Tenant
    user: User
    amr: list[str]
    signed_in: float

    def is_valid(self) -> bool:
        """Whether it was not revoked."""
        revoked = max(self.user.tokens_valid_from, self.user.passwords_tokens_valid_from)
        return self.signed_in >= revoked


@dataclass(slots=True)
class Flow:
    """A sign-in that is running in a browser.

    Attributes:
        parameters: The parameters of the request that began it.
        purpose: ``authorize``, ``device``, ``adminconsent`` or ``adminconsent-v1``.
        device: The device code that is to be approved.
        confirmed: The page *Are you trying to sign in to …?* was answered with Continue.
        from_session: The user did not sign in again: a session of the browser told who it is.
        evaluation: What policies said, once the user is known.
    """

    client: Client
    parameters: dict[str, str]
    platform: str
    purpose: str = "authorize"
    device: str = ""
    tenant: Tenant | None = None
    user: User | None = None
    password_given: bool = False
    confirmed: bool = False
    amr: list[str] = field(default_factory=list)
    signed_in: float = 0.0
    from_session: bool = False
    evaluation: Evaluation | None = None
    started: float = field(default_factory=time.monotonic)
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def app_name(self) -> str:
        """The app's display name."""
        return self.client.app.display_name

    @property
    def scope(self) -> str:
        """The scope that was asked for."""
        return self.parameters.get("scope", "")

    def use_session(self, session: Session) -> None:
        """Continue the sign-in as the user of an existing session."""
        self.tenant, self.user = session.tenant, session.user
        self.amr, self.signed_in, self.from_session = list(session.amr), session.signed_in, True
        self.client = self.client.in_tenant(session.tenant)


class SignInSite:
    """What the page handlers share: the token service, running sign-ins, and browser sessions.

    Attributes:
        code: The code that every user's authenticator app shows.
    """

    def __init__(self, authority: Authority, address: Address) -> None:
        self.authority = authority
        self.state = authority.state
        self.address = address
        self.flows: dict[str, Flow] = {}
        self.sessions: dict[str, list[Session]] = {}  # by the cookie's value
        self.code = f"{secrets.randbelow(1_000_000):06d}"

    def begin(self, flow: Flow) -> Flow:
        """Keep a new flow, and drop those that were abandoned."""
        old = time.monotonic() - FLOW_SECONDS
        while self.flows:  # the oldest is first
            first = next(iter(self.flows))
            if self.flows[first].started >= old and len(self.flows) < FLOWS_KEPT:
                break
            del self.flows[first]
        self.flows[flow.id] = flow
        return flow


class Page(tornado.web.RequestHandler):
    """A page for the browser; answers only under a loopback name or its public name, against DNS rebinding."""

    site: SignInSite

    def initialize(self, site: SignInSite) -> None:
        self.site = site

    def prepare(self) -> None:
        if not self.site.address.serves(self.request.host):
            self.set_status(403)
            self.finish("This is the practice tenant; it answers on this computer only.")
        elif _OWN_PAGES.match(self.request.path) and not self._has_token():
            self.set_status(403)
            self.finish(
                "This page opens with the address that “msoauth practice serve” or “msoauth lab” showed: it ends in a token."
            )

    def _has_token(self) -> bool:
        """Whether the address has the token, which a cookie then keeps for the next requests, or that cookie does."""
        address = self.site.address
        cookie = f"PRACTICE_ADMIN_{address.port}"  # a browser sends cookies to every port of a host
        given = self.request.query_arguments.get("token", [b""])[-1]
        if hmac.compare_digest(given, address.token.encode()):
            path = address.cookie_path(self.request.host)
            self.set_cookie(cookie, address.token, path=path, httponly=True, samesite="Strict")
            return True
        return hmac.compare_digest((self.get_cookie(cookie) or "").encode(), address.token.encode())

    def set_default_headers(self) -> None:
        self.set_header("Server", "practice")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Referrer-Policy", "no-referrer")

    @property
    def root(self) -> str:
        """The relative path from this page to the root, so that links work behind any proxy's prefix."""
        return "../" * (self.request.path.count("/") - 1) or "./"

    def show(self, template: str, status: int = 200, **values: Any) -> None:
        """Answer with a page."""
        self.set_status(status)
        self.finish(templates().get_template(template).render(root=self.root, **values))

    def argument(self, name: str) -> str:
        """A field of the request, as it was typed."""
        return str(self.get_argument(name, "", strip=False))

    def write_error(self, status_code: int, **_more: Any) -> None:
        self.set_status(status_code)
        self.finish(templates().get_template("not_found.html").render(root=self.root))

    def show_refusal(self, refusal: RefusalError, flow: Flow | None = None, user: str = "") -> None:
        """Show a refusal as Entra does: code, ids, timestamp."""
        self.show("error.html", 400, refused=refusal, answer=self.log_refusal(refusal, flow, user))

    def log_refusal(
        self, refusal: RefusalError, flow: Flow | None = None, user: str = ""
    ) -> dict[str, Any]:
        """Write a refusal to the sign-in log; its answer with ids (the client's own correlation id, if any)."""
        correlation_id = flow.parameters.get("client-request-id", "") if flow else ""
        state = self.site.state
        answer = refusal.as_json(
            state.clock.now(), correlation_id or self.argument("client-request-id")
        )
        tenant = (flow.tenant or flow.client.tenant) if flow else None
        if flow and flow.evaluation and refusal.sign_in is None:
            refusal.after(flow.evaluation.facts, flow.evaluation.applied)
        state.log_event(
            "sign-in",
            refusal.text,
            tenant=tenant.name if tenant else "",
            user=user or (flow.user.upn if flow and flow.user else ""),
            correlation_id=answer["correlation_id"],
            trace_id=answer["trace_id"],
            app_id=flow.client.app.app_id if flow else "",
            sign_in=refusal.sign_in,
            applied=refusal.applied,
        )
        return answer

    # -- sessions ----------------------------------------------------------------------------

    def sessions(self) -> list[Session]:
        """The valid sessions of this browser."""
        sessions = self.site.sessions.get(self.get_cookie(COOKIE) or "", [])
        return [session for session in sessions if session.is_valid()]

    def remember(self, flow: Flow) -> None:
        """Give this browser a session of the flow's user, in place of an older one of the same user."""
        assert flow.tenant is not None and flow.user is not None  # noqa: S101, PT018 - has just signed in
        flow.signed_in, flow.from_session = self.site.state.clock.time(), False
        cookie = self.get_cookie(COOKIE)
        key = cookie if cookie in self.site.sessions else secrets.token_urlsafe(24)
        assert key is not None  # noqa: S101 - a key of the dict, or a new one
        sessions = [s for s in self.site.sessions.get(key, []) if s.user is not flow.user]
        sessions.append(Session(flow.tenant, flow.user, list(flow.amr), flow.signed_in))
        self.site.sessions[key] = sessions
        path = self.site.address.cookie_path(self.request.host)
        self.set_cookie(COOKIE, key, path=path, httponly=True, samesite="Lax")

    # -- redirects to the app ---------------------------------------------------------------

    def redirect_with_code(self, flow: Flow) -> None:
        """Send the browser back to the app with a code."""
        assert flow.tenant is not None and flow.user is not None  # noqa: S101, PT018 - has signed in
        parameters, state = flow.parameters, self.site.state
        self.site.flows.pop(flow.id, None)
        self.log_success(flow)
        code = Code(
            client=flow.client,
            tenant=flow.tenant,
            user=flow.user,
            redirect_uri=parameters.get("redirect_uri", ""),
            platform=flow.platform,
            scope=flow.scope,
            challenge=parameters.get("code_challenge", ""),
            challenge_method=parameters.get("code_challenge_method", "plain"),
            nonce=parameters.get("nonce", ""),
            issued=state.clock.time(),
            signed_in=flow.signed_in,
            amr=flow.amr,
        )
        text = self.site.authority.new_code(code)
        self.redirect_back(flow, {"code": text, "session_state": secrets.token_hex(16)})

    def log_success(self, flow: Flow) -> None:
        """Write a sign-in that succeeded to the log."""
        assert flow.tenant is not None and flow.user is not None  # noqa: S101, PT018 - has signed in
        self.site.state.log_event(
            "sign-in",
            "success",
            tenant=flow.tenant.name,
            user=flow.user.upn,
            correlation_id=flow.parameters.get("client-request-id", ""),
            app_id=flow.client.app.app_id,
            sign_in=flow.evaluation.facts if flow.evaluation else None,
            applied=flow.evaluation.applied if flow.evaluation else (),
        )

    def redirect_with_error(self, flow: Flow, refusal: RefusalError, **more: str) -> None:
        """Send the browser back to the app with an error, or show it where Entra never sends it back."""
        if refusal.page_only or flow.device:
            device = self.site.authority.devices.get(flow.device)
            if (
                device is not None and refusal.sign_in is not None
            ):  # by a policy: nobody can go on here
                device.refused = refusal
            self.show_refusal(refusal, flow)
            return
        answer = self.log_refusal(refusal, flow)
        self.site.flows.pop(flow.id, None)
        fields = {
            "error": refusal.error,
            "error_description": answer["error_description"],
            "error_uri": answer["error_uri"],
        }
        self.redirect_back(flow, fields | more)

    def _state(self, flow: Flow) -> str:
        who = [flow.tenant.tenant_id if flow.tenant else "", flow.user.upn if flow.user else ""]
        if self.site.state.faults.value("state.other", *who):
            # As an older tab, or a link from somebody else, would send it.
            return secrets.token_urlsafe(16)
        return flow.parameters["state"]

    def redirect_back(self, flow: Flow, fields: dict[str, str]) -> None:
        """Redirect to the app with these fields, as ``response_mode`` asks (facts B4)."""
        if flow.parameters.get("state"):
            fields["state"] = self._state(flow)
        uri = flow.parameters["redirect_uri"]
        mode = flow.parameters.get("response_mode", "query")
        if mode == "form_post":
            self.show("form_post.html", uri=uri, fields=fields)
            return
        parts = urlsplit(uri)
        # A URI without path comes back with a slash (facts C1).
        parts = parts._replace(path=parts.path or "/")
        if mode == "fragment":
            self.redirect(urlunsplit(parts._replace(fragment=urlencode(fields))))
            return
        query = f"{parts.query}&{urlencode(fields)}" if parts.query else urlencode(fields)
        self.redirect(urlunsplit(parts._replace(query=query)))


class NotFound(Page):
    """Any other address."""

    def prepare(self) -> None:
        super().prepare()
        if not self._finished:
            self.show("not_found.html", 404)
