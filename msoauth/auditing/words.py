"""What an audit says, in words for people."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from msoauth.auditing import judge
from msoauth.auditing.history import Change
from msoauth.auditing.judge import Link
from msoauth.auditing.status import AccountStatus, CauseGroup
from msoauth.explaining import for_cause
from msoauth.model import Signal
from msoauth.texts import _, language, ngettext


def signal_word(signal: Signal) -> str:
    """An account's signal in a word."""
    return {
        Signal.PASSED: _("works"),
        Signal.WARNING: _("watch"),
        Signal.FAILED: _("broken"),
        Signal.ERROR: _("could not be checked"),
        Signal.SKIPPED: _("skipped"),
        Signal.NOT_RUN: _("never checked"),
    }[signal]


def change_word(change: Change) -> str:
    """A change against the audit before, in words."""
    return {
        "": "",
        "new": _("new trouble"),
        "worse": _("worse"),
        "better": _("better"),
        "mended": _("mended"),
    }[change]


def who_word(who: str) -> str:
    """Who can mend it, in words."""
    return {
        "user": _("the user"),
        "tenant-admin": _("the firm's administrator"),
        "consultant": _("the consultant"),
        "microsoft": _("Microsoft"),
    }.get(who, who)


def link_words(link: Link | None) -> str:
    """A broken link, or what will break soon, in one phrase."""
    if link is None:
        return ""
    if link.check == judge.SECRET_END and link.days is not None:
        if link.days < 0:
            return _("The client secret's end date has passed")
        return ngettext(
            "The client secret ends in {days} day",
            "The client secret ends in {days} days",
            link.days,
        ).format(days=link.days)
    if link.check == judge.TOKEN_AGE and link.days is not None:
        return _("The sign-in was not used for {days} days; it ends after {end}").format(
            days=link.days, end=judge.IDLE_RED_DAYS
        )
    if link.check == judge.NEWEST_MAIL and link.days is not None:
        return _("No new mail for {days} days").format(days=link.days)
    if link.cause and link.cause != "unknown":
        return _title(link.cause, language())
    return link.check


def group_words(group: CauseGroup) -> str:
    """What hangs on one cause, without the accounts."""
    return _what(group.check, group.cause, soon=group.soon)


def cause_words(links: Iterable[Link]) -> dict[str, str]:
    """What to call each cause among these links: what is broken before what will be."""
    found: dict[str, str] = {}
    for link in sorted(links, key=lambda link: link.soon):
        if link.cause and link.cause not in found:
            found[link.cause] = _what(link.check, link.cause, soon=link.soon)
    return found


def _what(check: str, cause: str | None, *, soon: bool) -> str:
    if check == judge.SECRET_END and soon:
        return _("The client secret ends soon")
    if check == judge.TOKEN_AGE and soon:
        return _("The sign-in is hardly used and will end")
    if check == judge.NEWEST_MAIL:
        return _("No new mail for a long time")
    if cause and cause != "unknown":
        return _title(cause, language())
    return check


@lru_cache(maxsize=500)
def _title(cause: str, _language: str) -> str:
    """Ten thousand accounts hang on a few causes."""
    return for_cause(cause).title.rstrip(".")


@lru_cache(maxsize=500)
def _steps(cause: str, _language: str) -> tuple[str, ...]:
    return tuple(for_cause(cause).fix)


@lru_cache(maxsize=500)
def _who(cause: str) -> str:
    return for_cause(cause).who


def group_line(group: CauseGroup) -> str:
    """The same with the accounts counted: “7 accounts: Authenticated SMTP is off”."""
    count = len(group.accounts)
    return ngettext("{count} account: {what}", "{count} accounts: {what}", count).format(
        count=count, what=group_words(group)
    )


def group_who(group: CauseGroup) -> str:
    """Who can mend it: an id of the catalogue, or empty."""
    return _who(group.cause) if group.cause else ""


def account_who(one: AccountStatus) -> str:
    """Who can mend an account: an id of the catalogue, or empty."""
    if one.link is None or one.link.cause is None:
        return ""
    return (one.finding.who if one.finding else "") or _who(one.link.cause)


def account_fix(one: AccountStatus) -> tuple[str, ...]:
    """What to do about an account, step by step."""
    if one.link is None:
        return ()
    # The catalogue speaks the language of now, the finding that of the day when it was made.
    return _fix(one.link.check, one.link.cause) or (one.finding.fix if one.finding else ())


def group_fix(group: CauseGroup) -> tuple[str, ...]:
    """What to do about what hangs on one cause, step by step."""
    return _fix(group.check, group.cause)


def _fix(check: str, cause: str | None) -> tuple[str, ...]:
    if cause is None and check == judge.NEWEST_MAIL:
        return (
            _("Ask whether mail is expected there: a rule or a forwarding may take it elsewhere."),
        )
    return _steps(cause, language()) if cause else ()


def steps_line(steps: Sequence[str]) -> str:
    """Steps on one line: “1. Do this. 2. Do that.”; one alone without its number."""
    if len(steps) < 2:
        return "".join(steps)
    return " ".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def counts_line(signals: Mapping[Signal, int]) -> str:
    """“✖ 3 broken   ▲ 2 watch   ● 120 works”, what is worst first."""
    return "   ".join(f"{s.shape} {signals[s]:,} {signal_word(s)}" for s in _counted(signals))


def counts_words(signals: Mapping[Signal, int]) -> str:
    """The same for a place that has a shape of its own: “3 broken, 2 watch, 120 works”."""
    return ", ".join(f"{signals[s]:,} {signal_word(s)}" for s in _counted(signals))


def _counted(signals: Mapping[Signal, int]) -> list[Signal]:
    order = (Signal.FAILED, Signal.ERROR, Signal.WARNING, Signal.NOT_RUN, Signal.PASSED)
    return [signal for signal in order if signals.get(signal)]
