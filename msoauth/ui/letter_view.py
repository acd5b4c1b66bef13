"""Shows the request to the firm's IT with buttons to copy and save it."""

from markupsafe import Markup

from msoauth.private_files import file_stem
from msoauth.reports.letter import Letter
from msoauth.texts import _
from msoauth.ui import html
from msoauth.ui.panel import Panel

_MARKDOWN, _HTML, _MAIL = "text/markdown", "text/html", "message/rfc822"


class LetterView:
    """A letter with its buttons; the panel that shows it passes the action ``letter-save`` on to :meth:`save`."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._letter: Letter | None = None

    def clear(self) -> None:
        """Discard the letter."""
        self._letter = None

    def show(self, letter: Letter, *buttons: Markup) -> Markup:
        """Keep *letter* for :meth:`save`, and return it as Markup with *buttons* beside its own."""
        self._letter = letter
        document = letter.document
        all_buttons = [
            html.copy(document.text(), _("Copy as text")),
            html.copy(document.markdown(), _("Copy as Markdown")),
            html.button(_("Save as HTML"), "letter-save", "html", small=True),
            html.button(_("Save as Markdown"), "letter-save", "md", small=True),
            html.button(_("Save as mail (.eml)"), "letter-save", "eml", small=True),
            *buttons,
        ]
        return html.box(
            "note",
            Markup("<h3>{}</h3>").format(letter.subject),
            Markup('<div class="mso-buttons">{}</div>').format(Markup(" ").join(all_buttons)),
            Markup('<div class="mso-evidence">{}</div>').format(document.text()),
        )

    def save(self, form: str) -> None:
        """Have the browser save the letter as ``html``, ``md`` or ``eml``."""
        if (letter := self._letter) is None:
            return
        document = letter.document
        content, kind = {
            "html": lambda: (document.html().encode(), _HTML),
            "md": lambda: (document.markdown().encode(), _MARKDOWN),
            "eml": lambda: (letter.eml(), _MAIL),
        }[form]()
        self._panel.download(file_name(letter.subject, form), content, kind)


def file_name(title: str, suffix: str) -> str:
    """A file name that is valid on every operating system."""
    return f"{file_stem(title) or 'msoauth'}.{suffix}"
