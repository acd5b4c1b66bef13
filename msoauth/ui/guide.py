"""Builds the checklist of each step: what to click at Microsoft, by its current menu names (facts F5), ticked off as checks pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

from msoauth.explaining.links import link as portal_link
from msoauth.judgement import root_cause, succeeded
from msoauth.microsoft_changes import complete
from msoauth.model import Account, Finding, Firm, Link, Signal
from msoauth.reports.consent import known_consent
from msoauth.texts import _
from msoauth.ui import html
from msoauth.ui.session import Session

FindingsByCheck = Mapping[str, Finding]


@dataclass(frozen=True)
class Item:
    """An item of a checklist.

    Attributes:
        says: What to do, with links and Copy buttons.
        checks: Ids of the checks that show whether it is done: at least one must have run, and all that ran must have passed.
        known: Whether it is done, where that is known otherwise.
        done: What the tick says; empty for “done”.
    """

    says: Markup
    checks: tuple[str, ...] = ()
    known: Signal | None = None
    done: str = ""

    def state(self, by_check: FindingsByCheck) -> Signal:
        """Passed when done, failed or error when not, not run when unknown."""
        if self.known is not None:
            return self.known
        findings = [by_check[check] for check in self.checks if check in by_check]
        if (problem := root_cause(findings)) is not None:
            return problem.signal
        return Signal.PASSED if succeeded(findings) else Signal.NOT_RUN


def newest_by_check(rows: Sequence[Finding]) -> dict[str, Finding]:
    """The newest finding of each check."""
    return {finding.check: finding for finding in rows}


def _not_passed(by_check: FindingsByCheck, check: str) -> bool:
    return check not in by_check or by_check[check].signal is not Signal.PASSED


def checklist(
    title: str, items: Sequence[Item], by_check: FindingsByCheck, *more: Markup, opened: bool = True
) -> Markup:
    """A foldable checklist: its items with their dots, then *more* below them.

    Args:
        opened: Whether it starts unfolded.
    """
    words = {Signal.PASSED: _("done"), Signal.NOT_RUN: _("to do")}
    states = [item.state(by_check) for item in items]
    lines = [
        Markup('<li data-state="{}">{}<div>{}</div></li>').format(
            state, html.dot(state, item.done or words.get(state)), item.says
        )
        for item, state in zip(items, states, strict=True)
    ]
    done = states.count(Signal.PASSED)
    count = _("{done} of {all} done").format(done=done, all=len(items))
    return Markup(
        '<details class="mso-guide" data-key="guide"{}><summary>{} <span class="mso-quiet">{}</span></summary>'
        "<ol>{}</ol>{}</details>"
    ).format(
        Markup(" open") if opened else "",
        title,
        count,
        Markup("").join(lines),
        Markup("").join(more),
    )


def _markup(text: str, **parts: Markup | str) -> Markup:
    """*text* as Markup: ``**bold**`` becomes strong, and *parts* are filled in, escaped unless they are Markup."""
    pieces = str(escape(text)).split("**")
    marked = "".join(
        f"<strong>{piece}</strong>" if n % 2 else piece for n, piece in enumerate(pieces)
    )
    return Markup(marked).format(**parts)  # noqa: S704 - escaped above


def _portal_link(session: Session, name: str, firm: Firm | None) -> Markup:
    """A deep link into Microsoft's portal; for a practice firm, the practice tenant's admin center."""
    practice = session.practice
    if practice is not None and (firm is None or firm.cloud.is_practice):
        return html.link(Link(_("the practice tenant's admin center"), practice.admin))
    return html.link(portal_link(name, firm))


def _code_with_copy_button(text: str) -> Markup:
    return Markup("<code>{}</code> {}").format(text, html.copy(text))


def registration(session: Session, firm: Firm | None, by_check: FindingsByCheck) -> Markup:
    """Step 1: the app registration in the firm's directory."""
    items = [
        Item(
            _markup(
                _(
                    "Open **App registrations** → **New registration** in the Microsoft Entra admin center ({link}). "
                    "Name: anything, such as {name}. Supported account types: **Accounts in this organizational directory "
                    "only**. Redirect URI: **Web**, {uri}. Then **Register**."
                ),
                link=_portal_link(session, "overview", firm),
                name=_code_with_copy_button("msoauth"),
                uri=_code_with_copy_button("http://localhost"),
            ),
            ("registration.redirect",),
        ),
        Item(
            _markup(
                _(
                    "On the app's page **Overview**, copy **Application (client) ID** (1) and **Directory (tenant) ID** (2) "
                    "into the form below."
                )
            ),
            ("registration.values", "registration.directory"),
        ),
        Item(
            _markup(
                _(
                    "**Certificates & secrets** → **Client secrets** → **New client secret** ({link}). Copy the column "
                    "**Value** (3) at once: it is never shown again. Note when it expires. If the page says that secrets are "
                    "blocked by a policy, use the app without one: **Authentication** → **Add a platform** → **Mobile and "
                    "desktop applications**, the same redirect URI, and leave the secret empty below."
                ),
                link=_portal_link(session, "secrets", firm),
            ),
            ("registration.secret",),
        ),
        Item(
            _markup(
                _(
                    "**API permissions** → **Add a permission** → **Microsoft Graph** → **Delegated permissions** ({link}): "
                    "{pop}, {smtp}, {offline}, and {imap} for mailboxes that are retrieved by IMAP."
                ),
                link=_portal_link(session, "permissions", firm),
                pop=_code_with_copy_button("POP.AccessAsUser.All"),
                smtp=_code_with_copy_button("SMTP.Send"),
                offline=_code_with_copy_button("offline_access"),
                imap=_code_with_copy_button("IMAP.AccessAsUser.All"),
            ),
            ("sign-in.scopes",),
        ),
        _admin_consent(
            session,
            firm,
            _(
                "**Grant admin consent** on the same page, or send an administrator of the firm this link: {link}. "
                "Do it before any user signs in: by Microsoft's default since November 2025, users can't allow POP and IMAP "
                "themselves."
            ),
        ),
    ]
    opened = _not_passed(by_check, "registration.secret")
    return checklist(
        _("What to click at Microsoft"), items, by_check, _app_page_picture(), opened=opened
    )


