"""The fields of the registration form: filling them from a firm or a pasted text, validating them, making a firm of them."""

import re
from datetime import date
from typing import Any

from msoauth import clouds
from msoauth.identity import validation
from msoauth.model import Firm
from msoauth.store import Secret
from msoauth.texts import _
from msoauth.ui.header import place_name
from msoauth.ui.session import Practice, Session
from msoauth.ui.widgets import Form

_GUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
# English and German labels as Azure shows them; a colon, blanks or a line end may separate label and value.
_PASTED = {
    "client_id": rf"(?:Application|Client|App|Anwendungs)[ -]?(?:\(client\) )?ID(?:\s*\(Client\))?\W{{0,6}}({_GUID})",
    "tenant": rf"(?:Directory|Tenant|Verzeichnis)[ -]?(?:\(tenant\) )?ID(?:\s*\(Mandant\))?\W{{0,6}}({_GUID}|[\w-]+(?:\.[\w-]+)+)",
    "secret": r"(?:client[ _-]?secret|geheimer Clientschlüssel|secret|Geheimnis)(?:[ _-]?(?:value|wert))?\s*[:=]\s*(\S{16,})",
    "redirect_uri": r"(?:Redirect|Umleitungs)[ _-]?URIs?\s*[:=]\s*(https?://\S+)",
}


def fields(session: Session) -> list[dict[str, Any]]:
    """The fields, with the available clouds."""
    practice = session.practice
    places = [
        ("global", _("Microsoft 365")),
        ("usgov", _("Microsoft 365 US Government")),
        ("china", _("Microsoft 365 China (21Vianet)")),
    ]
    if practice is not None:
        places.append((str(practice.file), _("The practice tenant")))
    firm = session.firm()
    if firm is not None and _place(session, firm) not in dict(places):
        places.append((firm.cloud.name, place_name(firm.cloud)))  # from an endpoints file
    return [
        {"name": "name", "label": _("Name of the firm"), "placeholder": "Contoso Legal"},
        {"name": "client_id", "label": _("Application (client) ID"),
         "hint": _("Azure portal → App registrations → your app → Overview")},
        {"name": "tenant", "label": _("Directory (tenant) ID"),
         "hint": _("On the same page, just below; a domain of the firm works too")},
        {"name": "secret", "label": _("Client secret value"), "kind": "secret",
         "hint": _("Certificates & secrets → column “Value”, shown only once; leave empty to keep the stored one")},
        {"name": "expires", "label": _("Last day of the secret"), "kind": "date",
         "hint": _("Certificates & secrets → column “Expires”")},
        {"name": "redirect_uri", "label": _("Redirect URI"), "hint": _("Authentication → as registered there")},
        {"name": "cloud", "label": _("Cloud"), "kind": "select", "options": places},
        {"name": "app_only", "label": _("App-only access: mailboxes that nobody signs in to"), "kind": "checkbox",
         "hint": _("Needs application permissions and steps in Exchange, which are shown after the check")},
    ]  # fmt: skip


def values_of(session: Session, firm: Firm | None) -> dict[str, Any]:
    """A stored firm's values by field, without its secret; for None, those of an empty form."""
    return {
        "name": firm.name if firm else "",
        "tenant": firm.tenant if firm else "",
        "client_id": firm.client_id if firm else "",
        "redirect_uri": firm.redirect_uri if firm else "http://localhost",
        "expires": firm.secret_expires.isoformat() if firm and firm.secret_expires else "",
        "cloud": _place(session, firm),
        "app_only": firm is not None and firm.access == "app-only",
    }


def values_of_practice(practice: Practice) -> dict[str, Any]:
    """The practice firm's values by field, without its secret."""
    firm = practice.firms[0]
    return {
        "name": firm["name"],
        "tenant": firm["tenant_id"],
        "client_id": firm["client_id"],
        "redirect_uri": firm["redirect_uri"],
        "expires": firm.get("secret_expires") or "",
        "cloud": str(practice.file),
    }


def _place(session: Session, firm: Firm | None) -> str:
    """A firm's cloud as an option of the field *Cloud*, which ``clouds.load`` accepts."""
    practice = session.practice
    if firm is None or firm.cloud.name in ("global", "usgov", "china"):
        return firm.cloud.name if firm else "global"
    if practice is not None and firm.cloud.name == "practice":
        return str(practice.file)
    return firm.cloud.name


def problems(session: Session, form: Form, known: Firm | None) -> dict[str, str]:
    """The problems by field.

    Args:
        known: The stored firm that the form shows; None where a new one is typed.
    """
    text = form.text
    secret = form.typed("secret")
    name = validation.clean(text("name"))
    taken = {f.name.casefold() for f in session.firms()}
    found = {
        "name": _name_problem(name, known.name if known else "", taken),
        "tenant": validation.tenant_problem(text("tenant")),
        "client_id": validation.client_id_problem(text("client_id")),
        "secret": validation.secret_problem(secret) if secret.strip() else None,
        "redirect_uri": validation.redirect_problem(text("redirect_uri")),
        "expires": None
        if not text("expires") or _day(text("expires"))
        else _("This is not a date."),
    }
    if (
        not found["client_id"]
        and validation.clean(text("client_id")).lower() == validation.clean(text("tenant")).lower()
    ):
        found["client_id"] = _(
            "This is the same as the Directory (tenant) ID; one of them was pasted twice."
        )
    stored = known is not None and session.workspace.firms.has_secret(known.name)
    if _app_only(form) and not (secret.strip() or stored):
        found["secret"] = _("App-only access needs a client secret.")
    return {field: problem for field, problem in found.items() if problem}


def _name_problem(name: str, shown: str, taken: set[str]) -> str | None:
    if not name:
        return _("The firm needs a name.")
    if shown and name != shown:
        return _(
            "A stored firm keeps its name ({name}); press “Add another firm” to add one."
        ).format(name=shown)
    if not shown and name.casefold() in taken:
        return _("There is a firm of this name already; choose it above to change it.")
    return None


def _app_only(form: Form) -> bool:
    return bool(form.values.get("app_only"))


def firm_of(form: Form, known: Firm | None) -> Firm:
    """The firm described by the form.

    Args:
        known: The stored firm that the form shows, whose cloud stays unless another is chosen.

    Raises:
        InputError: a value cannot be right.
    """
    text = form.text
    place = text("cloud")
    cloud = known.cloud if known is not None and place == known.cloud.name else clouds.load(place)
    firm = Firm(
        name=validation.clean(text("name")),
        tenant=validation.clean(text("tenant")),
        client_id=validation.clean(text("client_id")),
        cloud=cloud,
        redirect_uri=validation.clean(text("redirect_uri")),
        secret_expires=_day(text("expires")),
        access="app-only" if _app_only(form) else "delegated",
    )
    validation.check_firm(firm)
    return firm


def secret_of(form: Form) -> Secret | None:
    """The client secret that was typed; None if none was.

    Raises:
        InputError: it cannot be one.
    """
    typed = validation.clean(form.typed("secret"))
    if not typed:
        return None
    validation.check_secret(typed)
    return Secret(typed)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def values_in_text(text: str) -> dict[str, str]:
    """The values in a pasted text, such as the app's Overview page or a mail.

    Returns:
        Those found of ``tenant``, ``client_id``, ``secret`` and ``redirect_uri``.
    """
    found = {}
    for name, pattern in _PASTED.items():
        match = re.search(pattern, text[:20_000], re.IGNORECASE)
        if match:
            found[name] = validation.clean(match[1])
    return found
