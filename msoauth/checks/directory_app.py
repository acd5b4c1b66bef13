"""Checks of the app registration through Microsoft Graph; they run only when an administrator has signed in."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from msoauth.checks.context import Check, Context, Outcome
from msoauth.errors import AuthError
from msoauth.graph import (
    EXCHANGE_APP_ID,
    GRAPH_APP_ID,
    Application,
    ConsentRequest,
    Grant,
    Graph,
    ServicePrincipal,
)
from msoauth.graph.policies import LEGACY, LOW, MAIL_APPS, MANAGED
from msoauth.model import Account, Firm, Signal
from msoauth.texts import _, ngettext

# What the portal suggests for a new client secret: a shorter limit refuses who leaves it as it is.
PORTAL_SUGGESTS = timedelta(days=180)


def graph_client(context: Context) -> Graph:
    """The Graph client of a run that has one.

    Raises:
        LookupError: no administrator has signed in.
    """
    if context.graph is None:
        raise LookupError("this check needs an administrator's sign-in")
    return context.graph


def _application(context: Context) -> Application | None:
    """The app registration; None for an app of another directory, of which this one has the enterprise application only.

    Raises:
        AuthError: there is neither, or they may not be read.
    """
    graph, client_id = graph_client(context), context.firm.client_id
    application = graph.application(client_id)
    if application is None and graph.service_principal(client_id) is None:
        raise AuthError(
            _("this directory has no app registration with the client ID {client_id}").format(
                client_id=client_id
            ),
            cause="app-not-found",
        )
    return application


def _seen_by_vendor_only() -> Outcome:
    """The outcome of a check of the registration where that is in another directory."""
    return Outcome(
        _(
            "not checked: the app is registered in its vendor's directory, and only the vendor sees this"
        ),
        Signal.NOT_RUN,
    )


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
    if app is not None and app.disabled_by_microsoft:
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
    if app is None:
        return Outcome(
            _("the app {name} of another directory is there and enabled").format(
                name=principal.name
            ),
            evidence=f"appOwnerOrganizationId: {principal.home or '?'}",
        )
    return Outcome(_("the app {name} is there and enabled").format(name=app.name))


def _platform(context: Context) -> Outcome:
    app, uri = _application(context), context.firm.redirect_uri
    if app is None:
        return _seen_by_vendor_only()
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
    app = _application(context)
    if app is None:
        return _seen_by_vendor_only()
    if app.public_client_flows:
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
    return _needed_by(accounts, context.firm)


def _needed_by(accounts: Iterable[Account], firm: Firm) -> list[str]:
    protocols = {account.protocol for account in accounts} or {"pop3"}
    suffix, send = (
        ("AsApp", "SMTP.SendAsApp") if firm.access == "app-only" else ("AsUser.All", "SMTP.Send")
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
    if app is None:
        return _seen_by_vendor_only()
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


def _grants(context: Context) -> list[Grant]:
    """The consents to delegated permissions of Exchange that the app was given."""
    principal, exchange = service_principal(context), _exchange_principal(context)
    return [
        grant
        for grant in graph_client(context).grants(principal.object_id)
        if grant.resource_id == exchange.object_id
    ]


def _consented(grants: Iterable[Grant], user_id: str = "") -> set[str]:
    """The permissions consented to for all users and, if *user_id* is given, by that user."""
    return {
        scope for grant in grants if grant.principal_id in ("", user_id) for scope in grant.scopes
    }


def _consented_permissions(context: Context) -> set[str]:
    """The Exchange permissions that were consented to: for everybody, and for the account's user if there is an account."""
    graph = graph_client(context)
    if context.firm.access == "app-only":
        principal, exchange = service_principal(context), _exchange_principal(context)
        names = graph.permissions(EXCHANGE_APP_ID)
        return {names.get(i, i) for i in graph.roles(principal.object_id, exchange.object_id)}
    user = graph.find_user(context.mailbox.user) if context.account else None
    return _consented(_grants(context), user.id if user else "")


