"""Has the user signed in, and are the tokens good for mail?"""

from datetime import UTC, datetime

from msoauth import claims as token_claims
from msoauth.checks.run import Check, Context, Outcome
from msoauth.errors import AuthError
from msoauth.identity import silent
from msoauth.model import Signal
from msoauth.texts import _

IDLE_WARN_DAYS = 60
IDLE_END_DAYS = 90  # a refresh token ends after 90 days without use (entra-docs: refresh-tokens.md)


def _token(context: Context) -> Outcome:
    account = context.mailbox
    if (
        context.firm.access == "delegated"
        and context.workspace.tokens.status(account.address) is None
    ):
        raise AuthError(
            _("{user} has not signed in yet").format(user=account.user), cause="session-missing"
        )
    # Forced, because a token from the cache would say nothing about the grant behind it.
    token = silent.access_token(context.workspace, account, force=True)
    context.known["token"] = token
    return Outcome(_("the token was renewed"))


def _audience(context: Context) -> Outcome:
    said = token_claims.read_unverified(context.known["token"].value)
    if said is None:
        return Outcome(
            _("the token cannot be read from outside (a personal account?)"), Signal.WARNING
        )
    wanted = context.firm.cloud.outlook_resource
    # Both spellings of the Outlook resource are in use (facts: aud follows the prefix of the scope).
    if said.audience.rstrip("/") not in {wanted, wanted.replace("office.com", "office365.com")}:
        return Outcome(
            _("the token is for {audience}, not for Outlook").format(audience=said.audience or "?"),
            Signal.FAILED,
            "audience-wrong",
            f"aud={said.audience}",
        )
    return Outcome(_("the token is for Outlook"))


def _scopes(context: Context) -> Outcome:
    said = token_claims.read_unverified(context.known["token"].value)
    if said is None:
        return Outcome(_("the token's permissions cannot be read from outside"), Signal.WARNING)
    protocol = "IMAP" if context.mailbox.retrieve == "imap" else "POP"
    if context.firm.access == "app-only":
        wanted, granted = {f"{protocol}.AccessAsApp", "SMTP.SendAsApp"}, said.roles
    else:
        wanted, granted = {f"{protocol}.AccessAsUser.All", "SMTP.Send"}, said.scopes
    missing = sorted(wanted - granted)
    if missing:
        return Outcome(
            _("the token lacks {missing}").format(missing=", ".join(missing)),
            Signal.FAILED,
            "scope-missing",
            f"granted: {' '.join(sorted(granted)) or '–'}",
        )
    return Outcome(_("the token carries {scopes}").format(scopes=", ".join(sorted(wanted))))


def _user(context: Context) -> Outcome:
    said = token_claims.read_unverified(context.known["token"].value)
    account = context.mailbox
    if said is None or not said.user:
        return Outcome(_("the token does not say whose it is"), Signal.WARNING)
    if said.user.casefold() != account.user.casefold():
        return Outcome(
            _("{actual} is signed in, not {wanted}").format(actual=said.user, wanted=account.user),
            Signal.FAILED,
            "account-wrong",
        )
    return Outcome(_("{user} is signed in").format(user=said.user))


def _age(context: Context) -> Outcome:
    status = context.workspace.tokens.status(context.mailbox.address)
    if status is None:
        raise AuthError(
            _("{user} has not signed in yet").format(user=context.mailbox.user),
            cause="session-missing",
        )
    days = (datetime.now(UTC) - status.refreshed_at).days
    sentence = _("the refresh token was last used {days} days ago").format(days=days)
    if days >= IDLE_END_DAYS:
        return Outcome(sentence, Signal.FAILED, "refresh-expired")
    return Outcome(sentence, Signal.WARNING if days >= IDLE_WARN_DAYS else Signal.PASSED)


def _delegated(context: Context) -> bool:
    return context.firm.access == "delegated"


_NEEDS = ("registration.secret", "registration.redirect")

SIGN_IN = (
    Check(
        "sign-in.token", lambda: _("Signed in, and the token can be renewed"), _token, needs=_NEEDS
    ),
    Check(
        "sign-in.audience",
        lambda: _("The token is for Outlook"),
        _audience,
        needs=("sign-in.token",),
    ),
    Check(
        "sign-in.scopes",
        lambda: _("The token carries the permissions"),
        _scopes,
        needs=("sign-in.token", "sign-in.audience"),
    ),
    Check(
        "sign-in.user",
        lambda: _("The right user is signed in"),
        _user,
        needs=("sign-in.token",),
        applies=_delegated,
    ),
    Check(
        "sign-in.age",
        lambda: _("The refresh token is in use"),
        _age,
        needs=("sign-in.token",),
        applies=_delegated,
    ),
)
