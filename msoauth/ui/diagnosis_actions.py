"""Provides the buttons below a diagnosis: request to the firm's IT, support bundle, onboarding record, and replay.

Everything is shown on screen, and saved by the browser, which may run on another computer.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from markupsafe import Markup

from msoauth.addresses import same
from msoauth.errors import InputError
from msoauth.mail.transcript import Transcript
from msoauth.model import Account, Finding, Firm
from msoauth.texts import _
from msoauth.ui import html
from msoauth.ui.letter_view import LetterView, file_name
from msoauth.ui.panel import Panel
from msoauth.ui.widgets import View

if TYPE_CHECKING:
    from msoauth.reports.bundle import Bundle

_HTML, _ZIP = "text/html", "application/zip"


class DiagnosisActions:
    """The buttons, and the view that shows their results.

    Attributes:
        view: Shows the result of the button pressed last.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.view = View(live=True, on_action=self.on_action)
        self._letter = LetterView(panel)
        self._bundle: Bundle | None = None
        self._error_text = ""  # that goes into the bundle beside the diagnosis
        self._diagnosis: (
            tuple[Firm, Account, Sequence[Finding], Mapping[str, Transcript]] | None
        ) = None
        self._replay_tenant = ExitStack()  # the practice tenant of a replay, until the kernel ends

    def close(self) -> None:
        """End the practice tenant of a replay, if one is running."""
        self._replay_tenant.close()

    def clear(self) -> None:
        """Discard the last diagnosis and what was made from it."""
        self._letter.clear()
        self._bundle = self._diagnosis = None
        self._error_text = ""
        self.view.show(Markup(""))

    def use(
        self,
        firm: Firm,
        account: Account,
        findings: Sequence[Finding],
        transcripts: Mapping[str, Transcript],
    ) -> None:
        """Set the diagnosis that the buttons work on."""
        self.clear()
        self._diagnosis = (firm, account, findings, transcripts)

    def buttons(self) -> Markup:
        """The buttons, to be shown with the verdict."""
        return Markup('<div class="mso-buttons">{} {} {} {}</div>').format(
            html.button(_("Request to the firm's IT"), "letter", "account", small=True),
            html.button(_("Support bundle"), "bundle-look", "plain", small=True),
            html.button(_("Replay in a practice tenant"), "replay", small=True),
            html.button(_("Onboarding record of the firm"), "record", small=True),
        )

    def transcripts(self) -> Markup:
        """The transcripts of the mail connections, each to be unfolded."""
        if self._diagnosis is None or not self._diagnosis[3]:
            return Markup("")
        folds = Markup("").join(
            Markup(
                '<details data-key="talk {}"><summary>{}</summary>{}'
                '<div class="mso-evidence">{}</div></details>'
            ).format(
                name,
                _("Conversation: {name}").format(name=name),
                html.copy(transcript.text()),
                transcript.text(),
            )
            for name, transcript in self._diagnosis[3].items()
            if transcript.entries
        )
        return Markup('<div class="mso-talks">{}</div>').format(folds)

    def on_action(self, name: str, value: str) -> None:
        """Handle one of the buttons."""
        handlers = {
            "letter": self._show_letter,
            "letter-save": self._letter.save,
            "bundle-look": self._preview_bundle,
            "bundle-save": self._save_bundle,
            "record": self._save_record,
            "replay": self._replay,
        }
        if name in handlers:
            try:
                handlers[name](value)
            except InputError as error:
                self.view.show(html.box("note", error.summary))

    # The request to the firm's IT

    def _show_letter(self, scope: str) -> None:
        from msoauth.reports.letter import letter

        account = self._panel.session.account()
        firm = self._panel.session.firm()
        if firm is None:
            return
        request = letter(self._panel.workspace, firm, account if scope == "account" else None)
        other_scope = (
            html.button(_("For all mailboxes of the firm"), "letter", "firm", small=True)
            if scope == "account"
            else html.button(_("Only for this mailbox"), "letter", "account", small=True)
        )
        self.view.show(self._letter.show(request, other_scope))

    # The support bundle

    def preview_with_text(self, account: Account, text: str) -> None:
        """Show the support bundle of *account* with an error text in it: with the diagnosis on screen, if it is the account's."""
        if self._diagnosis is None or self._diagnosis[1].address != account.address:
            self.use(self._panel.workspace.firms.get(account.firm), account, (), {})
        self._error_text = text
        self._preview_bundle("plain")

    def _preview_bundle(self, names: str) -> None:
        from msoauth.reports.bundle import bundle

        if self._diagnosis is None:
            return
        support_bundle = bundle(
            self._panel.workspace,
            *self._diagnosis,
            pseudonymised=names == "other",
            error_text=self._error_text,
        )
        self._bundle = support_bundle
        other_names = (
            html.button(_("Give people and firm other names"), "bundle-look", "other", small=True)
            if names == "plain"
            else html.button(_("Show the real names"), "bundle-look", "plain", small=True)
        )
        files = Markup("").join(
            Markup(
                '<details data-key="file {}"><summary>{} ({} B)</summary>'
                '<div class="mso-evidence">{}</div></details>'
            ).format(
                name,
                name,
                f"{size:,}",
                support_bundle.index.text() if name == "index.html" else support_bundle.files[name],
            )
            for name, size in support_bundle.contents()
        )
        self.view.show(
            html.box(
                "note",
                Markup("<h3>{}</h3>").format(_("Support bundle")),
                _(
                    "This is all that it will hold; secrets, passwords and tokens are not in it. Look through it, then save it."
                ),
                Markup('<div class="mso-buttons">{} {}</div>').format(
                    html.button(_("Save the bundle"), "bundle-save", primary=True, small=True),
                    other_names,
                ),
                files,
            )
        )

    def _save_bundle(self, _value: str) -> None:
        if self._bundle is not None:
            self._panel.download(self._bundle.suggested_name, self._bundle.as_zip(), _ZIP)

    # The onboarding record and the replay

    def _save_record(self, _value: str) -> None:
        from msoauth.reports.record import record

        firm = self._panel.session.firm()
        if firm is not None:
            page = record(self._panel.workspace, firm)
            self._panel.download(file_name(page.title, "html"), page.html().encode(), _HTML)
            text = _("The record is saved as one HTML page. This is what it says:")
            content = Markup('<div class="mso-evidence">{}</div>').format(page.text())
            self.view.show(html.box("note", text, content))

    def _replay(self, _value: str) -> None:
        """Start a practice tenant in which the account, under a pseudonym, fails in the same way."""
        from msoauth import clouds
        from msoauth.practice.bundle import of_zip
        from msoauth.practice.replay import Replay
        from msoauth.reports.bundle import bundle

        if self._diagnosis is None:
            return
        support_bundle = bundle(self._panel.workspace, *self._diagnosis, pseudonymised=True)
        self.close()
        replay = self._replay_tenant.enter_context(Replay(of_zip(support_bundle.as_zip())))
        practice_firm = replay.endpoints["practice"]["firms"][0]
        real_firm, case = self._diagnosis[0], replay.case
        name = _("{firm} (replay)").format(firm=case.firm)
        firm = Firm(
            name,
            practice_firm["tenant_id"],
            practice_firm["client_id"],
            cloud=clouds.load(str(replay.endpoints_file)),
            redirect_uri=practice_firm["redirect_uri"] or "http://localhost",
            access=real_firm.access,
        )
        workspace = self._panel.workspace
        if any(
            stored_firm.name.casefold() == name.casefold() for stored_firm in workspace.firms.list()
        ):
            workspace.firms.remove(name)  # from an earlier replay, whose tenant has ended
        workspace.firms.add(firm, practice_firm["client_secret"] or None)
        protocol = self._diagnosis[1].protocol
        login = None if same(case.login, case.address) else case.login
        workspace.accounts.add(Account(case.address, name, login=login, protocol=protocol))
        password = next(
            (a["password"] for a in practice_firm["accounts"] if same(a["address"], case.login)),
            "–",
        )
        notes = Markup("").join(html.paragraph(line) for line in replay.notes())
        self._panel.draw_bar()
        self.view.show(
            html.box(
                "note",
                Markup("<h3>{}</h3>").format(_("The case is replayed on this computer")),
                notes,
                html.facts(
                    [
                        (_("Firm"), name),
                        (_("Mailbox"), case.address),
                        (
                            _("Practice password"),
                            Markup("{} {}").format(password, html.copy(password)),
                        ),
                    ]
                ),
                _(
                    "Choose this firm above. Let its user sign in (notebook 2), then diagnose here: it fails in the same way. The practice tenant ends with this notebook."
                ),
            )
        )
