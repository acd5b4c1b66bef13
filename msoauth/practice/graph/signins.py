"""The practice tenant's simulation of Graph: the sign-in log as Graph returns it (facts G2)."""

import re

from msoauth.practice.graph.objects import graph_time
from msoauth.practice.graph.query import Row
from msoauth.practice.state import LogEntry, PracticeState, Tenant

_NUMBER = re.compile(r"AADSTS(\d+): (.*)", re.DOTALL)


def rows(state: PracticeState, tenant: Tenant) -> list[Row]:
    """The interactive sign-ins, newest first; others are in the beta version only (from memory, not verified)."""
    names = {p.app.app_id: p.app.display_name for p in tenant.principals}
    return [
        _row(tenant, entry, names)
        for entry in reversed(state.log)
        if entry.kind == "sign-in" and entry.tenant == tenant.name
    ]


def _row(tenant: Tenant, entry: LogEntry, names: dict[str, str]) -> Row:
    match = _NUMBER.match(entry.outcome)
    number = int(match[1]) if match else 0
    user = tenant.users.get(entry.user.lower())
    blocked = number in (53000, 53001, 53003, 530003, 50097)
    return {
        "id": entry.id,
        "createdDateTime": graph_time(entry.at),
        "userDisplayName": user.display_name if user else "",
        "userPrincipalName": entry.user,
        "userId": user.id if user else "00000000-0000-0000-0000-000000000000",
        "appId": entry.app_id,
        "appDisplayName": names.get(entry.app_id, ""),
        "ipAddress": "203.0.113.7",
        "clientAppUsed": "Browser",
        "correlationId": entry.correlation_id,
        "conditionalAccessStatus": "failure" if blocked else "notApplied",
        "isInteractive": True,
        "riskDetail": "none",
        "resourceDisplayName": "Office 365 Exchange Online",
        "status": {
            "errorCode": number,
            "failureReason": match[2] if match else "Other.",
            "additionalDetails": None,
        },
    }
