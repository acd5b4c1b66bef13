"""What an administrator's sign-in lets us see of the registration. Without one these checks are not run at all."""

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


def graph_of(context: Context) -> Graph:
    """The reader of a run that has one."""
    if context.graph is None:
        raise LookupError("this check needs an administrator's sign-in")
    return context.graph


def _application(context: Context) -> Application:
    found = graph_of(context).application(context.firm.client_id)
    if found is None:
        raise AuthError(
            _("this directory has no app registration with the client ID {client_id}").format(
                client_id=context.firm.client_id
            ),
            cause="app-not-found",
        )
    return found


def principal_of(context: Context) -> ServicePrincipal:
    """The app's enterprise application.

    Raises:
        AuthError: there is none, or it may not be read.
    """
    found = graph_of(context).service_principal(context.firm.client_id)
    if found is None:
        raise AuthError(
            _("the app has no enterprise application in this directory: nobody has consented yet"),
            cause="consent-required",
        )
    return found


def _enabled(context: Context) -> Outcome:
    app, principal = _application(context), principal_of(context)
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
        if any(_same(one, uri) for one in uris)
    ]
    listed = ", ".join((*app.web, *app.public, *app.spa)) or "–"
    if not platforms:
        return Outcome(
            _("the redirect URI {uri} is not among those registered").format(uri=uri),
            Signal.FAILED,
            "redirect-mismatch",
            listed,
        )
    wanted = "Web" if has_secret else "Mobile and desktop applications"
    if wanted in platforms:
        return Outcome(_("the redirect URI is registered under {platform}").format(platform=wanted))
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
    return Outcome(sentence.format(platform=platforms[0]), Signal.FAILED, cause, listed)


def _same(registered: str, uri: str) -> bool:
    """As Entra compares: the port of localhost does not count, the path does (facts C1)."""
    return _portless(registered) == _portless(uri)


