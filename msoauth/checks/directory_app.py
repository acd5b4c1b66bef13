"""Checks of the app registration through Microsoft Graph; they run only when an administrator has signed in."""

from collections.abc import Callable

from msoauth.checks.context import Check, Context, Outcome
from msoauth.errors import AuthError
from msoauth.graph import (
    EXCHANGE_APP_ID,
    GRAPH_APP_ID,
    Application,
    Graph,
    ServicePrincipal,
)
from msoauth.model import Signal
from msoauth.texts import _, ngettext


def graph_client(context: Context) -> Graph:
    """The Graph client of a run that has one.

    Raises:
        LookupError: no administrator has signed in.
    """
    if context.graph is None:
        raise LookupError("this check needs an administrator's sign-in")
    return context.graph


def _application(context: Context) -> Application:
    application = graph_client(context).application(context.firm.client_id)
    if application is None:
        raise AuthError(
            _("this directory has no app registration with the client ID {client_id}").format(
                client_id=context.firm.client_id
            ),
            cause="app-not-found",
        )
    return application


def service_principal(context: Context) -> ServicePrincipal:
    """The app's enterprise application.

    Raises:
        AuthError: there is none, or it may not be read.
    """
    principal = graph_client(context).service_principal(context.firm.client_id)
    if principal is None:
        raise AuthError(
            _("the app has no enterprise application in this directory: nobody has consented yet"),
            cause="consent-required",
        )
    return principal


def _enabled(context: Context) -> Outcome:
    app, principal = _application(context), service_principal(context)
    if app.disabled_by_microsoft:
        return Outcome(
            _("Microsoft has disabled the app {name}").format(name=app.name),
            Signal.FAILED,
            "app-disabled",
            f"disabledByMicrosoftStatus: {app.disabled_by_microsoft}",
        )
    if not principal.enabled:
        return Outcome(
            _("the enterprise application {name} is not enabled for users to sign in").format(
                name=principal.name
            ),
            Signal.FAILED,
            "app-disabled",
            "accountEnabled: false",
        )
    return Outcome(_("the app {name} is there and enabled").format(name=app.name))


def _platform(context: Context) -> Outcome:
    app, uri = _application(context), context.firm.redirect_uri
    has_secret = context.workspace.firms.has_secret(context.firm.name)
    platforms = [
        name
        for name, uris in (
            ("Web", app.web),
            ("Mobile and desktop applications", app.public),
            ("Single-page application", app.spa),
        )
        if any(_same_redirect_uri(registered, uri) for registered in uris)
    ]
    all_uris = ", ".join((*app.web, *app.public, *app.spa)) or "–"
    if not platforms:
        return Outcome(
            _("the redirect URI {uri} is not among those registered").format(uri=uri),
            Signal.FAILED,
            "redirect-mismatch",
            all_uris,
        )
    needed = "Web" if has_secret else "Mobile and desktop applications"
    if needed in platforms:
        return Outcome(_("the redirect URI is registered under {platform}").format(platform=needed))
    if "Single-page application" in platforms:
        cause = "redirect-platform"
    else:
        cause = "secret-not-allowed" if has_secret else "secret-required"
    sentence = (
        _("the redirect URI is registered under {platform}; an app with a secret needs Web")
        if has_secret
        else _(
            "the redirect URI is registered under {platform}; an app without a secret needs Mobile and desktop applications"
        )
    )
    return Outcome(sentence.format(platform=platforms[0]), Signal.FAILED, cause, all_uris)


def _same_redirect_uri(registered: str, uri: str) -> bool:
    """Whether Entra takes the two for the same: it ignores the port of localhost, but not the path (facts C1)."""
    return _without_local_port(registered) == _without_local_port(uri)


