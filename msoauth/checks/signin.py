"""Checks whether the user has signed in, and whether the tokens are good for mail."""

from dataclasses import replace
from datetime import UTC, datetime

from msoauth.addresses import same
from msoauth.checks.context import Check, Context, Outcome
from msoauth.checks.directory_policies import name_policies
from msoauth.claims import read_unverified
from msoauth.errors import AuthError
from msoauth.identity import access_tokens, sign_in_history
from msoauth.identity.signed_in_user import is_renamed
from msoauth.judgement import idle_signal, severity
from msoauth.model import Signal
from msoauth.redact import redact
from msoauth.texts import _


def token_of(context: Context) -> str:
    """The account's access token: the one that an earlier check got, else from the cache or renewed now."""
    if context.state.token is None:
        context.state.token = access_tokens.access_token(
            context.workspace, context.mailbox, firm=context.firm
        )
    return context.state.token.value


def _present(context: Context) -> Outcome:
    account = context.mailbox
    status = context.workspace.tokens.status(account.address)
    if status is None:
        raise _not_signed_in(context)
    context.state.unused_for = datetime.now(UTC) - status.refreshed_at  # before it is renewed
    return Outcome(
        _("{user} signed in on {date}").format(
            user=status.signed_in_as or account.user, date=f"{status.signed_in_at:%Y-%m-%d}"
        )
    )


def _not_signed_in(context: Context) -> AuthError:
    """The error for a missing sign-in, with the reason if one is known: what the user saw, or how the last try ended."""
    user = context.mailbox.user
    refusal = None
    if context.options.user_reported_error.strip():
        refusal = sign_in_history.record_reported_text(
            context.workspace, context.firm, context.mailbox, context.options.user_reported_error
        )
    refusal = refusal or sign_in_history.last_refusal(context.workspace, context.mailbox)
    if refusal is None:
        return AuthError(
            _("{user} has not signed in yet").format(user=user),
            cause="session-missing",
            evidence=redact(context.options.user_reported_error, 600),
        )
    return AuthError(
        _("{user} has not signed in yet; the last try was refused: {why}").format(
            user=user, why=refusal.summary
        ),
        cause=refusal.cause or "unknown",
        evidence=refusal.evidence,
        ids=refusal.ids,
        details=refusal.details,
    )


def _token(context: Context) -> Outcome:
    # Forced, because a token from the cache would say nothing about the grant behind it.
    try:
        token = access_tokens.access_token(
            context.workspace, context.mailbox, firm=context.firm, force=True
        )
    except AuthError as error:
        context.state.retry_after = error.retry_after
        raise name_policies(context, error) from None
    context.state.token, context.state.token_renewed = token, True
    return Outcome(_("the token was renewed"))


def _audience(context: Context) -> Outcome:
    claims = read_unverified(token_of(context))
    if claims is None:
        return Outcome(
            _("the token cannot be read from outside (a personal account?)"), Signal.WARNING
        )
    resource = context.firm.cloud.outlook_resource
    # Both spellings of the Outlook resource are in use (facts: aud follows the prefix of the scope).
    if claims.audience.rstrip("/") not in {
        resource,
        resource.replace("office.com", "office365.com"),
    }:
        return Outcome(
            _("the token is for {audience}, not for Outlook").format(
                audience=claims.audience or "?"
            ),
            Signal.FAILED,
            "audience-wrong",
            f"aud={claims.audience}",
        )
    return Outcome(_("the token is for Outlook"))


