"""Defines the registration form's fields; fills them from a firm or a pasted text, validates them, and reads a firm from them."""

import re
from datetime import date
from typing import Any

from msoauth import clouds
from msoauth.errors import InputError
from msoauth.identity import validation
from msoauth.model import Firm
from msoauth.store import Secret
from msoauth.texts import _
from msoauth.ui.header import place_name
from msoauth.ui.session import Practice, Session
from msoauth.ui.widgets import Form

_STORED = "stored"  # the option for a firm's own cloud, from an endpoints file
_GUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
# English and German labels as Azure shows them; a colon, blanks or a line end may separate label and value.
_LABELLED_VALUES = {
    "client_id": rf"(?:Application|Client|App|Anwendungs)[ -]?(?:\(client\) )?ID(?:\s*\(Client\))?\W{{0,6}}({_GUID})",
    "tenant": rf"(?:Directory|Tenant|Verzeichnis)[ -]?(?:\(tenant\) )?ID(?:\s*\(Mandant\))?\W{{0,6}}({_GUID}|[\w-]+(?:\.[\w-]+)+)",
    "secret": r"(?:client[ _-]?secret|geheimer Clientschlüssel|secret|Geheimnis)(?:[ _-]?(?:value|wert))?\s*[:=]\s*(\S{16,})",
    "redirect_uri": r"(?:Redirect|Umleitungs)[ _-]?URIs?\s*[:=]\s*(https?://\S+)",
}


def fields(session: Session) -> list[dict[str, Any]]:
    """The fields, with the available clouds."""
    practice = session.practice
    clouds_offered = [
        ("global", _("Microsoft 365")),
        ("usgov", _("Microsoft 365 US Government")),
        ("china", _("Microsoft 365 China (21Vianet)")),
    ]
    if practice is not None:
        clouds_offered.append((str(practice.file), _practice_name(practice)))
    firm = session.firm()
    if firm is not None and _cloud_option(session, firm) == _STORED:
        clouds_offered.append((_STORED, place_name(firm.cloud)))
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
        {"name": "cloud", "label": _("Cloud"), "kind": "select", "options": clouds_offered},
        {"name": "app_only", "label": _("App-only access: mailboxes that nobody signs in to"), "kind": "checkbox",
         "hint": _("Needs application permissions and steps in Exchange, which are shown after the check")},
    ]  # fmt: skip


def _practice_name(practice: Practice) -> str:
    try:
        return place_name(clouds.load(str(practice.file)))
    except InputError:
        return _(
            "The practice tenant"
        )  # whoever saves the form is told what is wrong with the file


def values_of(session: Session, firm: Firm | None) -> dict[str, Any]:
    """A stored firm's values by field, without its secret; for None, the values of an empty form."""
    return {
        "name": firm.name if firm else "",
        "tenant": firm.tenant if firm else "",
        "client_id": firm.client_id if firm else "",
        "redirect_uri": firm.redirect_uri if firm else "http://localhost",
        "expires": firm.secret_expires.isoformat() if firm and firm.secret_expires else "",
        "cloud": _cloud_option(session, firm),
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


def _cloud_option(session: Session, firm: Firm | None) -> str:
    """A firm's cloud as an option of the field *Cloud*: what ``clouds.load`` accepts, or ``_STORED``."""
    practice = session.practice
    if firm is None or firm.cloud.is_microsoft:
        return firm.cloud.name if firm else "global"
    return str(practice.file) if practice is not None and firm.cloud.is_practice else _STORED


def problems(session: Session, form: Form, stored_firm: Firm | None) -> dict[str, str]:
    """What is wrong with the form's values, by field.

    Args:
        stored_firm: The stored firm that the form shows; None where a new one is typed.
    """
    text = form.text
    secret = form.typed("secret")
    name = validation.clean(text("name"))
    used_names = {f.name.casefold() for f in session.firms()}
    by_field = {
        "name": _name_problem(name, stored_firm.name if stored_firm else "", used_names),
        "tenant": validation.tenant_problem(text("tenant")),
        "client_id": validation.client_id_problem(text("client_id")),
        "secret": validation.secret_problem(secret) if secret.strip() else None,
        "redirect_uri": validation.redirect_problem(text("redirect_uri")),
        "expires": None
        if not text("expires") or _parse_date(text("expires"))
        else _("This is not a date."),
    }
    if (
        not by_field["client_id"]
        and validation.clean(text("client_id")).lower() == validation.clean(text("tenant")).lower()
    ):
        by_field["client_id"] = _(
            "This is the same as the Directory (tenant) ID; one of them was pasted twice."
        )
    has_secret = stored_firm is not None and session.workspace.firms.has_secret(stored_firm.name)
    if _app_only(form) and not (secret.strip() or has_secret):
        by_field["secret"] = _("App-only access needs a client secret.")
    return {field: problem for field, problem in by_field.items() if problem}


def _name_problem(name: str, stored_name: str, used_names: set[str]) -> str | None:
    if not name:
        return _("The firm needs a name.")
    if stored_name and name != stored_name:
        return _(
            "A stored firm keeps its name ({name}); press “Add another firm” to add one."
        ).format(name=stored_name)
    if not stored_name and name.casefold() in used_names:
        return _("There is a firm of this name already; choose it above to change it.")
    return None


def _app_only(form: Form) -> bool:
    return bool(form.values.get("app_only"))


def firm_of(form: Form, stored_firm: Firm | None) -> Firm:
    """The firm described by the form.

    Args:
        stored_firm: The stored firm that the form shows, if any; its cloud stays unless another is chosen.

    Raises:
        InputError: a value cannot be right.
    """
    text = form.text
    chosen_cloud = text("cloud")
    cloud = (
        stored_firm.cloud
        if stored_firm is not None and chosen_cloud == _STORED
        else clouds.load(chosen_cloud)
    )
    firm = Firm(
        name=validation.clean(text("name")),
        tenant=validation.clean(text("tenant")),
        client_id=validation.clean(text("client_id")),
        cloud=cloud,
        redirect_uri=validation.clean(text("redirect_uri")),
        secret_expires=_parse_date(text("expires")),
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


def _parse_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def values_in_text(text: str) -> dict[str, str]:
    """Find the values in a pasted text, such as the app's Overview page or a mail.

    Returns:
        Whichever are found of ``tenant``, ``client_id``, ``secret`` and ``redirect_uri``.
    """
    values = {}
    for name, pattern in _LABELLED_VALUES.items():
        match = re.search(pattern, text[:20_000], re.IGNORECASE)
        if match:
            values[name] = validation.clean(match[1])
    return values
