"""The buttons below a diagnosis: request to the firm's IT, support bundle, onboarding record, and replay on this computer.

Everything is shown before it is saved; the browser saves it, which may run on another computer.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from markupsafe import Markup

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
    """The buttons, and the view that shows what was asked for.

    Attributes:
        view: What was asked for last.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.view = View(live=True, on_action=self.on_action)
        self._letter = LetterView(panel)
        self._bundle: Bundle | None = None
        self._made: tuple[Firm, Account, Sequence[Finding], Mapping[str, Transcript]] | None = None
        self._running = ExitStack()  # the practice tenant of a replay, until the kernel ends

    def close(self) -> None:
        """End the practice tenant of a replay, if one is running."""
        self._running.close()

    def clear(self) -> None:
        """Forget the last diagnosis and what was made of it."""
        self._letter.clear()
        self._bundle = self._made = None
        self.view.show(Markup(""))

    def take(
        self,
        firm: Firm,
        account: Account,
        findings: Sequence[Finding],
        transcripts: Mapping[str, Transcript],
    ) -> None:
        """Take the diagnosis that the buttons are to work on."""
        self.clear()
        self._made = (firm, account, findings, transcripts)

    def buttons(self) -> Markup:
        """The buttons, to be shown with the verdict."""
        return Markup('<div class="mso-buttons">{} {} {} {}</div>').format(
            html.button(_("Request to the firm's IT"), "letter", "account", small=True),
            html.button(_("Support bundle"), "bundle-look", "plain", small=True),
            html.button(_("Replay in a practice tenant"), "replay", small=True),
            html.button(_("Onboarding record of the firm"), "record", small=True),
        )

    def transcripts(self) -> Markup:
        """The transcripts of the mail connections, each in a fold."""
        if self._made is None or not self._made[3]:
            return Markup("")
        folds = Markup("").join(
            Markup(
                '<details data-key="talk {}"><summary>{}</summary>{}'
                '<div class="mso-evidence">{}</div></details>'
            ).format(
                name,
                _("Conversation: {name}").format(name=name),
                html.copy(talk.text()),
                talk.text(),
            )
            for name, talk in self._made[3].items()
            if talk.entries
        )
        return Markup('<div class="mso-talks">{}</div>').format(folds)

    def on_action(self, name: str, value: str) -> None:
        """Handle one of the buttons."""
        acts = {
            "letter": self._show_letter,
            "letter-save": self._letter.save,
            "bundle-look": self._look_at_bundle,
            "bundle-save": self._save_bundle,
            "record": self._save_record,
            "replay": self._replay,
        }
        if name in acts:
            try:
                acts[name](value)
            except InputError as nothing:
                self.view.show(html.box("note", nothing.summary))

    # The request to the firm's IT

    def _show_letter(self, whom: str) -> None:
        from msoauth.reports.letter import letter

        account = self._panel.session.account()
        firm = self._panel.session.firm()
        if firm is None:
            return
        made = letter(self._panel.workspace, firm, account if whom == "account" else None)
        other = (
            html.button(_("For all mailboxes of the firm"), "letter", "firm", small=True)
            if whom == "account"
            else html.button(_("Only for this mailbox"), "letter", "account", small=True)
        )
        self.view.show(self._letter.show(made, other))

    # The support bundle

    def _look_at_bundle(self, names: str) -> None:
        from msoauth.reports.bundle import bundle

        if self._made is None:
            return
        made = bundle(self._panel.workspace, *self._made, pseudonymised=names == "other")
        self._bundle = made
        other = (
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
                made.index.text() if name == "index.html" else made.files[name],
            )
            for name, size in made.contents()
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
                    other,
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
            said = _("The record is saved as one HTML page. This is what it says:")
            shown = Markup('<div class="mso-evidence">{}</div>').format(page.text())
            self.view.show(html.box("note", said, shown))

    def _replay(self, _value: str) -> None:
        """Start a practice tenant in which the account, under a pseudonym, fails in the same way."""
        from msoauth import clouds
        from msoauth.practice.bundle import of_zip
        from msoauth.practice.replay import Replay
        from msoauth.reports.bundle import bundle

        if self._made is None:
            return
        made = bundle(self._panel.workspace, *self._made, pseudonymised=True)
        self.close()
        replay = self._running.enter_context(Replay(of_zip(made.as_zip())))
        noted = replay.endpoints["practice"]["firms"][0]
        there, case = self._made[0], replay.case
        name = _("{firm} (replay)").format(firm=case.firm)
        firm = Firm(
            name,
            noted["tenant_id"],
            noted["client_id"],
            cloud=clouds.load(str(replay.endpoints_file)),
            redirect_uri=noted["redirect_uri"] or "http://localhost",
            access=there.access,
        )
        workspace = self._panel.workspace
        if any(known.name.casefold() == name.casefold() for known in workspace.firms.list()):
            workspace.firms.remove(name)  # from an earlier replay, whose tenant has ended
        workspace.firms.add(firm, noted["client_secret"] or None)
        protocol = self._made[1].protocol
        login = None if case.login.lower() == case.address.lower() else case.login
        workspace.accounts.add(Account(case.address, name, login=login, protocol=protocol))
        password = next(
            (
                a["password"]
                for a in noted["accounts"]
                if a["address"].lower() == case.login.lower()
            ),
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
