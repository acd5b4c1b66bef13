"""How the mailboxes of a firm and a sign-in under way look."""

import time
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from msoauth.identity.signin import SignIn
from msoauth.model import Account, Link, Signal
from msoauth.store import TokenStatus
from msoauth.texts import _
from msoauth.ui import html

Row = Sequence[Markup | str]


def mailboxes(rows: Iterable[Row]) -> Markup:
    """The table of mailboxes."""
    head = [_("Sign-in"), _("Mailbox"), _("Retrieved by"), _("Token last used"), _("Actions")]
    return html.table(head, rows, times=[3, 4], label=_("Mailboxes"))


def mailbox_row(
    account: Account, status: TokenStatus | None, signal: html.State | None, password: str | None
) -> Row:
    """One mailbox: its dot, who signs in, and what can be done.

    Args:
        signal: What the last check said; None when there was none.
        password: The practice tenant's password for this user, to be shown.
    """
    state = signal or (Signal.PASSED if status else Signal.NOT_RUN)
    words: dict[html.State, str] = {
        Signal.PASSED: _("signed in"),
        Signal.NOT_RUN: _("not signed in"),
    }
    notes = []
    if account.login:
        notes.append(_("signs in as {user}").format(user=account.login))
    if password:
        notes.append(_("practice password: {password}").format(password=password))
    note = Markup('<br><span class="mso-quiet">{}</span>').format("; ".join(notes))
    address = account.address
    if status is None:
        buttons = [
            html.button(_("Authenticate"), "sign-in", address, primary=True, small=True),
            html.button(_("Remove"), "remove", address, small=True),
        ]
    else:
        buttons = [
            html.button(_("Sign in again"), "sign-in", address, small=True),
            html.button(_("Check"), "check", address, small=True),
            html.button(_("Sign out"), "sign-out", address, small=True),
        ]
    return (
        html.dot(state, words.get(state)),
        Markup("{}{}").format(address, note if notes else ""),
        account.retrieve.upper(),
        f"{status.refreshed_at.astimezone():%Y-%m-%d %H:%M}" if status else "",
        Markup(" ").join(buttons),
    )


def waiting(account: Account, attempt: SignIn) -> Markup:
    """What the user has to do while a sign-in is waited for, with the time that is left."""
    until = time.time() + attempt.seconds_left
    user = account.user
    opened = html.link(Link(_("Open the sign-in page"), attempt.url))
    line = Markup("<p>{} {}</p>")
    if attempt.via == "device":
        how = [
            html.paragraph(
                _("{user} opens this address on any computer and enters the code:").format(
                    user=user
                )
            ),
            line.format(html.link(Link(attempt.url, attempt.url)), html.copy(attempt.url)),
            line.format(
                Markup('<span class="mso-code">{}</span>').format(attempt.code),
                html.copy(attempt.code),
            ),
        ]
    elif attempt.via == "paste":
        told = _(
            "Send this link to {user}. After signing in, their browser ends on a page that does not load: "
            "that is right. They send back the address of that page; paste it below."
        )
        how = [
            html.paragraph(told.format(user=user)),
            line.format(opened, html.copy(attempt.url, _("Copy the link"))),
        ]
    else:
        told = _("Sign in as {user} in the browser window that has opened. None there?")
        how = [
            html.paragraph(told.format(user=user)),
            line.format(opened, html.copy(attempt.url, _("Copy the address"))),
        ]
    return html.box(
        "note",
        html.paragraph(
            "{}", html.dot("running", _("Waiting for the sign-in of {user}").format(user=user))
        ),
        *how,
        Markup('<p class="mso-quiet">{} {}</p>').format(
            _("Ends by itself in"), html.seconds_until(until)
        ),
        html.button(_("Cancel"), "cancel"),
    )
