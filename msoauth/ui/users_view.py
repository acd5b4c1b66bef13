"""How the mailboxes of a firm and a sign-in under way look."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from msoauth.errors import AuthError
from msoauth.identity.environment import Flow
from msoauth.identity.flows import SignIn
from msoauth.model import Account, Firm, Link, Signal
from msoauth.store import TokenStatus
from msoauth.texts import _
from msoauth.ui import html
from msoauth.ui.users_state import Seen

Row = Sequence[Markup | str]


def mailboxes(rows: Iterable[Row]) -> Markup:
    """The table of mailboxes."""
    head = [_("Sign-in"), _("Mailbox"), _("Retrieved by"), _("Token last used"), _("Actions")]
    return html.table(head, rows, times=[3, 4], label=_("Mailboxes"))


def mailbox_row(
    account: Account, status: TokenStatus | None, seen: Seen | None, password: str | None
) -> Row:
    """One mailbox: its dot, who signs in, and what can be done.

    Args:
        seen: What the last check said; None when there was none.
        password: The practice tenant's password for this user, to be shown.
    """
    seen = seen or Seen(Signal.PASSED if status else Signal.NOT_RUN)
    words: dict[html.State, str] = {
        Signal.PASSED: _("signed in"),
        Signal.NOT_RUN: _("not signed in"),
    }
    notes = []
    if account.login:
        notes.append(_("signs in as {user}").format(user=account.login))
    if seen.title and seen.state is not Signal.PASSED:
        notes.append(seen.title)
    if password:
        notes.append(_("practice password: {password}").format(password=password))
    note = Markup('<br><span class="mso-quiet">{}</span>').format("; ".join(notes))
    return (
        html.dot(seen.state, words.get(seen.state)),
        Markup("{}{}").format(account.address, note if notes else ""),
        account.retrieve.upper(),
        f"{status.refreshed_at.astimezone():%Y-%m-%d %H:%M}" if status else "",
        Markup(" ").join(_buttons(account.address, status, seen)),
    )


def _buttons(address: str, status: TokenStatus | None, seen: Seen) -> list[Markup]:
    if status is None:
        return [
            html.button(_("Authenticate"), "sign-in", address, primary=True, small=True),
            html.button(_("Remove"), "remove", address, small=True),
        ]
    again = html.button(
        _("Sign in again"), "sign-in", address, primary=seen.needs_sign_in, small=True
    )
    if seen.needs_sign_in:
        return [again]
    troubled = seen.state in (Signal.FAILED, Signal.WARNING)
    check = html.button(
        _("Check again") if troubled else _("Check"), "check", address, primary=troubled, small=True
    )
    return [again, check, html.button(_("Sign out"), "sign-out", address, small=True)]


def app_row(account: Account, seen: Seen | None) -> Row:
    """One mailbox of a firm with app-only access, to which nobody signs in."""
    seen = seen or Seen(Signal.NOT_RUN)
    note = Markup('<br><span class="mso-quiet">{}</span>').format(seen.title)
    return (
        html.dot(seen.state),
        Markup("{}{}").format(account.address, note if seen.title else ""),
        account.retrieve.upper(),
        "",
        Markup(" ").join(
            [
                html.button(_("Check"), "check", account.address, primary=True, small=True),
                html.button(_("Remove"), "remove", account.address, small=True),
            ]
        ),
    )


def waiting(account: Account, attempt: SignIn[Any], why: str) -> Markup:
    """What the user has to do while a sign-in is waited for, with the time that is left.

    Args:
        why: Why this way was taken, when nobody chose it.
    """
    until = time.time() + attempt.seconds_left
    user = account.user
    opened = html.link(Link(_("Open the sign-in page"), attempt.url))
    line = Markup("<p>{} {}</p>")
    if attempt.flow == "device":
        how = [
            html.paragraph(
                _("{user} opens this address on any computer and enters the code:").format(
                    user=user
                )
            ),
            line.format(
                Markup('<span class="mso-address">{}</span>').format(
                    html.link(Link(attempt.url, attempt.url))
                ),
                html.copy(attempt.url),
            ),
            line.format(
                Markup('<span class="mso-code">{}</span>').format(attempt.code),
                html.copy(attempt.code),
            ),
        ]
    elif attempt.flow == "paste":
        told = _(
            "Send this link to {user}. After signing in, their browser ends on a page that does not load: "
            "that is right. They send back the address of that page; paste it below."
        )
        how = [
            html.paragraph(told.format(user=user)),
            line.format(opened, html.copy(attempt.url, _("Copy the link"))),
        ]
    else:
        how = [
            html.paragraph(attempt.message),
            line.format(opened, html.copy(attempt.url, _("Copy the address"))),
        ]
    others = {
        "browser": _("In this browser"),
        "device": _("With a code"),
        "paste": _("With a link"),
    }
    del others[attempt.flow]
    return html.box(
        "note",
        html.paragraph(
            "{}", html.dot("running", _("Waiting for the sign-in of {user}").format(user=user))
        ),
        *([Markup('<p class="mso-quiet">{}</p>').format(why)] if why else []),
        *how,
        Markup('<p>{} <strong class="mso-clock" data-until="{}"></strong></p>').format(
            _("Time left:"), f"{until:.0f}"
        ),
        Markup('<p>{} <span class="mso-quiet">{}</span> {}</p>').format(
            html.button(_("Cancel"), "cancel"),
            _("Another way:"),
            Markup(" ").join(
                html.button(label, via, account.address, small=True)
                for via, label in others.items()
            ),
        ),
    )


def again_in(account: Account, seen: Seen, pause: float) -> Markup:
    """A renewal that failed for now, and the time until it is tried again."""
    told = _("{user}: {cause}. This passes by itself; nothing is lost.")
    return html.box(
        "warning",
        html.paragraph(told.format(user=account.user, cause=seen.title or html.word(seen.state))),
        Markup('<p>{} <strong class="mso-clock" data-until="{}"></strong></p>').format(
            _("Tried again in"), f"{time.time() + pause:.0f}"
        ),
        html.button(_("Cancel"), "cancel"),
    )


def refused(
    problem: AuthError,
    firm: Firm,
    account: Account,
    *,
    other: Flow | None,
    sign_out: str = "",
    consent: str = "",
) -> Markup:
    """A sign-in that did not come about: why, and what to do now.

    Args:
        other: The way to offer instead.
        sign_out: Where the browser's session at Microsoft is ended, after another account signed in.
        consent: The link by which an administrator consents.
    """
    parts = [html.failure(problem, firm, account)]
    if problem.cause == "account-wrong":
        parts.append(
            Markup("<p>{} {}</p>").format(
                html.button(_("Use another account"), "another", account.address, primary=True),
                html.link(Link(_("Sign out at Microsoft"), sign_out)) if sign_out else "",
            )
        )
        shared = _(
            "If {mailbox} is a shared mailbox, or this is its user under another name: remove it here and add it anew with “Signs in as”."
        )
        parts.append(
            Markup('<p class="mso-quiet">{}</p>').format(shared.format(mailbox=account.address))
        )
        return Markup("").join(parts)
    if consent:
        parts.append(consent_box(firm, consent))
    actions = [html.button(_("Try again"), "sign-in", account.address, primary=other is None)]
    if other == "paste":
        offer = html.button(_("Send a link instead"), "paste", account.address, primary=True)
        actions.insert(0, offer)
    return Markup("").join([*parts, Markup("<p>{}</p>").format(Markup(" ").join(actions))])


def consent_box(firm: Firm, link: str) -> Markup:
    """The link by which an administrator of the firm consents for everybody, to be copied."""
    told = _(
        "An administrator of {firm} opens this link, signs in and presses Accept. The page that follows does not load: that is right."
    )
    return html.box(
        "note",
        html.paragraph(told.format(firm=firm.name)),
        Markup("<p>{} {}</p>").format(
            html.copy(link, _("Copy the admin-consent link")),
            html.link(Link(_("Open it here"), link)),
        ),
    )
