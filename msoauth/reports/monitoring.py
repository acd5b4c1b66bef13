"""An account's status as JSON for monitoring systems, with ids where people read labels."""

from datetime import UTC, datetime
from typing import Any

from msoauth.auditing import labels
from msoauth.auditing.status import AccountStatus


def as_json(one: AccountStatus) -> dict[str, Any]:
    """The status of an account, ready for ``json.dumps``; ``check`` and ``cause`` are null where nothing is wrong.

    ``soon`` says whether it works now and will stop; ``who`` is an id as in a finding; times are UTC.
    """
    issue, finding = one.issue, one.finding
    return {
        "firm": one.account.firm,
        "account": one.account.address,
        "signal": str(one.signal),
        "check": issue.check if issue else None,
        "cause": issue.cause if issue else None,
        "summary": labels.issue_label(issue),
        "soon": issue.expiring if issue else False,
        "since": _moment(one.since),
        "evidence": finding.evidence if finding else "",
        "fix": list(labels.account_fix(one)),
        "who": labels.account_who(one),
        "ids": dict(finding.ids) if finding else {},
        "change": one.change,
        "last_sign_in": _moment(one.last_sign_in),
        "last_retrieval": _moment(one.last_retrieval),
        "last_sending": _moment(one.last_sending),
        "newest_mail": _moment(one.newest_mail),
        "idle_days": one.idle_days,
        "secret_days": one.secret_days,
        "silent_days": one.silent_days,
        "never_signed_in": one.never_signed_in,
        "at": _moment(one.checked_at),
        "run": finding.run if finding else "",
    }


def _moment(at: datetime | None) -> str | None:
    iso = at.astimezone(UTC).isoformat(timespec="milliseconds") if at else None
    return iso and iso.replace("+00:00", "Z")
