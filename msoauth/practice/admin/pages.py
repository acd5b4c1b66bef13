"""The one page of the admin center, and what its buttons do."""

import hmac
import secrets
from functools import cache
from typing import Any
from urllib.parse import urlencode

import jinja2

from msoauth.practice.admin.changes import (
    change_app,
    change_mailbox,
    change_tenant,
    change_user,
    new_secret,
)
from msoauth.practice.entra.pages import Page, People
from msoauth.practice.state import EXCHANGE_APP_ID, ClientSecret, Firm

_LOG = 60


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("msoauth.practice.admin", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )


class AdminPage(Page):
    """``/admin``. A change carries a token of this process, so that no other page can send one."""

    token: str

    def initialize(self, people: People, token: str = "") -> None:
        super().initialize(people)
        self.token = token

    def get(self) -> None:
        self._page()

    def post(self) -> None:
        world = self.people.world
        firm = world.firm(self.argument("tenant"))
        if (
            not hmac.compare_digest(self.argument("token").encode(), self.token.encode())
            or firm is None
        ):
            self.set_status(403)
            self.finish("This change did not come from the admin center.")
            return
        shown = self._change(
            firm, self.argument("change"), self.argument("on"), self.argument("value")
        )
        world.note(
            "admin",
            f"{self.argument('change')} {self.argument('on')} {self.argument('value')[:60]}".strip(),
            firm=firm.name,
        )
        if shown is None:
            self.redirect(f"admin?{urlencode({'tenant': firm.tenant_id})}#{self.argument('place')}")
        else:
            self._page(new_secret=shown)

    def _page(self, new_secret: ClientSecret | None = None) -> None:
        world = self.people.world
        firms = list(world.firms.values())
        firm = world.firm(self.argument("tenant")) or firms[0]
        people = list(firm.users.values())[:200]
        wanted = self.argument("find").strip().lower()
        log = [
            e
            for e in reversed(world.log)
            if not wanted
            or wanted in f"{e.correlation_id} {e.trace_id} {e.user} {e.outcome}".lower()
        ]
        self.set_header(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
        )
        self.finish(
            _templates()
            .get_template("admin.html")
            .render(
                firms=firms, firm=firm, people=people, log=log[:_LOG], find=self.argument("find"), token=self.token,
                clock=world.clock, new_secret=new_secret, exchange=EXCHANGE_APP_ID, code=self.people.code,
            )
        )  # fmt: skip

    def _change(self, firm: Firm, change: str, on: str, value: str) -> ClientSecret | None:
        """Carry out a change; the new secret when one was made, whose value is shown once."""
        world = self.people.world
        if change == "new-secret":
            return new_secret(firm, world.clock.now(), value)
        change_app(firm, change, on, value)
        change_tenant(firm, world.clock, change, value)
        if on and (user := firm.user(on)) is not None:
            change_user(firm, user, world.clock.now(), change, value)
        if on and (mailbox := firm.mailbox(on)) is not None:
            change_mailbox(mailbox, change, value)
        return None


def routes(people: People) -> list[tuple[str, type[AdminPage], dict[str, Any]]]:
    """The admin center's address."""
    return [(r"/admin", AdminPage, {"people": people, "token": secrets.token_urlsafe(24)})]
