"""The admin center's page: it shows the tenant's settings and makes the changes that its forms send."""

import hmac
import secrets
from typing import Any

from msoauth.practice import permissions
from msoauth.practice.admin import actions, view
from msoauth.practice.admin.actions import ACTIONS, LIFETIMES, ChangeError, Form, Notice
from msoauth.practice.admin.conditional_access import (
    POLICY_ACTIONS,
    STATE_LABELS,
    TEMPLATES,
    described,
)
from msoauth.practice.admin.settings import LISTINGS, SETTINGS
from msoauth.practice.admin.view import View
from msoauth.practice.entra.pages import Page, SignInSite, templates
from msoauth.practice.faults import FAULTS
from msoauth.practice.scenarios import RunningScenarios, scenarios

_NOTICES = 100  # messages that wait to be shown
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"


class AdminCenter:
    """What the requests of one admin center share.

    Attributes:
        token: A secret in every form, so that no other page can send one (CSRF).
        notices: Messages to be shown once, by the key in the address that a change redirects to.
    """

    def __init__(self, active: RunningScenarios) -> None:
        self.scenarios = active
        self.token = secrets.token_urlsafe(24)
        self.notices: dict[str, Notice] = {}

    def keep(self, notice: Notice) -> str:
        """Keep a message to be shown once; returns its key."""
        while len(self.notices) >= _NOTICES:
            self.notices.pop(next(iter(self.notices)))
        key = secrets.token_urlsafe(12)
        self.notices[key] = notice
        return key


class AdminPage(Page):
    """``/admin``."""

    center: AdminCenter

    def initialize(self, site: SignInSite, center: AdminCenter | None = None) -> None:
        super().initialize(site)
        assert center is not None  # noqa: S101 - routes() gives it
        self.center = center

    def get(self) -> None:
        notice = self.center.notices.pop(self.argument("notice"), None)
        self._render(self._view(), notice=notice)

    def post(self) -> None:
        token = self.get_body_argument("token", "").encode()
        if not hmac.compare_digest(token, self.center.token.encode()):
            self.set_status(403)
            self.finish("This change did not come from the admin center.")
            return
        current, change = self._view(), self.argument("change")
        action = ACTIONS.get(change) or POLICY_ACTIONS.get(change)
        try:
            if action is None:
                raise ChangeError("There is no such change.")
            notice = action(
                current, Form(self.argument("on"), self.argument("value"), self.argument("more"))
            )
        except ChangeError as error:
            self.set_status(400)
            self._render(current, problem=str(error))
            return
        # The value is not logged: it may be a password.
        current.state.log_event(
            "admin", f"{change} {self.argument('on')}".strip(), tenant=current.tenant.name
        )
        key = self.center.keep(notice)
        self.redirect(f"admin?{current.query(notice=key)}#{self.argument('place')}", status=303)

    def _view(self) -> View:
        current = view.view_for(
            self.center.scenarios,
            tenant=self.argument("tenant"),
            app=self.argument("app"),
            user=self.argument("user"),
            mailbox=self.argument("mailbox"),
        )
        current.find, current.log_find = self.argument("find")[:100], self.argument("log")[:100]
        page = self.argument("page")
        current.page = int(page) if page.isdecimal() and len(page) < 6 else 0
        return current

    def _render(self, current: View, *, notice: Notice | None = None, problem: str = "") -> None:
        people, count = current.people()
        self.set_header("Content-Security-Policy", _POLICY)
        template = templates("msoauth.practice.admin").get_template("admin.html")
        self.finish(
            template.render(
                view=current,
                tenant=current.tenant,
                app=current.app,
                principal=current.principal,
                user=current.user,
                mailbox=current.mailbox,
                state=current.state,
                people=people,
                count=count,
                pages=-(-count // view.PEOPLE),
                token=self.center.token,
                notice=notice,
                problem=problem,
                settings=SETTINGS,
                listings=LISTINGS,
                described=described,
                policy_states=STATE_LABELS,
                policy_templates=TEMPLATES,
                permissions=permissions,
                resources=actions.RESOURCES,
                lifetimes=LIFETIMES,
                code=self.site.code,
                scenarios=scenarios(),
                faults=FAULTS,
                sign_ins=view.SIGN_INS,
                protocols=view.PROTOCOLS,
                changes=view.CHANGES,
                root=self.root,
            )
        )


def routes(
    site: SignInSite, active: RunningScenarios
) -> list[tuple[str, type[AdminPage], dict[str, Any]]]:
    """The admin center's address."""
    return [(r"/admin/?", AdminPage, {"site": site, "center": AdminCenter(active)})]