def _admin_consent(session: Session, firm: Firm | None, says: str) -> Item:
    """The item about admin consent; its tick says whether an administrator consented, or each mailbox was checked."""
    if firm is None:
        link = Markup("<em>{}</em>").format(_("it is here once the form below is saved"))
        return Item(_markup(says, link=link), known=Signal.NOT_RUN)
    consent = known_consent(session.workspace, firm)
    state = {"all": Signal.PASSED, "each": Signal.PASSED, "required": Signal.FAILED}
    words = {"all": _("admin consent"), "each": _("for each mailbox"), "required": _("to do first")}
    return Item(
        _markup(says, link=consent_link(firm)),
        known=state.get(consent, Signal.NOT_RUN),
        done=words.get(consent, ""),
    )


def consent_link(firm: Firm) -> Markup:
    """The link by which an administrator of the firm consents for all users, with a button that copies it."""
    link = portal_link("admin-consent", firm)
    return Markup("{} {}").format(html.link(link), html.copy(link.url, _("Copy the link")))


def users(session: Session, account: Account | None, by_check: FindingsByCheck) -> Markup:
    """Step 2: what must be switched on for each mailbox, and the one sign-in."""
    firm = session.firm()
    address = account.address if account else "anna@contoso.example"
    # Microsoft's own cmdlet for the same switch (facts F2).
    command = f"Set-CASMailbox -Identity {address} -SmtpClientAuthenticationDisabled $false -PopEnabled $true"
    items = [
        _admin_consent(
            session,
            firm,
            _(
                "Before you call any user: an administrator of the firm opens this link and accepts, {link}. Otherwise, by "
                "Microsoft's default, sign-ins end with “Need admin approval”. **For administrators** in step 4 shows whether "
                "it was done."
            ),
        ),
        Item(
            _markup(
                _(
                    "For each mailbox: Microsoft 365 admin center → **Users** → **Active users** ({link}) → the user → "
                    "**Mail** → **Manage email apps** → tick **Authenticated SMTP** and **POP** (or **IMAP**) → **Save changes**. "
                    "In Exchange Online PowerShell: {command}"
                ),
                link=_portal_link(session, "users", firm),
                command=_code_with_copy_button(command),
            ),
            ("smtp.login", "smtp.send", "pop3.login", "imap.login"),
        ),
        Item(
            _markup(
                _(
                    "Add the mailboxes below, then press **Authenticate** beside each. The user signs in once, with their own "
                    "password and second factor, and sees “Verification code received”."
                )
            ),
            ("sign-in.token",),
        ),
        Item(
            _markup(
                _(
                    "If another user is still signed in at Microsoft, choose **Use another account**. Do not choose "
                    "**Stay signed in** on a computer that several people use."
                )
            ),
            ("sign-in.user",),
        ),
    ]
    # Microsoft's own cmdlets for mailboxes to come (facts L10).
    hiring = _markup(
        _(
            "If the firm hires: new mailboxes take **POP** and **IMAP** from their plan. {show} lists the plans, "
            "{switch} switches POP on for the mailboxes to come. {module}"
        ),
        show=_code_with_copy_button("Get-CASMailboxPlan | Format-List Name,PopEnabled,ImapEnabled"),
        switch=_code_with_copy_button("Get-CASMailboxPlan | Set-CASMailboxPlan -PopEnabled $true"),
        module=complete("{change:exchange-module-3-10}"),
    )
    return checklist(
        _("What to click at Microsoft"),
        items,
        by_check,
        Markup("<p>{}</p>").format(hiring),
        _email_apps_picture(),
        opened=_not_passed(by_check, "sign-in.token"),
    )


