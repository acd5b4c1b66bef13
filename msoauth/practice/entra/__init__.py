"""Entra ID of the practice tenant: sign-in pages, consent, and the token endpoint."""

from msoauth.practice.entra import bulk, signin, submitted_page
from msoauth.practice.entra.pages import Page, SignInSite

__all__ = ["routes"]


def routes(site: SignInSite) -> list[tuple[str, type[Page], dict[str, SignInSite]]]:
    """The pages that a browser opens, by their paths (facts A2)."""
    shared = {"site": site}
    return [
        (r"/([^/]+)/oauth2/v2\.0/authorize", signin.AuthorizePage, shared),
        (r"/([^/]+)/oauth2/v2\.0/logout", signin.LogoutPage, shared),
        (r"/([^/]+)/(v2\.0/)?adminconsent", signin.AdminConsentPage, shared),
        (r"/practice/grants", bulk.GrantsPage, shared),
        (r"/error", signin.ErrorPage, shared),
        (r"/signin/step", submitted_page.SubmittedPage, shared),
        (r"/devicelogin", signin.DevicePage, shared),
    ]
