"""Builds the HTML of the panels: dots, boxes, buttons, tables, findings. All arguments are escaped unless they are Markup."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from markupsafe import Markup, escape

from msoauth.checks import DIAGNOSE, ROUND_TRIP, SEND
from msoauth.errors import MsoauthError, is_local
from msoauth.explaining import explanation_with_roles, for_cause, of_finding, who_in_words
from msoauth.explaining.explanation import confidence_in_words
from msoauth.judgement import root_cause
from msoauth.model import Account, Finding, Firm, Link, Signal
from msoauth.redact import redact
from msoauth.reports import document
from msoauth.store.destinations import Unconfirmed
from msoauth.texts import _

State = Signal | Literal["running"]

# Each state has its own shape, so that nobody has to rely on colour: circle, triangle, cross, diamond, dash, ring, arc.
_SHAPES = {
    "passed": Markup(
        '<circle cx="8" cy="8" r="7"/><path d="m4.6 8.3 2.3 2.4 4.6-5" fill="none" stroke="#fff" stroke-width="1.8"/>'
    ),
    "warning": Markup(
        '<path d="M8 1 15.5 15H.5z"/><path d="M8 6v4.2M8 11.6v1.8" stroke="#fff" stroke-width="1.7"/>'
    ),
    "failed": Markup(
        '<path d="m2.5 2.5 11 11m0-11-11 11" stroke="currentColor" stroke-width="3.4" fill="none"/>'
    ),
    "error": Markup(
        '<path d="M8 .5 15.5 8 8 15.5.5 8z"/><path d="M8 4.6v4.2M8 10.2v1.8" stroke="#fff" stroke-width="1.7"/>'
    ),
    "skipped": Markup('<path d="M2 8h12" stroke="currentColor" stroke-width="3"/>'),
    "not-run": Markup(
        '<circle cx="8" cy="8" r="6.3" fill="none" stroke="currentColor" stroke-width="1.8"/>'
    ),
    "running": Markup(
        '<path d="M8 1.7a6.3 6.3 0 1 1-6.3 6.3" fill="none" stroke="currentColor" stroke-width="2.4"/>'
    ),
}

_LONG = 12  # a table with more rows scrolls within itself

_CELL = Markup("<td>{}</td>")
_NUMBER, _TIME = Markup('<td class="mso-number">{}</td>'), Markup('<td class="mso-time">{}</td>')


def _class(state: str) -> str:
    return "error-dot" if state == "error" else state


def word(state: State) -> str:
    """The word for a state, shown beside its dot."""
    return _("running") if state == "running" else document.word(Signal(state))


def dot(state: State, text: str | None = None) -> Markup:
    """A dot with its word: *text*, or else that of the state."""
    name = str(state)
    return Markup(
        '<span class="mso-dot mso-{}" data-state="{}"><svg viewBox="0 0 16 16" fill="currentColor" '
        'aria-hidden="true">{}</svg>{}</span>'
    ).format(_class(name), name, _SHAPES[name], text or word(state))


def seconds_since(since: float) -> Markup:
    """Elapsed minutes and seconds, counted up in the browser.

    Args:
        since: When counting began, by this computer's clock (``time.time``); the view corrects for the browser's.
    """
    return Markup('<span class="mso-clock" data-since="{:.1f}">0:00</span>').format(since)


def countdown(seconds: float) -> Markup:
    """Remaining minutes and seconds, counted down in the browser."""
    until = time.time() + seconds
    return Markup('<strong class="mso-clock" data-until="{:.1f}"></strong>').format(until)


def running(what: str) -> Markup:
    """A running dot for the work *what*, with a clock that starts now."""
    return Markup("<p>{} {}</p>").format(dot("running", what), seconds_since(time.time()))


def header(
    title: str, state: State, state_word: str | None = None, since: float | None = None
) -> Markup:
    """A panel's heading: its title, its dot, and while it is running the time elapsed since *since*."""
    clock = seconds_since(since) if since is not None and state == "running" else Markup("")
    return Markup('<div class="mso-head"><h2>{}</h2>{}{}</div>').format(
        title, dot(state, state_word), clock
    )


def select(act: str, label: str, options: Iterable[tuple[str, str]], chosen: str) -> Markup:
    """A drop-down list; choosing from it calls the view's ``on_action`` with *act* and the chosen value."""
    entries = Markup("").join(
        Markup('<option value="{}"{}>{}</option>').format(
            value, Markup(" selected") if value == chosen else "", text
        )
        for value, text in options
    )
    return Markup(
        '<label class="mso-choice"><span>{}</span><select aria-label="{}" data-act="{}" data-key="{}">{}</select>'
        "</label>"
    ).format(label, label, act, act, entries)


