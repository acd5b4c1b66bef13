"""Writes reminders of the day on which a client secret ends, as a calendar file (RFC 5545)."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from msoauth.judgement import SECRET_WARNING_DAYS
from msoauth.model import Firm
from msoauth.private_files import file_stem
from msoauth.texts import _, ngettext

if TYPE_CHECKING:
    from icalendar import Event

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
    from icalendar import Calendar  # imported lazily: rarely needed

    now = now or datetime.now(UTC)
    reminders = Calendar()
    for name, value in (
        ("prodid", "-//msoauth//client secrets//EN"),
        ("version", "2.0"),
        ("method", "PUBLISH"),
    ):
        reminders.add(name, value)
    for firm in firms:
        for event in _events(firm, now):
            reminders.add_component(event)
    return bytes(reminders.to_ical())


def file_name(firms: Iterable[Firm]) -> str:
    """A name for the calendar file that is valid on every system."""
    names = [firm.name for firm in firms]
    name = names[0] if len(names) == 1 else "msoauth"
    return f"{file_stem(name) or 'msoauth'}-secret.ics"


def _events(firm: Firm, now: datetime) -> Iterator["Event"]:
    """A firm's events, one for each reminder that is still to come."""
    from icalendar import Alarm, Event

    end = firm.secret_expires
    if end is None:
        return
    app = f"{firm.tenant}/{firm.client_id}".casefold()
    app_digest = hashlib.sha256(app.encode()).hexdigest()[:24]
    for days in REMINDERS:
        day = end - timedelta(days=days)
        if day < now.date():
            continue
        summary = _printable(_summary(firm, days))
        event, alarm = Event(), Alarm()
        event.add("uid", f"{app_digest}-{days}@msoauth.invalid")
        event.add("dtstamp", now.astimezone(UTC))
        event.add("dtstart", day)
        event.add("dtend", day + timedelta(days=1))
        event.add("transp", "TRANSPARENT")
        event.add("description", _printable(_description(firm, end)))
        alarm.add("action", "DISPLAY")
        alarm.add("trigger", timedelta(hours=9))
        alarm.add("description", summary)
        event.add("summary", summary)
        event.add_component(alarm)
        yield event


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


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable())
