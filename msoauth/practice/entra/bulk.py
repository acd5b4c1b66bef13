"""Grants for all users of a tenant at once, as if each had signed in and consented.

A shortcut that only the practice tenant has, so that an audit of ten thousand accounts needs no ten thousand sign-ins.
"""

import base64
import json
from typing import Any

from msoauth.practice.entra.clients import Client
from msoauth.practice.entra.grants import Authority
from msoauth.practice.entra.pages import Page
from msoauth.practice.state import EXCHANGE_APP_ID, Tenant

_SCOPES = ("IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send")


def grants(authority: Authority, tenant: Tenant) -> list[dict[str, Any]]:
    """A token reply for each user, without an access token: the first renewal gets one."""
    missing = set(_SCOPES) - tenant.principal.admin_consent.get(EXCHANGE_APP_ID, set())
    client = Client(tenant.app, tenant, tenant.tenant_id)
    scope = " ".join(f"https://outlook.office.com/{name}" for name in _SCOPES)
    replies = []
    for user in tenant.users.values():
        if missing:
            own = tenant.principal.user_consent.setdefault(user.id, {})
            own.setdefault(EXCHANGE_APP_ID, set()).update(missing)
        client_info = json.dumps({"uid": user.id, "utid": tenant.tenant_id}).encode()
        replies.append(
            {
                "address": user.upn,
                "refresh_token": authority.new_refresh(
                    client, tenant, user, "web", ["pwd", "mfa"], scope
                ),
                "client_info": base64.urlsafe_b64encode(client_info).rstrip(b"=").decode(),
                "scope": scope,
                "id_token_claims": {
                    "preferred_username": user.upn,
                    "name": user.display_name,
                    "oid": user.id,
                    "tid": tenant.tenant_id,
                    "sub": user.id,
                },
            }
        )
    return replies


class GrantsPage(Page):
    """``POST /practice/grants``: JSON ``{"tenant": …}`` in, the grants of that tenant's users out.

    A web page of another origin cannot call this: before sending JSON, browsers ask for permission (CORS), which this
    page never gives. The address carries the admin center's token.
    """

    def post(self) -> None:
        content_type = (
            self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        )
        try:
            body = json.loads(self.request.body) if content_type == "application/json" else None
        except ValueError:
            body = None
        state = self.site.state
        tenant = state.tenant(str(body.get("tenant", ""))) if isinstance(body, dict) else None
        if tenant is None:
            self.set_status(400)
            self.finish({"error": "send JSON with the tenant of a practice firm"})
            return
        user_grants = grants(self.site.authority, tenant)
        state.log_event("admin", f"grants for {len(user_grants)} users", tenant=tenant.name)
        self.finish({"grants": user_grants})