def box(
    kind: Literal["passed", "warning", "failed", "error-box", "note"], *parts: Markup | str
) -> Markup:
    """A framed message; a part that is plain text becomes a paragraph."""
    paragraphs = (part if isinstance(part, Markup) else paragraph(part) for part in parts)
    return Markup('<div class="mso-box mso-{}">{}</div>').format(kind, Markup("").join(paragraphs))


def paragraph(text: str, *arguments: object) -> Markup:
    """A paragraph; ``{}`` in *text* are replaced by the arguments."""
    return Markup("<p>{}</p>").format(escape(text).format(*arguments) if arguments else text)


def button(
    label: str, act: str, value: str = "", *, primary: bool = False, small: bool = False
) -> Markup:
    """A button; a click calls the view's ``on_action`` with *act* and *value*."""
    style = " ".join(["mso-primary"] * primary + ["mso-small"] * small)
    return Markup(
        '<button type="button" class="{}" data-act="{}" data-value="{}" data-key="{}">{}</button>'
    ).format(style, act, value, f"{act} {value}", label)


def copy(text: str, label: str | None = None) -> Markup:
    """A button that copies *text*."""
    return Markup(
        '<button type="button" class="mso-small" data-copy="{}" data-copied="{}">{}</button>'
    ).format(text, _("Copied"), label or _("Copy"))


def is_address(url: str) -> bool:
    """Whether *url* may become a link: http or https, or a path on the server that shows this page.

    The practice tenant's pages are at such a path where a proxy serves them.
    """
    return url.startswith(("https://", "http://")) or (
        url[:1] == "/" and url[1:2] not in ("/", "\\")
    )


def link(target: Link) -> Markup:
    """A link that opens in a new tab; only its text if the URL must not become a link."""
    if not is_address(target.url):
        return escape(target.text)
    return Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(
        target.url, target.text
    )


