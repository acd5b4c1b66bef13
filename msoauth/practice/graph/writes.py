"""The practice tenant's Graph paths that change something, and the function that answers each (facts K2.5, K2.7)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from msoauth.practice.consent_policies import LEGACY, LOW
from msoauth.practice.graph import objects
from msoauth.practice.graph.caller import Caller, GraphError
from msoauth.practice.graph.query import Row
from msoauth.practice.graph.reads import find_application
from msoauth.practice.registrations import ClientSecret
from msoauth.practice.seed import secret_value
from msoauth.practice.state import MANAGED_CONSENT, PracticeState

_TWO_YEARS = 2

Writer = Callable[[PracticeState, Caller, str, dict[str, Any]], Row | None]


def _add_password(state: PracticeState, who: Caller, key: str, body: dict[str, Any]) -> Row:
    """A new client secret; its value is in this answer only."""
    app = find_application(who, key, "Application.ReadWrite.All")
    wanted = body.get("passwordCredential", {})
    if not isinstance(wanted, dict):
        raise GraphError.bad_request("Invalid value specified for property 'passwordCredential'.")
    now = state.clock.now()
    start = _time(wanted, "startDateTime") or now
    end = _time(wanted, "endDateTime") or _years_later(start)
    if refusal := app.secret_refusal(who.tenant.policies.app_management, end - start):
        raise GraphError(400, *refusal)
    name = str(wanted.get("displayName") or "")
    secret = ClientSecret(secret_value(), start, end, display_name=name)
    app.secrets.append(secret)
    return {**objects.secret(secret), "secretText": secret.value}


def _years_later(start: datetime) -> datetime:
    try:
        return start.replace(year=start.year + _TWO_YEARS)
    except ValueError:  # 29 February
        return start + timedelta(days=365 * _TWO_YEARS)


def _time(values: dict[str, Any], name: str) -> datetime | None:
    text = values.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise GraphError.bad_request(f"Invalid value specified for property '{name}'.")
    return moment


def _remove_password(_state: PracticeState, who: Caller, key: str, body: dict[str, Any]) -> None:
    app = find_application(who, key, "Application.ReadWrite.All")
    key_id = str(body.get("keyId", "")).lower()
    kept = [secret for secret in app.secrets if secret.key_id != key_id]
    if len(kept) == len(app.secrets):
        # The wording is from memory, not verified.
        raise GraphError.bad_request("No password credential found with keyId.")
    app.secrets[:] = kept


def _change_authorization_policy(
    _state: PracticeState, who: Caller, _key: str, body: dict[str, Any]
) -> None:
    """Of all properties only the users' consent policies are changed."""
    who.require("Policy.ReadWrite.Authorization")
    permissions = body.get("defaultUserRolePermissions", {})
    wanted = body.get(
        "permissionGrantPolicyIdsAssignedToDefaultUserRole",  # in the beta version
        permissions.get("permissionGrantPoliciesAssigned")
        if isinstance(permissions, dict)
        else None,
    )
    # Where Microsoft manages consent, a change is accepted and silently discarded (facts K2.7).
    if not isinstance(wanted, list) or who.tenant.policies.user_consent == MANAGED_CONSENT:
        return
    prefix = "managepermissiongrantsforself."
    ids = [str(one)[len(prefix) :] for one in wanted if str(one).lower().startswith(prefix)]
    known = [one for one in ids if one in (LOW, LEGACY, MANAGED_CONSENT)]
    if ids and not known:
        # What an unknown policy is answered with is unverified.
        raise GraphError.bad_request(
            "Invalid value specified for property 'permissionGrantPoliciesAssigned'."
        )
    who.tenant.policies.user_consent = known[0] if known else ""


_APPLICATION = r"applications(?:\(appId='([^']+)'\)|/([^/]+))"

# By HTTP method and path.
WRITES: tuple[tuple[str, str, Writer], ...] = (
    ("POST", rf"{_APPLICATION}/addPassword", _add_password),
    ("POST", rf"{_APPLICATION}/removePassword", _remove_password),
    (
        "PATCH",
        r"policies/authorizationPolicy(?:/authorizationPolicy)?",
        _change_authorization_policy,
    ),
)
