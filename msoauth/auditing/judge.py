"""What the answers about an account amount to: its signal, its first broken link, and what will break soon."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from msoauth import checks
from msoauth.judgement import Answer, root_cause, severity
from msoauth.model import Firm, Signal
from msoauth.store import TokenStatus

# A new secret needs somebody with rights on the tenant, an unused refresh token the user: both take weeks.
SECRET_AMBER_DAYS = 60
IDLE_AMBER_DAYS = 60
IDLE_RED_DAYS = 90  # a refresh token ends after 90 days without use (facts B6)
SILENT_DAYS = 30

SECRET_END, TOKEN_AGE, NEWEST_MAIL = "registration.secret-end", "sign-in.age", "mail.newest"

_ORDER = {
    check.id: place
    for place, check in enumerate(
        (*checks.DIAGNOSE, *checks.NEWEST, *checks.SEND, *checks.ROUND_TRIP)
    )
}


@dataclass(frozen=True, slots=True)
class Link:
    """A link that does not hold, or will not for long.

    Attributes:
        check: The check's id.
        signal: How bad it is now.
        days: Days that are left (secret), or that have passed (idle, silent); None where days are not the matter.
    """

    check: str
    signal: Signal
    cause: str | None = None
    days: int | None = None

    @property
    def soon(self) -> bool:
        """Whether it works as yet."""
        return self.signal is Signal.WARNING and self.days is not None


def in_order(check: str) -> int:
    """Where a check stands among all; unknown ones come last."""
    return _ORDER.get(check, len(_ORDER))


def broken(own: Iterable[Answer], firm: Iterable[Answer]) -> Link | None:
    """The first link of an account that does not hold now.

    Args:
        own: The answers about the account.
        firm: The answers about its firm; they count where they bar what was asked about the account.
    """
    kept = sorted(own, key=lambda a: in_order(a.check))
    found = root_cause(kept)
    if found is None or found.signal is Signal.WARNING:
        barred = not kept or any(a.signal is Signal.SKIPPED for a in kept)
        if barred:
            found = root_cause(sorted(firm, key=lambda a: in_order(a.check))) or found
    return None if found is None else Link(found.check, found.signal, found.cause)


def soon(
    firm: Firm,
    token: TokenStatus | None,
    now: datetime,
    *,
    newest: datetime | None = None,
    silent_days: int = SILENT_DAYS,
) -> list[Link]:
    """What will stop an account before long, or has by the calendar: its firm's secret, its token's idle days, silence."""
    links = []
    left = secret_days(firm, now)
    if left is not None and left <= SECRET_AMBER_DAYS:
        # The date was typed in by somebody; whether the secret is refused, its own check tells.
        links.append(Link(SECRET_END, Signal.WARNING, "secret-expired", left))
    idle = idle_days(firm, token, now)
    if idle is not None and idle >= IDLE_AMBER_DAYS:
        signal = Signal.FAILED if idle >= IDLE_RED_DAYS else Signal.WARNING
        links.append(Link(TOKEN_AGE, signal, "refresh-expired", idle))
    if newest is not None and (silent := (now - newest).days) >= silent_days:
        links.append(Link(NEWEST_MAIL, Signal.WARNING, None, silent))
    return links


def secret_days(firm: Firm, now: datetime) -> int | None:
    """Days until the client secret ends; None where its end is not recorded."""
    return None if firm.secret_expires is None else (firm.secret_expires - now.date()).days


def idle_days(firm: Firm, token: TokenStatus | None, now: datetime) -> int | None:
    """Days since the refresh token was last used; None where there is none."""
    if token is None or firm.access == "app-only":
        return None
    return max(0, (now - token.refreshed_at).days)


def worst(links: Sequence[Link]) -> Link | None:
    """The link that stands for the account: the worst, the first among equals."""
    return max(links, key=lambda link: severity(link.signal), default=None)