def facts(rows: Iterable[tuple[str, Markup | str]]) -> Markup:
    """A list of names and values."""
    return Markup('<dl class="mso-facts">{}</dl>').format(
        Markup("").join(Markup("<dt>{}</dt><dd>{}</dd>").format(*row) for row in rows)
    )


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Markup | str]],
    *,
    numbers: Sequence[int] = (),
    times: Sequence[int] = (),
    label: str = "",
    whole: bool = False,
) -> Markup:
    """A table; columns in *numbers* are right-aligned, those in *times* are not wrapped.

    Args:
        whole: Show all rows, however many, instead of scrolling within the table.
    """
    rows = list(rows)
    scrolls = " mso-long" if len(rows) > _LONG and not whole else ""
    cells = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                (_NUMBER if n in numbers else _TIME if n in times else _CELL).format(c)
                for n, c in enumerate(row)
            )
        )
        for row in rows
    )
    names = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in head)
    return Markup(
        '<div class="mso-scroll{}" tabindex="0" role="region" aria-label="{}"><table class="mso-rows">'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(scrolls, label or " ".join(head), names, cells)


def remedy(finding: Finding, *, commands: Sequence[str] | None = None) -> Markup:
    """What to do about a finding: the server's own words, the cause, who can fix it, the steps, and the ids.

    Args:
        commands: PowerShell commands; by default those of the cause, for the finding's mailbox.
    """
    parts = []
    if finding.evidence:
        parts.append(
            Markup('<div class="mso-quiet">{}</div><div class="mso-evidence">{}</div>').format(
                _("The server's own words") if finding.cause else _("Details"), finding.evidence
            )
        )
    if finding.cause:
        title = for_cause(finding.cause).title
        parts.append(
            facts(
                [
                    (
                        _("Cause"),
                        Markup("{} <span class='mso-quiet'>({})</span>").format(
                            title, finding.cause
                        ),
                    ),
                    *_certainty(finding),
                    (_("Who can mend it"), who_in_words(finding.who)),
                ]
            )
        )
    parts.append(note_user_name(finding))
    if finding.fix:
        steps = Markup("").join(Markup("<li>{}</li>").format(step) for step in finding.fix)
        text = "\n".join(f"{n}. {step}" for n, step in enumerate(finding.fix, 1))
        parts.append(
            Markup('<ol class="mso-steps">{}</ol>{} {}').format(
                steps, copy(text, _("Copy the steps")), Markup(" · ").join(map(link, finding.links))
            )
        )
    if finding.cause:
        if commands is None:
            commands = of_finding(finding).powershell
        text = "\n".join(commands)
        if text:
            parts.append(
                Markup(
                    '<div class="mso-quiet">PowerShell {}</div><div class="mso-evidence">{}</div>'
                ).format(copy(text, _("Copy the commands")), text)
            )
    if finding.ids:
        ids_text = "; ".join(
            f"{name.replace('_', ' ')}: {value}" for name, value in finding.ids.items()
        )
        parts.append(
            Markup('<p class="mso-quiet">{} {}</p>').format(ids_text, copy(ids_text, _("Copy")))
        )
    return Markup("").join(parts)


def _certainty(finding: Finding) -> list[tuple[str, str]]:
    """How certain the cause is, where it is not, and what else it may be."""
    if finding.confidence in ("", "certain"):
        return []
    others = ", ".join(for_cause(cause).title for cause in finding.possibilities)
    certainty = confidence_in_words("likely" if finding.confidence == "likely" else "unsure")
    rows = [(_("Certainty"), certainty)]
    return [*rows, (_("It may also be"), others)] if others else rows


def note_user_name(finding: Finding) -> Markup:
    """A button that notes who signed in as the one who signs in for the mailbox; nothing where nobody else did."""
    user = finding.details.get("signed_in_as", "")
    if not user or not finding.account or finding.cause not in ("account-wrong", "user-renamed"):
        return Markup("")
    label = _("Note {user} as the user name").format(user=user)
    return button(label, "note-user-name", f"{finding.account} {user}", small=True)


def check_name(check: str) -> Markup:
    """A check's title with its id below; only the id when it is unknown."""
    checks = (*DIAGNOSE, *SEND, *ROUND_TRIP)
    title = next((c.title() for c in checks if c.id == check), None)
    if check == "mail.retrieve":
        title = _("Mail is retrieved")
    if title is None:
        return escape(check)
    return Markup('{}<br><span class="mso-quiet">{}</span>').format(title, check)


def findings(rows: Sequence[Finding], *, opened: str | None = None) -> Markup:
    """A table of findings, in which a finding with a remedy can be unfolded.

    Args:
        opened: The check to show unfolded; None for the root cause or, without one, the first warning.
    """
    if not rows:
        return Markup("")
    if opened is None:
        first_problem = root_cause(rows) or next(
            (f for f in rows if f.signal is Signal.WARNING), None
        )
        opened = first_problem.check if first_problem else ""
    table_rows = []
    for finding in rows:
        details = remedy(finding)
        summary: Markup | str = finding.summary
        if details:
            summary = Markup('<details data-key="{}"{}><summary>{}</summary>{}</details>').format(
                f"{finding.run} {finding.check}",
                Markup(" open") if finding.check == opened else "",
                finding.summary,
                details,
            )
        table_rows.append(
            (dot(finding.signal), check_name(finding.check), summary, f"{finding.seconds:.2f} s")
        )
    return table(
        [_("Result"), _("What was checked"), _("What was found"), _("Time")],
        table_rows,
        numbers=[3],
        whole=True,
        label=_("Findings"),
    )


def failure(error: Exception, firm: Firm | None = None, account: Account | None = None) -> Markup:
    """The error that ended the work, with its remedy; one that is not an MsoauthError is shown as a bug."""
    if isinstance(error, MsoauthError):
        finding = Finding(
            "", Signal.FAILED, error.summary, evidence=redact(error.evidence, 4000), ids=error.ids
        )
        if is_local(error):
            finding = replace(finding, fix=error.fix)
        elif error.cause != "unknown":
            explanation, details = explanation_with_roles(
                error.cause, error.evidence, firm, account, error.details, ids=error.ids
            )
            finding = replace(
                finding,
                cause=error.cause,
                fix=explanation.fix,
                who=explanation.who,
                links=explanation.links,
                firm=firm.name if firm else "",
                account=account.address if account else "",
                details=details,
            )
        return box(
            "failed", paragraph("{}", dot(Signal.FAILED, redact(error.summary))), remedy(finding)
        )
    return box(
        "error-box",
        paragraph(
            "{}", dot(Signal.ERROR, _("This did not work because of a fault in msoauth itself."))
        ),
        Markup('<div class="mso-evidence">{}: {}</div>').format(
            type(error).__name__, redact(str(error), 1000)
        ),
        _(
            "Nothing that was stored is lost. Restart the kernel and try again; if it stays, report these words."
        ),
    )


def unconfirmed(shown: Unconfirmed) -> Markup:
    """What is to be confirmed before the secrets of a firm are used, with a button that accepts it."""
    parts: list[Markup | str] = []
    if shown.changes:
        text = _(
            "The settings that decide where the secrets of {firm} are sent have changed since they were stored. Nothing was sent."
        )
        headers = [_("What"), _("When they were stored"), _("Now")]
        rows = [(change.label, change.old_text, change.new_text) for change in shown.changes]
        parts += [paragraph(text.format(firm=shown.firm.name)), table(headers, rows)]
    if shown.host:
        text = _(
            "Servers of {firm} are not Microsoft's: {host}. May its secret and tokens go there?"
        )
        parts.append(paragraph(text.format(firm=shown.firm.name, host=shown.host)))
    if shown.lost:
        text = _(
            "These can no longer be decrypted. Confirming deletes them; enter the secret or sign in again: {which}."
        )
        parts.append(paragraph(text.format(which=shown.lost_text)))
    parts.append(button(_("Confirm the new values"), "confirm"))
    return box("warning", *parts)
