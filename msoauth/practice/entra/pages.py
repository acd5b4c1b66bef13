"""What people's pages share: the sign-in a browser is in the middle of, its sessions, templates, answers."""

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
from msoauth.practice.entra.codes import Code
from msoauth.practice.entra.grants import Authority
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.state import Tenant, User

FLOWS_KEPT = 2000  # a flood of requests must not fill the memory
FLOW_SECONDS = 900
COOKIE = "PRACTICE_SESSIONS"


@cache
def templates() -> jinja2.Environment:
    """The pages' templates; everything that is filled in is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("msoauth.practice.entra", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )


@dataclass(slots=True)
class Session:
    """That a user has signed in in a browser, and how."""

    tenant: Tenant
    user: User
    amr: list[str]
    signed_in: float

    def good(self, now: float) -> bool:
        """Whether it still stands: not revoked, and not older than the sign-in frequency allows."""
        revoked = max(self.user.tokens_valid_from, self.user.passwords_tokens_valid_from)
        frequency = self.tenant.policies.sign_in_frequency
        stale = frequency is not None and now - self.signed_in > frequency.total_seconds()
        return self.signed_in >= revoked and not stale


@dataclass(slots=True)
class Flow:
    """A sign-in that a browser is in the middle of.

    Attributes:
        asked: The parameters of the request that began it.
        purpose: ``authorize``, ``device``, ``adminconsent`` or ``adminconsent-v1``.
        device: The device code that is to be approved.
        elsewhere: The page *Are you trying to sign in to …?* was answered with Continue.
    """

    client: Client
    asked: dict[str, str]
    platform: str
    purpose: str = "authorize"
    device: str = ""
    tenant: Tenant | None = None
    user: User | None = None
    password_given: bool = False
    elsewhere: bool = False
    amr: list[str] = field(default_factory=list)
    signed_in: float = 0.0
    started: float = field(default_factory=time.monotonic)
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def app_name(self) -> str:
        """The app's display name."""
        return self.client.app.display_name

    @property
    def scope(self) -> str:
        """The scope that was asked for."""
        return self.asked.get("scope", "")

    def take(self, session: Session) -> None:
        """Go on as the user of a session."""
        self.tenant, self.user = session.tenant, session.user
        self.amr, self.signed_in = list(session.amr), session.signed_in
        self.client = self.client.of(session.tenant)


class People:
    """What the handlers of people's pages share.

    Attributes:
        code: What everybody's authenticator app shows.
    """

    def __init__(self, authority: Authority, address: Address) -> None:
        self.authority = authority
        self.state = authority.state
        self.address = address
        self.flows: dict[str, Flow] = {}
        self.sessions: dict[str, list[Session]] = {}  # by the cookie's value
        self.code = f"{secrets.randbelow(1_000_000):06d}"

    def begin(self, flow: Flow) -> Flow:
        """Remember a flow, and forget those that nobody goes on with."""
        old = time.monotonic() - FLOW_SECONDS
        while self.flows:  # the oldest stands first
            first = next(iter(self.flows))
            if self.flows[first].started >= old and len(self.flows) < FLOWS_KEPT:
                break
            del self.flows[first]
        self.flows[flow.id] = flow
        return flow


