"""Deep links into Microsoft's portals (facts F6); blade names are not a promised interface."""

from msoauth.model import Firm, Link
from msoauth.texts import _

_ENTRA = "https://entra.microsoft.com/#view/"
_APP = "Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/"


def link(name: str, firm: Firm | None) -> Link:
    """The link of that name; into the firm's own app where the firm is known."""
    own = firm.client_id if firm is not None else None
    blades = {
        "overview": "Overview",
        "authentication": "Authentication",
        "secrets": "Credentials",
        "permissions": "CallAnAPI",
    }
    titles = {
        "overview": _("App registration: Overview"),
        "authentication": _("App registration: Authentication"),
        "secrets": _("App registration: Certificates & secrets"),
        "permissions": _("App registration: API permissions"),
    }
    if name in blades:
        url = (
            f"{_ENTRA}{_APP}{blades[name]}/appId/{own}"
            if own
            else f"{_ENTRA}Microsoft_AAD_RegisteredApps/ApplicationsListBlade"
        )
        return Link(titles[name], url)
    if name == "admin-consent":
        authority = firm.cloud.authority if firm else "https://login.microsoftonline.com/"
        return Link(
            _("Grant admin consent"),
            f"{authority}{firm.tenant if firm else '<tenant>'}/adminconsent?client_id={own or '<client-id>'}",
        )
    return _FIXED[name]


_FIXED = {
    "enterprise-apps": Link(
        "Enterprise applications",
        "https://portal.azure.com/#view/Microsoft_AAD_IAM/StartboardApplicationsMenuBlade/~/AppAppsPreview/menuId~/null",
    ),
    "user-consent": Link(
        "User consent settings",
        f"{_ENTRA}Microsoft_AAD_IAM/ConsentPoliciesMenuBlade/~/UserSettings",
    ),
    "sign-in-logs": Link("Sign-in logs", f"{_ENTRA}Microsoft_AAD_IAM/SignInEventsV3Blade"),
    "users": Link("Active users", "https://admin.microsoft.com/Adminportal/Home#/users"),
    "exchange-settings": Link(
        "Exchange admin center: Settings", "https://admin.exchange.microsoft.com/#/settings"
    ),
    "mailboxes": Link(
        "Exchange admin center: Mailboxes", "https://admin.exchange.microsoft.com/#/mailboxes"
    ),
    "my-apps": Link("Your apps and consents", "https://myapps.microsoft.com"),
}
