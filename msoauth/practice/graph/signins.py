"""The practice tenant's simulation of Graph: the sign-in log as Graph returns it (facts G2).

The list holds interactive sign-ins; in the beta version a filter by ``signInEventTypes`` gives the others too.
"""

import re
from collections.abc import Iterator

from msoauth.practice.conditional_access import DEVICE_CODE, MFA, NATIVE
from msoauth.practice.graph.objects import graph_time
from msoauth.practice.graph.query import Query, Row
from msoauth.practice.permissions import RESOURCE_NAMES
from msoauth.practice.state import EXCHANGE_APP_ID, LogEntry, PracticeState, Tenant

_NUMBER = re.compile(r"AADSTS(\d+): (.*)", re.DOTALL)
_NOBODY = "00000000-0000-0000-0000-000000000000"
# Seen in a sign-in log: Mfa and Block; the others are of the same form, unverified.
_CONTROLS = {
    "block": "Block",
    "mfa": "Mfa",
    "compliantDevice": "RequireCompliantDevice",
    "domainJoinedDevice": "RequireDomainJoinedDevice",
    "approvedApplication": "RequireApprovedApp",
    "compliantApplication": "RequireCompliantApp",
}

PAGE = 1000  # rows of a page at most, and without $top

# The properties by which sign-ins can be filtered, and how: $filter and $orderby of Graph's reference.
_EQUAL, _BEGIN = frozenset({"eq"}), frozenset({"eq", "startswith"})
FILTERABLE = {
    **dict.fromkeys(
        ("id", "appId", "userId", "correlationId", "clientAppUsed", "conditionalAccessStatus",
         "resourceDisplayName", "resourceId", "riskDetail"), _EQUAL),
    **dict.fromkeys(("userPrincipalName", "userDisplayName", "appDisplayName", "ipAddress"), _BEGIN),
    "createdDateTime": frozenset({"eq", "ge", "le", "gt", "lt"}),
    "status/errorCode": frozenset({"eq", "ne"}),
}  # fmt: skip
BETA_FILTERABLE = {
    **FILTERABLE,
    "signInEventTypes": frozenset({"any"}),
    "authenticationRequirement": _BEGIN,
}


def rows(state: PracticeState, tenant: Tenant, *, beta: bool, with_policies: bool) -> list[Row]:
    """The sign-ins of a tenant, newest first.

    Args:
        with_policies: The caller may see which policies were applied.
    """
    return list(_rows(state, tenant, beta=beta, with_policies=with_policies))


def _rows(
    state: PracticeState, tenant: Tenant, *, beta: bool, with_policies: bool
) -> Iterator[Row]:
    names = {p.app.app_id: p.app.display_name for p in tenant.principals}
    for entry in reversed(state.log):
        interactive = entry.kind == "sign-in"
        if entry.tenant != tenant.name or not (interactive or (beta and entry.kind == "token")):
            continue
        row = _row(tenant, entry, names)
        if not with_policies:
            row["appliedConditionalAccessPolicies"] = []
        if beta:
            row |= _beta_properties(entry)
        yield row


def of_kinds(found: list[Row], options: Query) -> list[Row]:
    """The sign-ins that a query of the beta version looks at: interactive ones, unless it asks for kinds."""
    if any(name == "signInEventTypes" for name, _operator in options.filtered_by):
        return found
    return [row for row in found if row["isInteractive"]]


def _row(tenant: Tenant, entry: LogEntry, names: dict[str, str]) -> Row:
    match = _NUMBER.match(entry.outcome)
    user = tenant.users.get(entry.user.lower())
    facts = entry.sign_in
    resource = facts.resource if facts else EXCHANGE_APP_ID
    native = facts is not None and facts.client_app_type == NATIVE
    return {
        "id": entry.id,
        "createdDateTime": graph_time(entry.at),
        "userDisplayName": user.display_name if user else "",
        "userPrincipalName": entry.user.lower(),
        "userId": facts.user_id if facts else user.id if user else _NOBODY,
        "appId": entry.app_id,
        "appDisplayName": names.get(entry.app_id, ""),
        "ipAddress": "203.0.113.7",
        "clientAppUsed": "Mobile Apps and Desktop clients" if native else "Browser",
        "correlationId": entry.correlation_id or entry.id,
        "conditionalAccessStatus": _status(entry),
        "isInteractive": entry.kind == "sign-in",
        "riskDetail": "none",
        "riskLevelAggregated": "none",
        "riskLevelDuringSignIn": "none",
        "riskState": "none",
        "riskEventTypes_v2": [],
        "resourceDisplayName": RESOURCE_NAMES.get(resource, ""),
        "resourceId": resource,
        "status": {
            "errorCode": int(match[1]) if match else 0,
            "failureReason": match[2] if match else "Other.",
            "additionalDetails": None,
        },
        "appliedConditionalAccessPolicies": [
            {
                "id": said.policy.id,
                "displayName": said.policy.display_name,
                "enforcedGrantControls": [
                    _CONTROLS.get(control, control) for control in said.policy.built_in_controls
                ],
                "enforcedSessionControls": ["SignInFrequency"]
                if said.policy.sign_in_frequency is not None
                else [],
                "result": said.result,
            }
            for said in entry.applied
        ],
    }


def _status(entry: LogEntry) -> str:
    results = {said.result for said in entry.applied}
    return next((result for result in ("failure", "success") if result in results), "notApplied")


def _beta_properties(entry: LogEntry) -> Row:
    facts = entry.sign_in
    kind = "nonInteractiveUser" if entry.user else "servicePrincipal"
    by_code = facts is not None and facts.transfer_method == DEVICE_CODE
    twice = facts is not None and MFA in facts.satisfied
    return {
        "signInEventTypes": ["interactiveUser" if entry.kind == "sign-in" else kind],
        "authenticationProtocol": "deviceCode" if by_code else "oAuth2",
        "originalTransferMethod": DEVICE_CODE if by_code else "none",
        "authenticationRequirement": f"{'multi' if twice else 'single'}FactorAuthentication",
    }
