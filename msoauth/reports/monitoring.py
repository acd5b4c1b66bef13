"""An account's status as JSON for monitoring systems, with ids where people read labels."""

from datetime import UTC, datetime
from typing import Any

from msoauth.auditing import labels
from msoauth.auditing.status import AccountStatus


def as_json(status: AccountStatus) -> dict[str, Any]:
    """The status of an account, ready for ``json.dumps``; ``check`` and ``cause`` are null where nothing is wrong.

    ``soon`` says whether it works now and will stop; ``who`` is an id as in a finding; times are UTC.
    """
    issue, finding = status.issue, status.finding
    return {
        "firm": status.account.firm,
        "account": status.account.address,
        "signal": str(status.signal),
        "check": issue.check if issue else None,
        "cause": issue.cause if issue else None,
        "summary": labels.issue_label(issue),
        "soon": issue.expiring if issue else False,
        "since": _iso_time(status.since),
        "evidence": finding.evidence if finding else "",
        "fix": list(labels.account_fix(status)),
        "who": labels.account_who(status),
        "ids": dict(finding.ids) if finding else {},
        "change": status.change,
        "last_sign_in": _iso_time(status.last_sign_in),
        "last_retrieval": _iso_time(status.last_retrieval),
        "last_sending": _iso_time(status.last_sending),
        "newest_mail": _iso_time(status.newest_mail),
        "idle_days": status.idle_days,
        "secret_days": status.secret_days,
        "silent_days": status.silent_days,
        "never_signed_in": status.never_signed_in,
        "at": _iso_time(status.checked_at),
        "run": finding.run if finding else "",
    }


def _iso_time(at: datetime | None) -> str | None:
    iso = at.astimezone(UTC).isoformat(timespec="milliseconds") if at else None
    return iso and iso.replace("+00:00", "Z")