class Page(tornado.web.RequestHandler):
    """A page for people. Answers only under a loopback name or its public one, against DNS rebinding."""

    people: People

    def initialize(self, people: People) -> None:
        self.people = people

    def prepare(self) -> None:
        if not self.people.address.serves(self.request.host):
            self.set_status(403)
            self.finish("This is the practice tenant; it answers on this computer only.")

    def set_default_headers(self) -> None:
        self.set_header("Server", "practice")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Referrer-Policy", "no-referrer")

    @property
    def root(self) -> str:
        """The way from this page to the first one, so that links hold behind any proxy's prefix."""
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
        self.finish(templates().get_template("nowhere.html").render(root=self.root))

    def fail(self, refused: RefusalError, flow: Flow | None = None, user: str = "") -> None:
        """Show a refusal as Entra does: code, ids, timestamp."""
        self.show("error.html", 400, refused=refused, answer=self.noted(refused, flow, user))

    def noted(
        self, refused: RefusalError, flow: Flow | None = None, user: str = ""
    ) -> dict[str, Any]:
        """Write a refusal to the sign-in log; its answer with ids (the client's own correlation id, if any)."""
        asked = flow.asked.get("client-request-id", "") if flow else ""
        state = self.people.state
        answer = refused.as_json(state.clock.now(), asked or self.argument("client-request-id"))
        tenant = (flow.tenant or flow.client.tenant) if flow else None
        state.note(
            "sign-in",
            refused.text,
            tenant=tenant.name if tenant else "",
            user=user or (flow.user.upn if flow and flow.user else ""),
            correlation_id=answer["correlation_id"],
            trace_id=answer["trace_id"],
            app_id=flow.client.app.app_id if flow else "",
        )
        return answer

    # -- sessions ----------------------------------------------------------------------------

    def sessions(self) -> list[Session]:
        """The sessions of this browser that still stand."""
        now = self.people.state.clock.time()
        kept = self.people.sessions.get(self.get_cookie(COOKIE) or "", [])
        return [session for session in kept if session.good(now)]

    def remember(self, flow: Flow) -> None:
        """Give this browser a session of the flow's user, in place of an older one of the same user."""
        assert flow.tenant is not None and flow.user is not None  # noqa: S101, PT018 - has just signed in
        flow.signed_in = self.people.state.clock.time()
        known = self.get_cookie(COOKIE)
        key = known if known in self.people.sessions else secrets.token_urlsafe(24)
        assert key is not None  # noqa: S101 - a key of the dict, or a fresh one
        kept = [s for s in self.people.sessions.get(key, []) if s.user is not flow.user]
        kept.append(Session(flow.tenant, flow.user, list(flow.amr), flow.signed_in))
        self.people.sessions[key] = kept
        path = self.people.address.cookie_path(self.request.host)
        self.set_cookie(COOKIE, key, path=path, httponly=True, samesite="Lax")

    # -- back to the app ---------------------------------------------------------------------

    def give_back_code(self, flow: Flow) -> None:
        """Send the browser back to the app with a code."""
        assert flow.tenant is not None and flow.user is not None  # noqa: S101, PT018 - has signed in
        asked, state = flow.asked, self.people.state
        self.people.flows.pop(flow.id, None)
        self.note_success(flow)
        code = Code(
            client=flow.client,
            tenant=flow.tenant,
            user=flow.user,
            redirect_uri=asked.get("redirect_uri", ""),
            platform=flow.platform,
            scope=flow.scope,
            challenge=asked.get("code_challenge", ""),
            challenge_method=asked.get("code_challenge_method", "plain"),
            nonce=asked.get("nonce", ""),
            issued=state.clock.time(),
            signed_in=flow.signed_in,
            amr=flow.amr,
        )
        text = self.people.authority.new_code(code)
        self.give_back(flow, {"code": text, "session_state": secrets.token_hex(16)})

    def note_success(self, flow: Flow) -> None:
        """Write a sign-in that succeeded to the log."""
        assert flow.tenant is not None and flow.user is not None  # noqa: S101, PT018 - has signed in
        self.people.state.note(
            "sign-in",
            "success",
            tenant=flow.tenant.name,
            user=flow.user.upn,
            correlation_id=flow.asked.get("client-request-id", ""),
            app_id=flow.client.app.app_id,
        )

    def give_back_error(self, flow: Flow, refused: RefusalError, **more: str) -> None:
        """Send the browser back to the app with an error, or show it where Entra never sends it back."""
        if refused.page_only or flow.device:
            self.fail(refused, flow)
            return
        answer = self.noted(refused, flow)
        self.people.flows.pop(flow.id, None)
        fields = {
            "error": refused.error,
            "error_description": answer["error_description"],
            "error_uri": answer["error_uri"],
        }
        self.give_back(flow, fields | more)

    def _state(self, flow: Flow) -> str:
        who = [flow.tenant.tenant_id if flow.tenant else "", flow.user.upn if flow.user else ""]
        if self.people.state.faults.value("state.other", *who):
            return secrets.token_urlsafe(
                16
            )  # as an older tab, or somebody else's link, would send it
        return flow.asked["state"]

    def give_back(self, flow: Flow, fields: dict[str, str]) -> None:
        """The redirect itself, as ``response_mode`` asks (facts B4)."""
        if flow.asked.get("state"):
            fields["state"] = self._state(flow)
        uri = flow.asked["redirect_uri"]
        mode = flow.asked.get("response_mode", "query")
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


class Nowhere(Page):
    """Any other address."""

    def prepare(self) -> None:
        super().prepare()
        if not self._finished:
            self.show("nowhere.html", 404)
