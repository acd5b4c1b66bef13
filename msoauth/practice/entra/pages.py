"""The pages that a person meets: user name, password, code, consent, account picker, and errors."""

import secrets
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import jinja2
import tornado.web

from msoauth.practice.entra import apps
from msoauth.practice.entra.grants import Authority, Code, admit
from msoauth.practice.entra.refusals import PAGE_ONLY, RefusalError
from msoauth.practice.state import Firm, User

FLOW_SECONDS = 900
COOKIE = "PRACTICE_SESSIONS"
LOCK_AFTER = 10  # wrong passwords, as Entra's smart lockout
LOCK_SECONDS = 60

PERMISSIONS = {
    "POP.AccessAsUser.All": "Read your mail using POP",
    "IMAP.AccessAsUser.All": "Read and write your mail using IMAP",
    "SMTP.Send": "Send mail from your mailbox using SMTP AUTH",
    "offline_access": "Maintain access to data you have given it access to",
    "openid": "Sign you in",
    "profile": "View your basic profile",
    "email": "View your e-mail address",
    "User.Read": "Sign you in and read your profile",
}


@cache
def templates() -> jinja2.Environment:
    """The pages' templates; everything that is filled in is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("msoauth.practice.entra", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )


@dataclass(slots=True)
class Flow:
    """A sign-in that a browser is in the middle of."""

    firm: Firm
    asked: dict[str, str]
    path_tenant: str
    platform: str
    started: float
    device: str = ""
    user: User | None = None
    password_given: bool = False
    amr: list[str] = field(default_factory=list)
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class People:
    """What the handlers of people's pages share."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.world = authority.world
        self.flows: dict[str, Flow] = {}
        self.sessions: dict[
            str, list[tuple[str, str]]
        ] = {}  # cookie → (tenant id, UPN in lower case)
        self.code = f"{secrets.randbelow(1_000_000):06d}"  # what everybody's authenticator shows

    def begin(self, flow: Flow) -> Flow:
        """Remember a flow, and forget those that nobody goes on with."""
        old = time.monotonic() - FLOW_SECONDS
        for stale in [key for key, kept in self.flows.items() if kept.started < old]:
            del self.flows[stale]
        self.flows[flow.id] = flow
        return flow