def _scopes(context: Context) -> Outcome:
    claims = read_unverified(token_of(context))
    if claims is None:
        return Outcome(_("the token's permissions cannot be read from outside"), Signal.WARNING)
    protocol = "IMAP" if context.mailbox.protocol == "imap" else "POP"
    if context.firm.access == "app-only":
        needed, granted = {f"{protocol}.AccessAsApp", "SMTP.SendAsApp"}, claims.roles
    else:
        needed, granted = {f"{protocol}.AccessAsUser.All", "SMTP.Send"}, claims.scopes
    missing = sorted(needed - granted)
    if missing == [
        "SMTP.SendAsApp"
    ]:  # the login shows whether Exchange allows it all the same (facts A5)
        return Outcome(
            _(
                "the token lacks SMTP.SendAsApp: mail can be sent only where RBAC for Applications allows it"
            ),
            Signal.WARNING,
        )
    if missing:
        return Outcome(
            _("the token lacks {missing}").format(missing=", ".join(missing)),
            Signal.FAILED,
            "scope-missing",
            f"granted: {' '.join(sorted(granted)) or '–'}",
        )
    return Outcome(_("the token carries {scopes}").format(scopes=", ".join(sorted(needed))))


def _user(context: Context) -> Outcome:
    token_of(context)
    person = context.state.token.person if context.state.token else None
    account = context.mailbox
    if person is None or not person.user_name:
        return Outcome(_("the token does not say whose it is"), Signal.WARNING)
    user, details = person.user_name, {"signed_in_as": person.user_name}
    if same(user, account.user):
        return Outcome(_("{user} is signed in").format(user=user))
    status = context.workspace.tokens.status(account.address)
    before = context.state.token.earlier if context.state.token else None
    if status and before and not status.object_id:  # signed in before msoauth kept the ids
        status = replace(status, object_id=before.object_id, tenant_id=before.tenant_id)
    if is_renamed(account, person, status):
        return Outcome(
            _("{old} has a new user name: {new}").format(old=account.user, new=user),
            Signal.FAILED,
            "user-renamed",
            details=details,
        )
    return Outcome(
        _("{actual} is signed in, not {wanted}").format(actual=user, wanted=account.user),
        Signal.FAILED,
        "account-wrong",
        details=details,
    )


def _age(context: Context) -> Outcome:
    days = max(0, context.state.unused_for.days)
    signal = idle_signal(days)
    if context.state.token_renewed:
        sentence = (
            _("the refresh token had not been used for {days} days; it was renewed now")
            if days
            else _("the refresh token was used today")
        )
        return Outcome(
            sentence.format(days=days),
            min(signal, Signal.WARNING, key=severity),  # it works again
        )
    sentence = _("the refresh token has not been used for {days} days; Microsoft ends it after 90")
    cause = "refresh-expired" if signal is Signal.FAILED else None
    return Outcome(sentence.format(days=days), signal, cause)


def _delegated(context: Context) -> bool:
    return context.firm.access == "delegated"


SIGN_IN = (
    Check(
        "sign-in.present",
        lambda: _("The user has signed in"),
        _present,
        # A sign-in made earlier needs no redirect URI any more; one that is missing does.
        needs=("registration.secret",),
        after=("registration.user",),
        applies=_delegated,
        asks=lambda: _("Has the user of this mailbox signed in once, so that tokens are stored?"),
    ),
    Check(
        "sign-in.token",
        lambda: _("The token can be renewed"),
        _token,
        needs=("registration.secret", "sign-in.present"),
        after=("registration.user",),
        asks=lambda: _("Does the sign-in service give a new access token for the stored grant?"),
    ),
    Check(
        "sign-in.audience",
        lambda: _("The token is for Outlook"),
        _audience,
        needs=("sign-in.token",),
        asks=lambda: _("Is the token made out for the Outlook resource, not for Graph?"),
    ),
    Check(
        "sign-in.scopes",
        lambda: _("The token carries the permissions"),
        _scopes,
        needs=("sign-in.token", "sign-in.audience"),
        asks=lambda: _("Does the token carry the permission to retrieve and the one to send?"),
    ),
    Check(
        "sign-in.user",
        lambda: _("The right user is signed in"),
        _user,
        needs=("sign-in.token",),
        applies=_delegated,
        asks=lambda: _("Is the token that of the user to whom the mailbox belongs?"),
    ),
    Check(
        "sign-in.age",
        lambda: _("The refresh token is in use"),
        _age,
        needs=("sign-in.present",),
        after=("sign-in.token",),
        applies=_delegated,
        asks=lambda: _("How long was the refresh token unused? Microsoft ends it after 90 days."),
    ),
)