def _consent(context: Context) -> Outcome:
    needed = _needed_permissions(context)
    missing = [name for name in needed if name not in _consented_permissions(context)]
    if context.firm.access == "app-only":
        if missing:
            return Outcome(
                _("no administrator has consented to {missing}").format(missing=", ".join(missing)),
                Signal.FAILED,
                "admin-consent-required",
            )
        return Outcome(
            _("admin consent: an administrator has consented to the application permissions"),
            facts={"consent": "all"},
        )
    grants = _grants(context)
    if set(needed) <= _consented(grants):
        return Outcome(
            _("admin consent: an administrator has consented for all users"),
            facts={"consent": "all"},
        )
    evidence = "\n".join(
        f"{'AllPrincipals' if not grant.principal_id else 'Principal'}: {' '.join(sorted(grant.scopes))}"
        for grant in grants[:20]
    )
    if context.account is None:
        return _consent_of_each_mailbox(context, grants, evidence)
    if not missing:
        return Outcome(
            _("the user of this mailbox has consented; there is no admin consent for all users"),
            evidence=evidence,
            facts={"consent": "user"},
        )
    return _missing_consent(context, missing, evidence)


def _consent_of_each_mailbox(context: Context, grants: Sequence[Grant], evidence: str) -> Outcome:
    """The outcome for a firm without admin consent: whether the user of each of its mailboxes has consented."""
    graph, accounts = graph_client(context), context.workspace.accounts.list(context.firm.name)
    without: dict[str, list[str]] = {}
    for account in accounts:
        user = graph.find_user(account.user)
        consented = _consented(grants, user.id) if user else set[str]()
        lacking = [name for name in _needed_by([account], context.firm) if name not in consented]
        if lacking:
            without[account.address] = lacking
    if accounts and not without:
        return Outcome(
            ngettext(
                "for each mailbox: the user of {n} mailbox has consented; there is no admin consent for all users",
                "for each mailbox: the users of all {n} mailboxes have consented; there is no admin consent for all users",
                len(accounts),
            ).format(n=len(accounts)),
            evidence=evidence,
            facts={"consent": "each"},
        )
    missing = {name for lacking in without.values() for name in lacking}
    lines = [f"{address}: {', '.join(lacking)}" for address, lacking in list(without.items())[:20]]
    return _missing_consent(
        context, sorted(missing or _needed_permissions(context)), "\n".join([evidence, *lines])
    )


def _missing_consent(context: Context, missing: Sequence[str], evidence: str) -> Outcome:
    """The outcome where consent to *missing* is missing: what a sign-in will meet, by the directory's policy."""
    setting, needs_admin = _user_consent(context, missing)
    evidence = "\n".join(filter(None, (evidence, setting)))
    if needs_admin:
        return Outcome(
            _(
                "only an administrator may consent to {missing} in this directory: until then every sign-in ends with “Need admin approval”"
            ).format(missing=", ".join(needs_admin)),
            Signal.FAILED,
            "admin-consent-required",
            evidence,
        )
    account = context.account
    if account is not None and context.workspace.tokens.status(account.address):
        return Outcome(
            _("nobody has consented to {missing} for this user").format(missing=", ".join(missing)),
            Signal.FAILED,
            "consent-required",
            evidence,
        )
    if needs_admin is None:
        return Outcome(
            _(
                "no admin consent to {missing}; whether users may consent themselves cannot be read: by Microsoft's default they may not since November 2025"
            ).format(missing=", ".join(missing)),
            Signal.WARNING,
            evidence=evidence,
        )
    return Outcome(
        _(
            "no admin consent; users may consent to {missing} themselves, and are asked at the first sign-in"
        ).format(missing=", ".join(missing)),
        Signal.WARNING,
        evidence=evidence,
    )


