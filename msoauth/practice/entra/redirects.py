"""Redirect URIs: which may be registered, and which registered one a request matches (facts C1, C2)."""

from urllib.parse import SplitResult, urlsplit

from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.registrations import AppRegistration

LOCAL = ("localhost", "127.0.0.1")
MAX_URIS = 256
MAX_LENGTH = 256
_UNSUPPORTED = set("!$'(),;")


def same(registered: str, requested: str) -> bool:
    """Whether two redirect URIs match.

    Scheme and host are compared without regard to case, the path is exact, and the port is
    ignored on localhost. Whether an empty path and ``/`` differ is unverified; here they do.
    """
    if registered == requested:
        return True
    try:
        ours, theirs = urlsplit(registered), urlsplit(requested)
        ports = (ours.port, theirs.port)
    except ValueError:
        return False
    return (
        ours.scheme == theirs.scheme
        and ours.hostname == theirs.hostname
        and (ours.hostname in LOCAL or ports[0] == ports[1])
        and ours.path == theirs.path
        and ours.query == theirs.query
        and not theirs.fragment
    )


def platform(app: AppRegistration, uri: str) -> str:
    """The platform (``web``, ``spa`` or ``public``) under which *uri* is registered.

    When it is registered twice, Web wins (unverified, facts J3).

    Raises:
        RefusalError: it is not registered.
    """
    if not registered(app):
        raise RefusalError(500113)
    for name, uris in (
        ("web", app.web_redirect_uris),
        ("spa", app.spa_redirect_uris),
        ("public", app.public_client_redirect_uris),
    ):
        if any(same(registered_uri, uri) for registered_uri in uris):
            return name
    raise RefusalError(50011, uri=uri, app=app.app_id)


def registered(app: AppRegistration) -> list[str]:
    """Every redirect URI of the app, of all platforms."""
    return [*app.web_redirect_uris, *app.public_client_redirect_uris, *app.spa_redirect_uris]


def problem(app: AppRegistration, uri: str) -> str:
    """Why the portal does not take *uri* as a redirect URI, in one sentence; empty when it does.

    The portal's own sentences are not public; these say the rule (facts C1).
    """
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return "This is not a valid URI."
    if not parts.scheme or not (parts.netloc or parts.path):
        return "A redirect URI begins with a scheme, such as https:// or http://localhost."
    if len(uri) > MAX_LENGTH:
        return f"A redirect URI has at most {MAX_LENGTH} characters."
    if len(registered(app)) >= MAX_URIS:
        return f"An app has at most {MAX_URIS} redirect URIs."
    if uri in registered(app):
        return "This redirect URI is already registered."
    return _problem_of_parts(parts, uri, app)


def _problem_of_parts(parts: SplitResult, uri: str, app: AppRegistration) -> str:
    if parts.fragment or "#" in uri:
        return "A redirect URI may not have a fragment (#)."
    if _UNSUPPORTED & set(uri) or any(c.isspace() for c in uri):
        return "A redirect URI may not contain blanks or any of ! $ ' ( ) , ;"
    if "*" in uri:
        return "Wildcards are possible through the manifest only."
    if parts.query and app.sign_in_audience not in ("AzureADMyOrg", "AzureADMultipleOrgs"):
        return "An app for personal accounts may not have redirect URIs with a query string."
    if parts.scheme == "http":
        if parts.hostname == "127.0.0.1":
            return "http://127.0.0.1 is refused here; it can be added through the manifest only."
        if parts.hostname != "localhost":
            return "http is allowed for localhost only; any other host needs https."
    return ""
