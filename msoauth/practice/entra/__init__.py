"""Entra ID of the practice tenant: sign-in pages, consent, and the token endpoint."""

from msoauth.practice.entra import bulk, signin, steps
from msoauth.practice.entra.pages import Page, People

__all__ = ["routes"]


def routes(people: People) -> list[tuple[str, type[Page], dict[str, People]]]:
    """People's pages by their paths (facts A2)."""
    shared = {"people": people}
    return [
        (r"/([^/]+)/oauth2/v2\.0/authorize", signin.AuthorizePage, shared),
        (r"/([^/]+)/oauth2/v2\.0/logout", signin.LogoutPage, shared),
        (r"/([^/]+)/(v2\.0/)?adminconsent", signin.AdminConsentPage, shared),
        (r"/practice/grants", bulk.GrantsPage, shared),
        (r"/error", signin.ErrorPage, shared),
        (r"/practice/step", steps.StepPage, shared),
        (r"/devicelogin", signin.DevicePage, shared),
    ]
