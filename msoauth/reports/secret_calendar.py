"""Reminders of the day on which a client secret ends, as a calendar file (RFC 5545)."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from msoauth.judgement import SECRET_WARNING_DAYS
from msoauth.model import Firm
from msoauth.texts import _, ngettext

# Days before the end. The first leaves the firm's IT the weeks that a new secret takes.
REMINDERS = (SECRET_WARNING_DAYS, 30, 14, 7, 1, 0)


def calendar(firms: Iterable[Firm], now: datetime | None = None) -> bytes:
    """A calendar with an all-day event and an alarm at nine o'clock for each reminder that is still to come.

    Each is an event of its own, because many calendars keep only one alarm of an event. A file saved again after
    the secret was replaced moves the events, where the calendar knows them by their UID.

    Args:
        firms: Those whose end date is not recorded are left out.
        now: The moment of writing (UTC).
    """
    now = now or datetime.now(UTC)
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//msoauth//client secrets//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        *(line for firm in firms for line in _events(firm, now)),
        "END:VCALENDAR",
    ]
    return "".join(f"{_folded(line)}\r\n" for line in lines).encode()


def file_name(firms: Iterable[Firm]) -> str:
    """What the calendar file may be called on every system."""
    names = [firm.name for firm in firms]
    word = names[0] if len(names) == 1 else "msoauth"
    safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in word).strip("-")[:60]
    return f"{safe or 'msoauth'}-secret.ics"


def _events(firm: Firm, now: datetime) -> Iterator[str]:
    end = firm.secret_expires
    if end is None:
        return
    about = hashlib.sha256(f"{firm.tenant}/{firm.client_id}".casefold().encode()).hexdigest()[:24]
    for days in REMINDERS:
        day = end - timedelta(days=days)
        if day < now.date():
            continue
        yield from (
            "BEGIN:VEVENT",
            f"UID:{about}-{days}@msoauth.invalid",
            f"DTSTAMP:{now.astimezone(UTC):%Y%m%dT%H%M%SZ}",
            f"DTSTART;VALUE=DATE:{day:%Y%m%d}",
            f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}",
            "TRANSP:TRANSPARENT",
            f"SUMMARY:{_escaped(_summary(firm, days))}",
            f"DESCRIPTION:{_escaped(_description(firm, end))}",
            "BEGIN:VALARM",
            "ACTION:DISPLAY",
            "TRIGGER:PT9H",
            f"DESCRIPTION:{_escaped(_summary(firm, days))}",
            "END:VALARM",
            "END:VEVENT",
        )


def _summary(firm: Firm, days: int) -> str:
    if not days:
        return _("{firm}: the client secret ends today").format(firm=firm.name)
    return ngettext(
        "{firm}: the client secret ends in {days} day",
        "{firm}: the client secret ends in {days} days",
        days,
    ).format(firm=firm.name, days=days)


def _description(firm: Firm, end: date) -> str:
    return _(
        "The client secret of the app {app} (directory {tenant}) is good until {date}. Have a new one made under "
        "App registrations → Certificates & secrets, then: msoauth firm secret. Nobody needs to sign in again."
    ).format(app=firm.client_id, tenant=firm.tenant, date=end.isoformat())


def _escaped(text: str) -> str:
    for plain, safe in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\r", ""), ("\n", "\\n")):
        text = text.replace(plain, safe)
    return "".join(c for c in text if c.isprintable())


def _folded(line: str) -> str:
    """At most 75 octets a line, never inside a character."""
    parts: list[str] = []
    kept = b""
    for character in line:
        encoded = character.encode()
        if len(kept) + len(encoded) > (75 if not parts else 74):
            parts.append(kept.decode())
            kept = b""
        kept += encoded
    return "\r\n ".join([*parts, kept.decode()])
