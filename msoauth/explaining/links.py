"""Makes deep links into Microsoft's portals (facts F6); Microsoft does not guarantee that they stay valid."""

from urllib.parse import quote

from msoauth.model import Firm, Link
from msoauth.texts import _

_APPS = "Microsoft_AAD_RegisteredApps/"
_DIRECTORY = "Microsoft_AAD_IAM/"
# The portals of national clouds (facts A1), with the same page names (facts F6).
_PORTALS = {"usgov": "https://portal.azure.us", "china": "https://portal.azure.cn"}
_PORTAL = "https://entra.microsoft.com"
_BLADES = {
    "overview": "Overview",
    "authentication": "Authentication",
    "secrets": "Credentials",
    "permissions": "CallAnAPI",
}
_PAGES = {
    "enterprise-apps": "StartboardApplicationsMenuBlade/~/AppAppsPreview/menuId~/null",
    "user-consent": "ConsentPoliciesMenuBlade/~/UserSettings",
    "sign-in-logs": "SignInEventsV3Blade",
}
_OTHER_SITES = {
    "users": "https://admin.microsoft.com/Adminportal/Home#/users",
    "exchange-settings": "https://admin.exchange.microsoft.com/#/settings",
    "mailboxes": "https://admin.exchange.microsoft.com/#/mailboxes",
    "my-apps": "https://myapps.microsoft.com",
}


def link(name: str, firm: Firm | None) -> Link:
    """The link of that name; if *firm* is given, to its own app in its own cloud."""
    return Link(_title(name), _url(name, firm))


def lookup(code: str) -> Link:
    """A link to Microsoft's explanation of an AADSTS number (facts A2)."""
    number = code.removeprefix("AADSTS")
    return Link(
        _("What Microsoft says of {code}").format(code=code),
        f"https://login.microsoftonline.com/error?code={number}",
    )


def _url(name: str, firm: Firm | None) -> str:
    """The URL of a link, as in :func:`link`."""
    portal = _PORTALS.get(firm.cloud.name, _PORTAL) if firm else _PORTAL
    if name in _BLADES:
        if firm is None:
            return f"{portal}/#view/{_APPS}ApplicationsListBlade"
        client_id = quote(firm.client_id, safe="")
        return f"{portal}/#view/{_APPS}ApplicationMenuBlade/~/{_BLADES[name]}/appId/{client_id}"
    if name == "admin-consent":
        authority = firm.cloud.authority if firm else "https://login.microsoftonline.com/"
        if firm is None:
            return f"{authority}<tenant>/adminconsent?client_id=<client-id>"
        return f"{authority}{quote(firm.tenant, safe='')}/adminconsent?client_id={quote(firm.client_id, safe='')}"
    if name in _PAGES:
        return f"{portal}/#view/{_DIRECTORY}{_PAGES[name]}"
    return _OTHER_SITES[name]


def _title(name: str) -> str:
    """The title of a link, in the current language."""
    return {
        "overview": _("App registration: Overview"),
        "authentication": _("App registration: Authentication"),
        "secrets": _("App registration: Certificates & secrets"),
        "permissions": _("App registration: API permissions"),
        "admin-consent": _("Grant admin consent"),
        "enterprise-apps": _("Enterprise applications"),
        "user-consent": _("User consent settings"),
        "sign-in-logs": _("Sign-in logs"),
        "users": _("Active users"),
        "exchange-settings": _("Exchange admin center: Settings"),
        "mailboxes": _("Exchange admin center: Mailboxes"),
        "my-apps": _("Your apps and consents"),
    }[name]