def _portless(uri: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(uri)
        local = parts.hostname in ("localhost", "127.0.0.1")
        place = parts.hostname if local else parts.netloc.lower()
    except ValueError:
        return uri
    return f"{parts.scheme}://{place}{parts.path.rstrip('/') if parts.path == '/' else parts.path}?{parts.query}"


def _public_client(context: Context) -> Outcome:
    if _application(context).public_client_flows:
        return Outcome(_("“Allow public client flows” is on: users can sign in with a code, too"))
    return Outcome(
        _("“Allow public client flows” is off: nobody can sign in with a device code"),
        Signal.WARNING,
    )


def _wanted(context: Context) -> list[str]:
    """The permissions that the firm's accounts need; for one account only what it needs itself."""
    accounts = (
        [context.account] if context.account else context.workspace.accounts.list(context.firm.name)
    )
    ways = {account.protocol for account in accounts} or {"pop3"}
    suffix, send = (
        ("AsApp", "SMTP.SendAsApp")
        if context.firm.access == "app-only"
        else ("AsUser.All", "SMTP.Send")
    )
    names = [f"{'IMAP' if way == 'imap' else 'POP'}.Access{suffix}" for way in sorted(ways)]
    return [*names, send]


def _permissions(context: Context) -> Outcome:
    """Listed is not granted: the v2 endpoint asks by scope, but the portal's consent button grants what is listed."""
    graph, app = graph_of(context), _application(context)
    names: set[str] = set()
    strange = []
    for resource, permission, _kind in app.required:
        known = graph.permissions(resource) if resource in (EXCHANGE_APP_ID, GRAPH_APP_ID) else {}
        if permission in known:
            names.add(known[permission])
        elif resource in (EXCHANGE_APP_ID, GRAPH_APP_ID):
            strange.append(permission)
    wanted = _wanted(context)
    if context.firm.access == "delegated":
        wanted.append("offline_access")
    missing = [name for name in wanted if name not in names and name != "offline_access"]
    evidence = _("listed: {names}").format(names=", ".join(sorted(names)) or "–")
    if strange:
        evidence += "\n" + _("ids that their resource does not offer: {ids}").format(
            ids=", ".join(sorted(strange))
        )
    if missing and set(missing) - _granted(context):
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
    if "offline_access" in wanted and "offline_access" not in names:
        # Asked for at every sign-in, and granted with it; the list is only what the portal's button grants.
        return Outcome(
            _(
                "{wanted} are listed; offline_access is not, and is asked for at each sign-in"
            ).format(wanted=", ".join(wanted[:-1])),
            evidence=evidence,
        )
    return Outcome(_("{wanted} are listed").format(wanted=", ".join(wanted)), evidence=evidence)


def _exchange(context: Context) -> ServicePrincipal:
    found = graph_of(context).service_principal(EXCHANGE_APP_ID)
    if found is None:
        raise AuthError(
            _("this directory has no Exchange Online (its service principal is missing)"),
            cause="permission-not-registered",
        )
    return found


def _granted(context: Context) -> set[str]:
    """What was consented to on Exchange: for everybody, and for the account's user where there is one."""
    graph, principal, exchange = graph_of(context), principal_of(context), _exchange(context)
    if context.firm.access == "app-only":
        names = graph.permissions(EXCHANGE_APP_ID)
        return {names.get(i, i) for i in graph.roles(principal.object_id, exchange.object_id)}
    user = graph.user(context.mailbox.user) if context.account else None
    whose = {"", user.id if user else ""}
    return {
        scope
        for grant in graph.grants(principal.object_id)
        if grant.resource_id == exchange.object_id and grant.principal_id in whose
        for scope in grant.scopes
    }


def _consent(context: Context) -> Outcome:
    graph, principal, exchange = graph_of(context), principal_of(context), _exchange(context)
    missing = [name for name in _wanted(context) if name not in _granted(context)]
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
    one_by_one = ngettext("{n} user consented", "{n} users consented", users).format(n=users)
    if not [name for name in _wanted(context) if name not in for_all]:
        return Outcome(_("an administrator has consented for all users"))
    if not missing:
        return Outcome(
            _("the user has consented ({users} one by one; not for all)").format(users=one_by_one)
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
            users=one_by_one
        ),
        Signal.WARNING,
        evidence=evidence,
    )


def with_graph(context: Context) -> bool:
    """Whether an administrator has signed in."""
    return context.graph is not None


def check_of(
    name: str,
    title: Callable[[], str],
    act: Callable[[Context], Outcome],
    asks: Callable[[], str],
    applies: Callable[[Context], bool] = with_graph,
    needs: tuple[str, ...] = ("registration.app",),
) -> Check:
    """A check of the registration that needs an administrator's sign-in."""
    return Check(f"registration.{name}", title, act, needs=needs, applies=applies, asks=asks)


DIRECTORY = (
    check_of(
        "app",
        lambda: _("The app is enabled"),
        _enabled,
        lambda: _("Are app registration and enterprise application there and enabled?"),
        needs=("network.graph", "registration.directory"),
    ),
    check_of(
        "platform",
        lambda: _("The redirect URI is under the right platform"),
        _platform,
        lambda: _("Is the redirect URI registered, and under the platform that fits the secret?"),
        applies=lambda context: with_graph(context) and context.firm.access == "delegated",
    ),
    check_of(
        "public-client",
        lambda: _("Public client flows"),
        _public_client,
        lambda: _("Is “Allow public client flows” on, which signing in with a code needs?"),
        applies=lambda context: with_graph(context) and context.firm.access == "delegated",
    ),
    check_of(
        "permissions",
        lambda: _("The permissions are listed"),
        _permissions,
        lambda: _("Do the app's API permissions list those for retrieving and sending?"),
    ),
    check_of(
        "consent",
        lambda: _("Consent was given"),
        _consent,
        lambda: _("Who has consented: an administrator for all, or each user for himself?"),
    ),
)
