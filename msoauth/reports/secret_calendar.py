"""Writes reminders of the day on which a client secret ends, as a calendar file (RFC 5545)."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from msoauth.judgement import SECRET_WARNING_DAYS
from msoauth.model import Firm
from msoauth.texts import _, ngettext

# Days before the end. The first reminder leaves the IT department the weeks that it may need for a new secret.
REMINDERS = (SECRET_WARNING_DAYS, 30, 14, 7, 1, 0)


def calendar(firms: Iterable[Firm], now: datetime | None = None) -> bytes:
    """A calendar with an all-day event and an alarm at nine o'clock for each reminder that is still to come.

    Each reminder is an event of its own, because many calendars keep only one alarm per event. Importing a new file
    after the secret was replaced moves the events in calendars that recognize them by their UID.

    Args:
        firms: The firms; those without a recorded end date are left out.
        now: The current time (UTC).
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
    return "".join(f"{_fold(line)}\r\n" for line in lines).encode()


def file_name(firms: Iterable[Firm]) -> str:
    """A name for the calendar file that is valid on every system."""
    names = [firm.name for firm in firms]
    name = names[0] if len(names) == 1 else "msoauth"
    safe_name = "".join(c if c.isalnum() or c in "-_" else "-" for c in name).strip("-")[:60]
    return f"{safe_name or 'msoauth'}-secret.ics"


def _events(firm: Firm, now: datetime) -> Iterator[str]:
    """The lines of a firm's events, one event for each reminder that is still to come."""
    end = firm.secret_expires
    if end is None:
        return
    app_digest = hashlib.sha256(f"{firm.tenant}/{firm.client_id}".casefold().encode()).hexdigest()[
        :24
    ]
    for days in REMINDERS:
        day = end - timedelta(days=days)
        if day < now.date():
            continue
        yield from (
            "BEGIN:VEVENT",
            f"UID:{app_digest}-{days}@msoauth.invalid",
            f"DTSTAMP:{now.astimezone(UTC):%Y%m%dT%H%M%SZ}",
            f"DTSTART;VALUE=DATE:{day:%Y%m%d}",
            f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}",
            "TRANSP:TRANSPARENT",
            f"SUMMARY:{_escape(_summary(firm, days))}",
            f"DESCRIPTION:{_escape(_description(firm, end))}",
            "BEGIN:VALARM",
            "ACTION:DISPLAY",
            "TRIGGER:PT9H",
            f"DESCRIPTION:{_escape(_summary(firm, days))}",
            "END:VALARM",
            "END:VEVENT",
        )


def _summary(firm: Firm, days: int) -> str:
    """The title of a reminder."""
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


def _escape(text: str) -> str:
    for plain, safe in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\r", ""), ("\n", "\\n")):
        text = text.replace(plain, safe)
    return "".join(c for c in text if c.isprintable())


def _fold(line: str) -> str:
    """*line* folded into lines of at most 75 octets, never inside a character (RFC 5545, section 3.1)."""
    parts: list[str] = []
    current = b""
    for character in line:
        encoded = character.encode()
        if len(current) + len(encoded) > (75 if not parts else 74):
            parts.append(current.decode())
            current = b""
        current += encoded
    return "\r\n ".join([*parts, current.decode()])
