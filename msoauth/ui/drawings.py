"""Drawings of our own of Microsoft's pages: where the three values are read, and where “Authenticated SMTP” sits.

The words in them are those of Microsoft's portals (facts F5), in the language in force.
"""

from functools import cache
from pathlib import Path

from markupsafe import Markup

from msoauth.texts import _

_STATIC = Path(__file__).parent / "static"


@cache
def _drawing(name: str) -> Markup:
    return Markup((_STATIC / f"{name}.svg").read_text(encoding="utf-8"))  # noqa: S704 - a file of ours


def values() -> Markup:
    """Where Application (client) ID, Directory (tenant) ID and the client secret's value are read."""
    return _drawing("values").format(
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


def authenticated_smtp() -> Markup:
    """Where POP and “Authenticated SMTP” are switched on for a mailbox."""
    return _drawing("smtp").format(
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