def mail(by_check: FindingsByCheck) -> Markup:
    """Step 3: what retrieving and sending show."""
    items = [
        Item(
            _markup(
                _(
                    "Choose the mailbox above and press **Retrieve mail**. Nothing is ever deleted or marked in the mailbox; "
                    "each message is also stored as an .eml file in the workspace."
                )
            ),
            ("mail.retrieve",),
        ),
        Item(
            _markup(
                _(
                    "Press **Send test mail**. It is sent to the mailbox itself unless you name another address."
                )
            ),
            ("smtp.send",),
        ),
        Item(
            _markup(_("The test mail arrives: both ways work, from end to end.")),
            ("mail.round-trip",),
        ),
    ]
    return checklist(
        _("What to do here"), items, by_check, opened=_not_passed(by_check, "mail.round-trip")
    )


@cache
def _picture(name: str) -> Markup:
    return Markup((Path(__file__).parent / "static" / f"{name}.svg").read_text(encoding="utf-8"))  # noqa: S704 - our own file


def _app_page_picture() -> Markup:
    """Shows where to read the client ID, the tenant ID and the client secret's value, in the words of Microsoft's portal."""
    return _picture("values").format(
        label=_(
            "Drawing: on the app's Overview page, 1 Application (client) ID and 2 Directory (tenant) ID; on the page "
            "Certificates & secrets, 3 the column Value. Not the Object ID, and not the Secret ID."
        ),
        app=_("your app"),
        overview=_("Overview"),
        authentication=_("Authentication"),
        secrets=_("Certificates & secrets"),
        permissions=_("API permissions"),
        essentials=_("Essentials"),
        client_id=_("Application (client) ID"),
        object_id=_("Object ID"),
        tenant_id=_("Directory (tenant) ID"),
        account_types=_("Supported account types"),
        client_secrets=_("Client secrets"),
        new_secret=_("New client secret"),
        expires=_("Expires"),
        value=_("Value"),
        secret_id=_("Secret ID"),
        once=_("The value is shown only once: copy it at once."),
        not_the_id=_("The Secret ID is something else."),
    )


def _email_apps_picture() -> Markup:
    """Shows where POP and “Authenticated SMTP” are switched on for a mailbox."""
    return _picture("smtp").format(
        label=_(
            "Drawing: Microsoft 365 admin center, 1 Active users, the user, 2 the tab Mail, 3 Manage email apps, "
            "4 POP and Authenticated SMTP ticked, then Save changes."
        ),
        center=_("Microsoft 365 admin center"),
        users=_("Users"),
        active_users=_("Active users"),
        guests=_("Guest users"),
        contacts=_("Contacts"),
        tab_account=_("Account"),
        tab_licenses=_("Licenses and apps"),
        tab_mail=_("Mail"),
        email_apps=_("Email apps"),
        manage=_("Manage email apps"),
        outlook_web=_("Outlook on the web"),
        imap=_("IMAP"),
        pop=_("POP"),
        smtp=_("Authenticated SMTP"),
        save=_("Save changes"),
    )