def _user_consent(context: Context, names: Sequence[str]) -> tuple[str, list[str] | None]:
    """The directory's user-consent setting in words, and which of these permissions need an administrator.

    The latter is None when that cannot be told.
    """
    graph, principal = graph_client(context), service_principal(context)
    try:
        setting = graph.user_consent()
        classified = graph.classifications(_exchange_principal(context).object_id)
    except AuthError as error:
        if error.cause != "graph-forbidden":
            raise
        return error.evidence, None
    if setting is None:
        return "", None
    ids = {name: id_ for id_, name in graph.permissions(EXCHANGE_APP_ID).items()}
    answers = {
        name: setting.allows(
            ConsentRequest(
                context.firm.client_id,
                principal.home,
                principal.publisher,
                EXCHANGE_APP_ID,
                ids.get(name, ""),
                name,
                classified.get(ids.get(name, ""), ""),
            )
        )
        for name in names
    }
    policies = [policy.id for policy in setting.policies]
    words = "\n".join(
        (
            f"permissionGrantPoliciesAssigned: {', '.join(policies) or '–'}",
            _("User consent settings: {setting}").format(setting=_setting_label(policies)),
        )
    )
    needs_admin = [name for name, allowed in answers.items() if allowed is False]
    return words, None if not needs_admin and None in answers.values() else needs_admin


def _setting_label(policies: Sequence[str]) -> str:
    """The option of the portal's page *User consent settings* to which these policies belong."""
    labels = {
        LOW: _("Allow user consent for apps from verified publishers, for selected permissions"),
        LEGACY: _("Allow user consent for apps"),
        MANAGED: _("Let Microsoft manage your consent settings"),
    }
    if not policies:
        return _("Do not allow user consent")
    return "; ".join(labels.get(one, one) for one in policies if one != MAIL_APPS) or MAIL_APPS


def _secret_policy(context: Context) -> Outcome:
    """Whether a new client secret may be added; one that is there stays valid whatever the policy says (facts K2.5)."""
    app = _application(context)
    if app is None:
        return _seen_by_vendor_only()
    try:
        rules = graph_client(context).secret_rules(app)
    except AuthError as error:
        if error.cause != "graph-forbidden":
            raise
        return Outcome(
            _("the app management policies cannot be read: a new client secret may be refused"),
            Signal.WARNING,
            evidence=error.evidence,
        )
    has_secret = context.workspace.firms.has_secret(context.firm.name)
    evidence = (
        _("the app's own policy: {name}") if rules.own else _("the directory's policy: {name}")
    ).format(name=rules.policy)
    if rules.longest_certificate is not None:
        evidence += "\n" + _("a certificate may be valid for {days} days").format(
            days=rules.longest_certificate.days
        )
    needs_secret = has_secret or context.firm.access == "app-only" or not app.public
    if rules.forbidden and not needs_secret:
        return Outcome(
            _("new client secrets are forbidden, and this app works without one"), evidence=evidence
        )
    if rules.forbidden:
        return Outcome(
            _(
                "new client secrets are forbidden: the present one works until its end, and can't be renewed"
            )
            if has_secret
            else _("new client secrets are forbidden, and there is none"),
            Signal.WARNING if has_secret else Signal.FAILED,
            "secret-blocked",
            evidence,
        )
    if rules.longest is None:
        return Outcome(_("a new client secret may be added, with any end date"))
    limited = _("a new client secret may be valid for {days} days at most").format(
        days=rules.longest.days
    )
    if rules.longest < PORTAL_SUGGESTS and needs_secret:
        return Outcome(limited, Signal.WARNING, "secret-blocked", evidence)
    return Outcome(limited, evidence=evidence)


def quoted(names: Iterable[str]) -> str:
    """Names that an administrator gave, in the language's quotation marks."""
    return ", ".join(_("“{name}”").format(name=name) for name in names)


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
        "secret-policy",
        lambda: _("A new client secret is allowed"),
        _secret_policy,
        lambda: _("May a new client secret be added to the app, and how long may it be valid?"),
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
        lambda: _(
            "Has an administrator consented for all users, or each user, and what will a sign-in meet otherwise?"
        ),
    ),
)
