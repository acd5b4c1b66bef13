"""Decides between the causes of a vague refusal by what is known of the account: its token, its protocol, its findings.

Exchange has one reply for nearly every refused login (facts E2, E3, E5); what it does not say, the token's claims and
earlier findings often show.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain

from msoauth.addresses import readable, same
from msoauth.claims import UnverifiedClaims
from msoauth.clouds import Protocol
from msoauth.explaining.decide import Confidence
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.texts import _

_VAGUE = "mail-login-rejected"
_RECENT = timedelta(days=1)  # for so long an accepted login says that the token is good
# IMAP commands may have 10,240 bytes, SASL lines of SMTP 12,288 (facts E1, E3); base64 makes four of three bytes.
LONGEST_TOKEN = 7_600
# What only that protocol's servers say, then what names the protocol; the first that matches decides.
_PROTOCOLS: tuple[tuple[Protocol, re.Pattern[str]], ...] = (
    ("pop3", re.compile(r"(?<!\S)[\"'(b]{0,3}-err\b")),
    ("imap", re.compile(r"\bno authenticate|authenticated but not connected|\bno login failed")),
    ("smtp", re.compile(r"\b535\b|\b5\.7\.3\b")),
    ("pop3", re.compile(r"\bpop3?\b")),
    ("imap", re.compile(r"\bimap")),
    ("smtp", re.compile(r"\bsmtp")),
)
_PERMISSIONS: dict[Protocol, tuple[str, str]] = {  # delegated, app-only (facts A4, A5)
    "pop3": ("POP.AccessAsUser.All", "POP.AccessAsApp"),
    "imap": ("IMAP.AccessAsUser.All", "IMAP.AccessAsApp"),
    "smtp": ("SMTP.Send", "SMTP.SendAsApp"),
}
_SWITCHES: dict[Protocol, str] = {"pop3": "pop-disabled", "imap": "imap-disabled"}


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What is known of an account, or only of its firm, when one of its errors is explained.

    Attributes:
        claims: Those of the access token of the last sign-in; None if there is none, or it cannot be read.
        token_length: The length of that token in characters, or 0.
        findings: The latest finding of each check of the account.
        signed_in_as: The user name under which the account's user last signed in; empty if nobody has.
    """

    firm: Firm | None = None
    account: Account | None = None
    claims: UnverifiedClaims | None = None
    token_length: int = 0
    findings: Sequence[Finding] = ()
    signed_in_as: str = ""

    @property
    def app_only(self) -> bool:
        """Whether the firm's app signs in itself, without a user."""
        return self.firm is not None and self.firm.access == "app-only"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The cause that the facts show.

    Attributes:
        because: The fact, as a sentence for people.
        step: What is to be done first, beside the cause's own steps; or empty.
        details: The facts by which the steps are chosen.
    """

    cause: str
    confidence: Confidence
    because: str
    step: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


def conclude(
    lowered: str, possibilities: Sequence[str], confidence: Confidence, facts: AccountFacts
) -> tuple[Conclusion | None, tuple[str, ...]]:
    """The cause that *facts* show, if they show one, and the possibilities in order.

    Args:
        lowered: The text in lower case.
        possibilities: The causes that the text itself leaves, the most likely first.
        confidence: How certain the text alone is.
    """
    vague = possibilities[:1] == [_VAGUE] or (confidence == "unsure" and _VAGUE in possibilities)
    if not vague and confidence != "unsure":
        return None, tuple(possibilities)
    protocol = protocol_of(lowered, facts)
    conclusions = chain(
        _from_claims(protocol, facts) if vague else (),
        _from_findings(possibilities, facts),
        _from_access(protocol, facts) if vague else (),
    )
    found = next(conclusions, None)
    is_users = vague and facts.account and not facts.app_only
    usual = _SWITCHES.get(protocol) if is_users and protocol else None
    causes = (
        *((found.cause,) if found else ()),
        *possibilities,
        *((usual, "mailbox-missing") if usual else ()),  # the most frequent ones (facts E2)
    )
    return found, tuple(dict.fromkeys(causes))[:3]


def protocol_of(lowered: str, facts: AccountFacts) -> Protocol | None:
    """The protocol that the text is about; where it does not show, the one by which the account is retrieved."""
    return next(
        (protocol for protocol, pattern in _PROTOCOLS if pattern.search(lowered)),
        facts.account.protocol if facts.account else None,
    )


def _from_access(protocol: Protocol | None, facts: AccountFacts) -> Iterator[Conclusion]:
    """What is left, by who signs in, of a login that was refused without a reason though its token is good."""
    account = facts.account
    names = {"user": account.login, "mailbox": account.address} if account else {}
    if facts.app_only:
        yield Conclusion(
            "service-principal-missing",
            "likely",
            _("The firm's app signs in itself, without a user (app-only access)."),
        )
    elif account and account.login and protocol != "smtp":
        yield Conclusion(
            "full-access-missing",
            "likely",
            _("{user} signs in to open the mailbox {mailbox}.").format(**names),
        )
    elif account and account.login:
        yield Conclusion(
            _VAGUE,
            "likely",
            _("{user} signs in to send as {mailbox}.").format(**names),
            _(
                "For SMTP, set {user} as the user name; {mailbox} is the sender only and needs “Send as”."
            ).format(**names),
        )
    elif account:
        yield from _from_other_logins(protocol, facts)


def _from_claims(protocol: Protocol | None, facts: AccountFacts) -> Iterator[Conclusion]:
    """What is wrong with the token of the last sign-in."""
    claims, account = facts.claims, facts.account
    if claims is None:
        return
    if "graph.microsoft" in claims.audience or claims.audience.startswith("00000003-"):
        yield Conclusion(
            "audience-wrong",
            "certain",
            _("The token of the last sign-in is for {audience}, not for Outlook.").format(
                audience=claims.audience
            ),
        )
    if protocol is not None:
        needed = _PERMISSIONS[protocol][facts.app_only]
        if needed not in (claims.roles if facts.app_only else claims.scopes):
            yield Conclusion(
                "scope-missing",
                "certain",
                _("The token of the last sign-in lacks {scope}.").format(scope=needed),
            )
    if account and claims.user and not same(claims.user, account.user):
        actual = readable(claims.user)
        renamed = same(
            facts.signed_in_as, account.user
        )  # the tokens are still those of that sign-in
        yield Conclusion(
            "user-renamed" if renamed else "account-wrong",
            "certain",
            _("{old} has a new user name: {new}.").format(old=account.user, new=actual)
            if renamed
            else _("The last sign-in was that of {actual}, not of {wanted}.").format(
                actual=actual, wanted=account.user
            ),
            details={"signed_in_as": actual},
        )
    if facts.token_length > LONGEST_TOKEN:
        yield Conclusion(
            _VAGUE,
            "likely",
            _("The token of the last sign-in has {length} characters, which is too long.").format(
                length=f"{facts.token_length:,}"
            ),
            details={"token_length": f"{facts.token_length:,}"},
        )


def _from_other_logins(protocol: Protocol | None, facts: AccountFacts) -> Iterator[Conclusion]:
    """A switch that is off, where another protocol accepted the same sign-in a short while ago."""
    names: dict[str, Protocol] = {"smtp.login": "smtp", "pop3.login": "pop3", "imap.login": "imap"}
    for finding in facts.findings:
        other = names.get(finding.check, protocol)
        works = finding.signal is Signal.PASSED and datetime.now(UTC) - finding.at < _RECENT
        if protocol in _SWITCHES and other and other != protocol and works:
            yield Conclusion(
                _SWITCHES[protocol],
                "likely",
                _("{protocol} accepted the same sign-in on {time}, so the token is good.").format(
                    protocol=other.upper(), time=f"{finding.at.astimezone():%Y-%m-%d %H:%M}"
                ),
            )


def _from_findings(possibilities: Sequence[str], facts: AccountFacts) -> Iterator[Conclusion]:
    """The cause that an earlier check found, if it is one of *possibilities*, or lies behind a vague refusal."""
    behind = ("directory.",) if facts.claims else ("directory.", "sign-in.")
    for finding in facts.findings:
        vague = _VAGUE in possibilities and finding.check.startswith(behind)
        known = finding.cause if finding.signal is Signal.FAILED else None
        if known not in (None, "unknown", _VAGUE) and (vague or known in possibilities):
            yield Conclusion(
                str(known),
                "likely",
                _("A check found the same on {time}: {summary}.").format(
                    time=f"{finding.at.astimezone():%Y-%m-%d %H:%M}",
                    summary=finding.summary.rstrip("."),
                ),
            )