class Page(tornado.web.RequestHandler):
    """A page for people. Answers only under a loopback name, against DNS rebinding."""

    people: People

    def initialize(self, people: People) -> None:
        self.people = people

    def prepare(self) -> None:
        if self.request.host_name not in ("localhost", "127.0.0.1", "::1"):
            self.set_status(403)
            self.finish("This is the practice tenant; it answers on this computer only.")

    def set_default_headers(self) -> None:
        self.set_header("Server", "practice")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Referrer-Policy", "no-referrer")

    def show(self, template: str, status: int = 200, **values: Any) -> None:
        """Answer with a page."""
        self.set_status(status)
        self.finish(templates().get_template(template).render(**values))

    def argument(self, name: str) -> str:
        """A field of the request, as it was typed."""
        return str(self.get_argument(name, "", strip=False))

    def fail(self, refused: RefusalError, firm: str = "", user: str = "") -> None:
        """Show a refusal as Entra does: code, ids, timestamp."""
        answer = refused.as_json(self.people.world.clock.now(), self.argument("client-request-id"))
        self.people.world.note(
            "sign-in",
            refused.text,
            firm=firm,
            user=user,
            correlation_id=answer["correlation_id"],
            trace_id=answer["trace_id"],
        )
        self.show("error.html", 400, refused=refused, answer=answer)

    def signed_in(self, firm: Firm) -> list[User]:
        """The users of *firm* that this browser has sessions of."""
        kept = self.people.sessions.get(self.get_cookie(COOKIE) or "", [])
        users = [firm.users.get(upn) for tenant, upn in kept if tenant == firm.tenant_id]
        return [user for user in users if user is not None]

    def remember(self, firm: Firm, user: User) -> None:
        """Give this browser a session of *user*."""
        key = self.get_cookie(COOKIE) or secrets.token_urlsafe(24)
        kept = self.people.sessions.setdefault(key, [])
        if (firm.tenant_id, user.upn.lower()) not in kept:
            kept.append((firm.tenant_id, user.upn.lower()))
        self.set_cookie(COOKIE, key, httponly=True, samesite="Lax")

    # -- going on with a flow ----------------------------------------------------------------

    def go_on(self, flow: Flow) -> None:
        """The next page of a flow: consent, or back to the app."""
        user = flow.user
        assert user is not None  # noqa: S101 - every way here has named one
        try:
            admit(flow.firm, user)
            asked = apps.scopes(flow.asked.get("scope", ""), flow.firm)
        except RefusalError as refused:
            self.give_back_error(flow, refused)
            return
        principal = flow.firm.principal
        missing = asked.names - principal.consented(user.id, asked.resource)
        if missing or flow.asked.get("prompt") == "consent":
            if not flow.firm.policies.user_consent and not user.admin:
                self.fail(
                    RefusalError(90094, tenant=flow.firm.name, name=flow.firm.app.display_name),
                    flow.firm.name,
                    user.upn,
                )
                return
            if flow.asked.get("prompt") == "none":
                self.give_back_error(
                    flow,
                    RefusalError(65001, app=flow.firm.app.app_id, name=flow.firm.app.display_name),
                )
                return
            wanted = [PERMISSIONS.get(name, name) for name in sorted(asked.names | asked.oidc)]
            self.show("consent.html", flow=flow, user=user, app=flow.firm.app, wanted=wanted)
            return
        self.give_back_code(flow)

    def give_back_code(self, flow: Flow) -> None:
        """Send the browser back to the app with a code, or end a device sign-in."""
        user = flow.user
        assert user is not None  # noqa: S101
        self.people.flows.pop(flow.id, None)
        self.people.world.note("sign-in", "success", firm=flow.firm.name, user=user.upn)
        if flow.device:
            device = self.people.authority.devices.get(flow.device)
            if device is not None:
                device.user, device.amr = user, flow.amr
            self.show("done.html", app=flow.firm.app)
            return
        code = self.people.authority.new_code(
            Code(
                firm=flow.firm,
                user=user,
                path_tenant=flow.path_tenant,
                redirect_uri=flow.asked.get("redirect_uri", ""),
                platform=flow.platform,
                scope=flow.asked.get("scope", ""),
                challenge=flow.asked.get("code_challenge", ""),
                nonce=flow.asked.get("nonce", ""),
                issued=self.people.world.clock.time(),
                amr=flow.amr or ["pwd"],
            )
        )
        self.give_back(flow, {"code": code, "session_state": secrets.token_hex(16)})

    def give_back_error(self, flow: Flow, refused: RefusalError, **more: str) -> None:
        """Send the browser back to the app with an error, or show it where Entra never sends it back."""
        user = flow.user.upn if flow.user else ""
        if refused.number in PAGE_ONLY or flow.device:
            self.fail(refused, flow.firm.name, user)
            return
        answer = refused.as_json(
            self.people.world.clock.now(), flow.asked.get("client-request-id", "")
        )
        self.people.world.note(
            "sign-in", refused.text, firm=flow.firm.name, user=user,
            correlation_id=answer["correlation_id"], trace_id=answer["trace_id"],
        )  # fmt: skip
        self.people.flows.pop(flow.id, None)
        self.give_back(
            flow,
            {
                "error": refused.error,
                "error_description": answer["error_description"],
                "error_uri": answer["error_uri"],
                **more,
            },
        )

    def give_back(self, flow: Flow, fields: dict[str, str]) -> None:
        """The redirect itself, as ``response_mode`` asks."""
        if flow.asked.get("state"):
            fields["state"] = flow.asked["state"]
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
