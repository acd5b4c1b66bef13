"""Makes deep links into Microsoft's portals (facts F6); Microsoft does not guarantee that they stay valid."""

from urllib.parse import quote

from msoauth.model import Firm, Link
from msoauth.texts import _

# The portals of national clouds (facts A1), with the same page names (facts F6).
_PORTALS = {"usgov": "https://portal.azure.us", "china": "https://portal.azure.cn"}
_PORTAL = "https://entra.microsoft.com"
_APPS = "{portal}/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade"
_APP = "{portal}/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/%s/appId/{client_id}"
_DIRECTORY = "{portal}/#view/Microsoft_AAD_IAM/"
_URLS = {
    "overview": _APP % "Overview",
    "authentication": _APP % "Authentication",
    "secrets": _APP % "Credentials",
    "permissions": _APP % "CallAnAPI",
    "admin-consent": "{authority}{tenant}/adminconsent?client_id={client_id}",
    "enterprise-apps": _DIRECTORY + "StartboardApplicationsMenuBlade/~/AppAppsPreview/menuId~/null",
    "user-consent": _DIRECTORY + "ConsentPoliciesMenuBlade/~/UserSettings",
    "sign-in-logs": _DIRECTORY + "SignInEventsV3Blade",
    "users": "https://admin.microsoft.com/Adminportal/Home#/users",
    "exchange-settings": "https://admin.exchange.microsoft.com/#/settings",
    "mailboxes": "https://admin.exchange.microsoft.com/#/mailboxes",
    "my-apps": "https://myapps.microsoft.com",
}


def link(name: str, firm: Firm | None) -> Link:
    """The link of that name; to *firm*'s own app in its own cloud, or without a firm to the list of apps."""
    titles = {
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
    }
    template = _APPS if firm is None and _URLS[name].startswith(_APP[:60]) else _URLS[name]
    url = template.format(
        portal=_PORTALS.get(firm.cloud.name, _PORTAL) if firm else _PORTAL,
        authority=firm.cloud.authority if firm else "https://login.microsoftonline.com/",
        tenant=quote(firm.tenant, safe="") if firm else "<tenant>",
        client_id=quote(firm.client_id, safe="") if firm else "<client-id>",
    )
    return Link(titles[name], url)


def lookup(code: str) -> Link:
    """A link to Microsoft's explanation of an AADSTS number (facts A2)."""
    return Link(
        _("What Microsoft says of {code}").format(code=code),
        f"https://login.microsoftonline.com/error?code={code.removeprefix('AADSTS')}",
    )