def _without_local_port(uri: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(uri)
        is_local = parts.hostname in ("localhost", "127.0.0.1")
        host = parts.hostname if is_local else parts.netloc.lower()
    except ValueError:
        return uri
    return f"{parts.scheme}://{host}{parts.path.rstrip('/') if parts.path == '/' else parts.path}?{parts.query}"


def _public_client(context: Context) -> Outcome:
    if _application(context).public_client_flows:
        return Outcome(_("“Allow public client flows” is on: users can sign in with a code, too"))
    return Outcome(
        _("“Allow public client flows” is off: nobody can sign in with a device code"),
        Signal.WARNING,
    )


def _needed_permissions(context: Context) -> list[str]:
    """The permissions that the account needs; in a run for the firm alone, those that all its accounts need."""
    accounts = (
        [context.account] if context.account else context.workspace.accounts.list(context.firm.name)
    )
    protocols = {account.protocol for account in accounts} or {"pop3"}
    suffix, send = (
        ("AsApp", "SMTP.SendAsApp")
        if context.firm.access == "app-only"
        else ("AsUser.All", "SMTP.Send")
    )
    names = [
        f"{'IMAP' if protocol == 'imap' else 'POP'}.Access{suffix}"
        for protocol in sorted(protocols)
    ]
    return [*names, send]


def _permissions(context: Context) -> Outcome:
    """Whether the app's API permissions list what is needed.

    Listed is not granted: a sign-in asks by scope, but the portal's consent button grants only what is listed.
    """
    graph, app = graph_client(context), _application(context)
    listed: set[str] = set()
    unknown_ids = []
    for resource, permission, _kind in app.required:
        names_by_id = (
            graph.permissions(resource) if resource in (EXCHANGE_APP_ID, GRAPH_APP_ID) else {}
        )
        if permission in names_by_id:
            listed.add(names_by_id[permission])
        elif resource in (EXCHANGE_APP_ID, GRAPH_APP_ID):
            unknown_ids.append(permission)
    needed = _needed_permissions(context)
    if context.firm.access == "delegated":
        needed.append("offline_access")
    missing = [name for name in needed if name not in listed and name != "offline_access"]
    evidence = _("listed: {names}").format(names=", ".join(sorted(listed)) or "–")
    if unknown_ids:
        evidence += "\n" + _("ids that their resource does not offer: {ids}").format(
            ids=", ".join(sorted(unknown_ids))
        )
    if missing and set(missing) - _consented_permissions(context):
        return Outcome(
            _("the app's API permissions do not list {missing}").format(missing=", ".join(missing)),
            Signal.FAILED,
            "permission-not-registered",
            evidence,
        )
    if missing:
        return Outcome(
            _(
                "the app's API permissions do not list {missing}; it was consented to all the same, but “Grant admin consent” would not grant it"
            ).format(missing=", ".join(missing)),
            Signal.WARNING,
            evidence=evidence,
        )
    if "offline_access" in needed and "offline_access" not in listed:
        # No warning: each sign-in asks for it and gets it; only the portal's button depends on the list.
        return Outcome(
            _(
                "{wanted} are listed; offline_access is not, and is asked for at each sign-in"
            ).format(wanted=", ".join(needed[:-1])),
            evidence=evidence,
        )
    return Outcome(_("{wanted} are listed").format(wanted=", ".join(needed)), evidence=evidence)


def _exchange_principal(context: Context) -> ServicePrincipal:
    principal = graph_client(context).service_principal(EXCHANGE_APP_ID)
    if principal is None:
        raise AuthError(
            _("this directory has no Exchange Online (its service principal is missing)"),
            cause="resource-missing",
        )
    return principal


def _consented_permissions(context: Context) -> set[str]:
    """The Exchange permissions that were consented to: for everybody, and for the account's user if there is an account."""
    graph, principal, exchange = (
        graph_client(context),
        service_principal(context),
        _exchange_principal(context),
    )
    if context.firm.access == "app-only":
        names = graph.permissions(EXCHANGE_APP_ID)
        return {names.get(i, i) for i in graph.roles(principal.object_id, exchange.object_id)}
    user = graph.user(context.mailbox.user) if context.account else None
    principal_ids = {"", user.id if user else ""}
    return {
        scope
        for grant in graph.grants(principal.object_id)
        if grant.resource_id == exchange.object_id and grant.principal_id in principal_ids
        for scope in grant.scopes
    }


def _consent(context: Context) -> Outcome:
    graph, principal, exchange = (
        graph_client(context),
        service_principal(context),
        _exchange_principal(context),
    )
    missing = [
        name for name in _needed_permissions(context) if name not in _consented_permissions(context)
    ]
    if context.firm.access == "app-only":
        if missing:
            return Outcome(
                _("no administrator has consented to {missing}").format(missing=", ".join(missing)),
                Signal.FAILED,
                "admin-consent-required",
            )
        return Outcome(_("an administrator has consented to the application permissions"))
    grants = [g for g in graph.grants(principal.object_id) if g.resource_id == exchange.object_id]
    for_all = {scope for grant in grants if not grant.principal_id for scope in grant.scopes}
    users = len({grant.principal_id for grant in grants if grant.principal_id})
    users_text = ngettext("{n} user consented", "{n} users consented", users).format(n=users)
    if not [name for name in _needed_permissions(context) if name not in for_all]:
        return Outcome(_("an administrator has consented for all users"))
    if not missing:
        return Outcome(
            _("the user has consented ({users} one by one; not for all)").format(users=users_text)
        )
    evidence = "\n".join(
        f"{'AllPrincipals' if not grant.principal_id else 'Principal'}: {' '.join(sorted(grant.scopes))}"
        for grant in grants[:20]
    )
    signed_in = context.account and context.workspace.tokens.status(context.account.address)
    if signed_in:
        return Outcome(
            _("nobody has consented to {missing} for this user").format(missing=", ".join(missing)),
            Signal.FAILED,
            "consent-required",
            evidence,
        )
    return Outcome(
        _("no consent for all users; each is asked at the first sign-in ({users})").format(
            users=users_text
        ),
        Signal.WARNING,
        evidence=evidence,
    )


def has_graph(context: Context) -> bool:
    """Whether an administrator has signed in."""
    return context.graph is not None


def define_check(
    name: str,
    title: Callable[[], str],
    act: Callable[[Context], Outcome],
    asks: Callable[[], str],
    applies: Callable[[Context], bool] = has_graph,
    needs: tuple[str, ...] = ("registration.app",),
) -> Check:
    """Define a ``registration.*`` check that needs an administrator's sign-in."""
    return Check(f"registration.{name}", title, act, needs=needs, applies=applies, asks=asks)


APP_CHECKS = (
    define_check(
        "app",
        lambda: _("The app is enabled"),
        _enabled,
        lambda: _("Are app registration and enterprise application there and enabled?"),
        needs=("network.graph", "registration.directory"),
    ),
    define_check(
        "platform",
        lambda: _("The redirect URI is under the right platform"),
        _platform,
        lambda: _("Is the redirect URI registered, and under the platform that fits the secret?"),
        applies=lambda context: has_graph(context) and context.firm.access == "delegated",
    ),
    define_check(
        "public-client",
        lambda: _("Public client flows"),
        _public_client,
        lambda: _("Is “Allow public client flows” on, which signing in with a code needs?"),
        applies=lambda context: has_graph(context) and context.firm.access == "delegated",
    ),
    define_check(
        "permissions",
        lambda: _("The permissions are listed"),
        _permissions,
        lambda: _("Do the app's API permissions list those for retrieving and sending?"),
    ),
    define_check(
        "consent",
        lambda: _("Consent was given"),
        _consent,
        lambda: _("Who has consented: an administrator for all, or each user for himself?"),
    ),
)
