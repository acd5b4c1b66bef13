"""Draws the bar above every panel: links to the notebooks, a badge, and the choice of firm, mailbox and language."""

from urllib.parse import quote

from markupsafe import Markup

from msoauth.clouds import Cloud
from msoauth.texts import LANGUAGES, _, language
from msoauth.ui import html
from msoauth.ui.session import Session

LANGUAGE_NAMES = {"en": "English", "de": "Deutsch"}  # each in its own language


def notebooks() -> list[tuple[str, str]]:
    """The guided notebooks in order: file name without suffix, and title on screen."""
    return [
        ("0 Start here", _("Start here")),
        ("1 Register the firm", _("Register the firm")),
        ("2 Sign in the users", _("Sign in the users")),
        ("3 Retrieve and send", _("Retrieve and send")),
        ("4 Diagnose", _("Diagnose")),
        ("5 Audit", _("Audit")),
    ]


def notebook_link(step: int) -> Markup:
    """A link to the notebook of *step* that works in JupyterLab, Notebook and Voilà."""
    name, title = notebooks()[step]
    return Markup('<a href="{}" data-notebook="{}">{}</a>').format(
        f"{quote(name)}.ipynb", f"{name}.ipynb", f"{step} {title}"
    )


def _notebook_links(step: int | None) -> Markup:
    entries = []
    for number, (_name, title) in enumerate(notebooks()):
        is_current = number == step
        entry = (
            Markup('<span aria-current="page">{} {}</span>').format(number, title)
            if is_current
            else notebook_link(number)
        )
        entries.append(Markup("<li>{}</li>").format(entry))
    return Markup('<nav aria-label="{}"><ol class="mso-way">{}</ol></nav>').format(
        _("Notebooks"), Markup("").join(entries)
    )


def place_name(cloud: Cloud | None) -> str:
    """The name of a cloud for people, with its host if it is not Microsoft's; None means Microsoft 365."""
    names = {
        "global": _("Microsoft 365"),
        "usgov": _("Microsoft 365 US Government"),
        "china": _("Microsoft 365 China"),
        "practice": _("The practice tenant"),
    }
    if cloud is None or cloud.is_microsoft:
        return names[cloud.name if cloud else "global"]
    return f"{names['practice'] if cloud.is_practice else cloud.name} ({cloud.host})"


def badge(session: Session) -> Markup:
    """The badge that says “Practice” or “Real”, with the host of a firm that is not on Microsoft's servers."""
    firm = session.firm()
    on_practice = firm.cloud.is_practice if firm else session.practice is not None
    if on_practice:
        name, label = "practice", _("Practice")
        title = _("Nothing here reaches Microsoft: everything runs on this computer.")
    else:
        name, label = "real", _("Real")
        place = place_name(firm.cloud if firm else None)
        title = _("This works on the real servers of {place}.").format(place=place)
    text = Markup('<span class="mso-badge mso-is-{}" title="{}">{}</span>').format(
        name, title, label
    )
    if firm is None or firm.cloud.is_microsoft:
        return text
    return text + Markup(' <span class="mso-quiet">{}</span>').format(firm.cloud.host)


def bar(session: Session, step: int | None) -> Markup:
    """The whole bar.

    Args:
        step: The number of the notebook that shows it; None outside the guided ones.
    """
    firm, account = session.firm(), session.account()
    firms = [(f.name, f.name) for f in session.firms()]
    mailboxes = [(a.address, a.address) for a in session.accounts()]
    languages = [(code, LANGUAGE_NAMES[code]) for code in LANGUAGES]
    selects = [
        ("choose-firm", _("Firm"), firms, firm.name if firm else ""),
        ("choose-account", _("Mailbox"), mailboxes, account.address if account else ""),
        ("choose-language", _("Language"), languages, language()),
    ]
    choices = [badge(session), *(html.select(*choice) for choice in selects if choice[2])]
    return Markup('<div class="mso-bar">{}<div class="mso-choices">{}</div></div>').format(
        _notebook_links(step), Markup("").join(choices)
    )
