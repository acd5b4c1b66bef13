"""A practice tenant that reproduces the problems of a support bundle's account.

The firm and its user are created, with their names and ids out of the bundle. For each finding that was not in
order, it looks for a scenario that makes the same check fail with the same cause. Scenarios that block a sign-in
start at once; those that show only after a sign-in (a revoked session, a later policy) start when the user has
signed in once.
"""

import re
import secrets
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from msoauth.practice.bundle import BundleError, Contents
from msoauth.practice.corpus import typical
from msoauth.practice.scenarios import Scenario, scenarios
from msoauth.practice.server import PracticeTenant
from msoauth.practice.state import LogEntry, Mailbox, PracticeState, Tenant, User

Kind = Literal["pop3", "imap", "shared", "app-only"]

_ADDRESS = re.compile(r"[^\s@<>\"\\\x00-\x1f\x7f]{1,64}@(?:[\w-]{1,63}\.){1,8}[\w-]{2,63}")
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_LOCAL_URI = re.compile(r"https?://[\w.:\[\]/~-]{1,200}")

# By the beginning of a check's id: the settings of scenarios that make it fail.
_BREAKING_SETTINGS = {
    "network.authority": r"(?:port|endpoint)\.authority",
    "network.clock": r"clock\.",
    "network.pop3": r"(?:port|endpoint|fault)\.pop3",
    "network.imap": r"(?:port|endpoint|fault)\.imap",
    "network.smtp": r"(?:port|endpoint|fault)\.smtp",
    "registration.": r"noted\.|app\.|principal\.|secret\.|organisation\.(?:depro|exchange_online)|policies\.|endpoint\.outlook|fault\.token|port\.authority",
    "sign-in.": r"service\.app_roles|user\.|policies\.|policy\.|managed\.|principal\.|organisation\.exchange_online|endpoint\.outlook|fault\.(?:token|refresh|code|state)|app\.|noted\.|account\.",
    "pop3.login": r"mailbox\.(?:pop|busy|moved|full_access)|user\.licensed|fault\.pop3|(?:principal|service)\.exchange|organisation\.exchange_online",
    "imap.login": r"mailbox\.(?:imap|moved|full_access)|user\.licensed|fault\.imap|(?:principal|service)\.exchange|organisation\.exchange_online",
    "smtp.login": r"mailbox\.(?:smtp|send_as)|service\.app_roles|user\.licensed|organisation\.smtp|policies\.security|fault\.smtp|(?:principal|service)\.exchange",
    "smtp.send": r"fault\.smtp|mailbox\.send_as|mailbox\.smtp",
    "mail.round-trip": r"fault\.",
}  # fmt: skip
_LOGINS = ("pop3.login", "imap.login", "smtp.login")
# A new sign-in does not show these before the first renewal, so they start after it.
_AFTER_SIGN_IN = ("sign-in.token", "sign-in.audience", "sign-in.scopes", "sign-in.user")


@dataclass(frozen=True)
class ReplayedFinding:
    """A finding, and the scenario that reproduces it.

    Attributes:
        scenario: Name of the scenario, with its aim; empty when there is none.
        after_sign_in: The scenario starts when the user has signed in once.
    """

    check: str
    cause: str
    scenario: str
    after_sign_in: bool = False


@dataclass(frozen=True)
class Case:
    """The firm and account of a bundle."""

    firm: str
    tenant: str
    client_id: str
    redirect_uri: str
    has_secret: bool
    address: str
    login: str
    kind: Kind


class Replay(PracticeTenant):
    """A practice tenant with the case of a bundle.

    Args:
        contents: The bundle.
        options: As for `PracticeTenant`.

    Raises:
        BundleError: the bundle holds no firm and account that can be replayed.

    Attributes:
        case: The firm and account.
        replayed: Each finding that was not in order, with its scenario.
    """

    def __init__(self, contents: Contents, **options: Any) -> None:
        super().__init__(**options)
        self.case = _case(contents.settings)
        if any(row.get("cause") == "secret-required" for row in contents.findings):
            # The app has a secret, although the settings state none.
            self.case = replace(self.case, has_secret=True)
        _set_up(self.state, self.case)
        self.replayed = tuple(_choose(contents.findings, self.case))

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            for finding in self.replayed:
                if finding.scenario and not finding.after_sign_in:
                    self.scenarios.start(finding.scenario)
            later = [f.scenario for f in self.replayed if f.scenario and f.after_sign_in]
            if later:
                self.state.log = _LogThatStartsScenarios(self.state.log, self, later)
        except BaseException:
            self._stop()
            raise
        return self

    def notes(self) -> Iterator[str]:
        """Lines for people: which findings are replayed and which are not."""
        yield f"Replayed: {self.case.address} of {self.case.firm}"
        for finding in self.replayed:
            if not finding.scenario:
                yield f"    {finding.check}: {finding.cause} cannot be brought about here"
            elif finding.after_sign_in:
                yield f"    {finding.check}: {finding.cause} ({finding.scenario}), as soon as the user has signed in"
            else:
                yield f"    {finding.check}: {finding.cause} ({finding.scenario})"
        if not self.replayed:
            yield "    Nothing was out of order in its findings."


class _LogThatStartsScenarios(deque[LogEntry]):
    """The log; when the user's first sign-in is appended, it starts the scenarios that wait for it."""

    def __init__(self, log: deque[LogEntry], replay: Replay, later: Iterable[str]) -> None:
        super().__init__(log, log.maxlen)
        self._replay, self._later = replay, list(later)

    def append(self, entry: LogEntry) -> None:
        super().append(entry)
        signed_in = entry.kind == "token" and entry.outcome == "success"
        if signed_in and entry.user.lower() == self._replay.case.login.lower():
            while self._later:
                self._replay.scenarios.start(self._later.pop(0))


def _case(settings: dict[str, Any]) -> Case:
    firm, account = settings.get("firm"), settings.get("account")
    if not isinstance(firm, dict) or not isinstance(account, dict):
        raise BundleError("unreadable")
    address = str(account.get("address") or "")
    login = str(account.get("login") or address)
    name = " ".join(str(firm.get("name") or "").split())[:100]
    if not (
        name and name.isprintable() and _ADDRESS.fullmatch(address) and _ADDRESS.fullmatch(login)
    ):
        raise BundleError("unreadable")
    tenant, client_id = str(firm.get("tenant") or ""), str(firm.get("client_id") or "")
    uri = str(firm.get("redirect_uri") or "")
    kind: Kind = "imap" if account.get("retrieve") == "imap" else "pop3"
    if firm.get("access") == "app-only":
        kind = "app-only"
    elif login.lower() != address.lower():
        kind = "shared"
    return Case(
        firm=name,
        tenant=tenant if _GUID.fullmatch(tenant) else "",
        client_id=client_id if _GUID.fullmatch(client_id) else "",
        redirect_uri=uri if _LOCAL_URI.fullmatch(uri) else "http://localhost",
        has_secret=firm.get("has_secret") is not False,
        address=address,
        login=login,
        kind=kind,
    )


def _set_up(state: PracticeState, case: Case) -> None:
    """Turn the first of the practice tenants into the tenant of the case, and remove the others."""
    tenant = next(iter(state.tenants.values()))
    state.tenants.clear()
    tenant.name, tenant.domain = case.firm, case.address.rpartition("@")[2].lower()
    tenant.tenant_id = case.tenant.lower() or tenant.tenant_id
    web, desktop, service = tenant.apps
    first = service if case.kind == "app-only" else web if case.has_secret else desktop
    tenant.apps.sort(key=lambda app: app is not first)
    first.app_id = case.client_id.lower() or first.app_id
    if first is web:
        web.web_redirect_uris = [case.redirect_uri]
    if first is desktop:
        desktop.public_client_redirect_uris = [case.redirect_uri]
    tenant.users.clear()
    tenant.mailboxes.clear()
    _add_user(tenant, f"admin@{tenant.domain}", admin=True)
    if case.login.lower() not in tenant.users:
        _add_user(tenant, case.login)
    own = case.login.lower() == case.address.lower()
    if case.kind == "app-only" or not own:
        service_id = tenant.principals[-1].object_id
        tenant.mailboxes[case.address.lower()] = Mailbox(
            case.address,
            kind="user" if own else "shared",
            full_access={case.login.lower(), service_id},
            send_as={case.login.lower(), service_id},
            _load=typical,
        )
    state.add(tenant)


def _add_user(tenant: Tenant, upn: str, *, admin: bool = False) -> None:
    word = secrets.choice(("anchor", "basalt", "cedar", "dune", "ember", "fjord", "granite"))
    password = f"replay-{word}-{secrets.randbelow(9000) + 1000}"
    tenant.users[upn.lower()] = User(upn, upn.partition("@")[0], password, admin=admin)
    tenant.mailboxes[upn.lower()] = Mailbox(upn, _load=typical)


def _choose(findings: Iterable[dict[str, Any]], case: Case) -> Iterator[ReplayedFinding]:
    """Choose a scenario for each finding that was not in order; one that explains several is started once."""
    rows = list(findings)
    passed = {row.get("check") for row in rows if row.get("signal") == "passed"}
    broken = [
        (str(row.get("check", "")), str(row["cause"]))
        for row in rows
        if row.get("cause") and row.get("signal") in ("failed", "warning", "error")
    ]
    chosen: list[Scenario] = []
    for check, cause in broken:
        if any(other.cause == cause and _fits(other, check) for other in chosen):
            continue
        scenario = _best_scenario(check, cause, case, broken, passed, chosen)
        if scenario is None:
            yield ReplayedFinding(check, cause, "")
            continue
        chosen.append(scenario)
        in_endpoints_file = any(p.startswith(("noted.", "endpoint.")) for p in scenario.set)
        later = check in _AFTER_SIGN_IN and case.kind != "app-only" and not in_endpoints_file
        yield ReplayedFinding(check, cause, _with_aim(scenario, case), later)


def _best_scenario(
    check: str,
    cause: str,
    case: Case,
    broken: list[tuple[str, str]],
    passed: set[Any],
    chosen: list[Scenario],
) -> Scenario | None:
    """The scenario that breaks the checks that failed, and as few as possible of those that passed."""
    set_before = {path for scenario in chosen for path in scenario.set}

    def score(scenario: Scenario) -> tuple[int, int]:
        hits = sum(other == cause and _fits(scenario, at) for at, other in broken)
        misses = sum(at in passed and _fits(scenario, at) for at in _LOGINS)
        return hits - misses, scenario.account == case.kind

    candidates = [
        scenario
        for scenario in scenarios()
        if scenario.cause == cause
        and scenario.set
        and scenario.shows in ("diagnose", "send", "sign-in")
        and scenario.account in ("pop3", case.kind)
        and _fits(scenario, check)
        and not set_before & set(scenario.set)
    ]
    # A scenario of the sign-in itself fits only a user who has not signed in yet.
    candidates.sort(
        key=lambda scenario: (scenario.shows == "sign-in") == (check == "sign-in.present"),
        reverse=True,
    )
    return max(candidates, key=score, default=None)


def _fits(scenario: Scenario, check: str) -> bool:
    """Whether one of the scenario's settings can break that check."""
    for beginning, pattern in _BREAKING_SETTINGS.items():
        if check.startswith(beginning):
            return any(re.match(pattern, path) for path in scenario.set)
    return False


def _with_aim(scenario: Scenario, case: Case) -> str:
    """The scenario's name, aimed at the one account where that is possible, so that it spares the administrator."""
    areas = {path.partition(".")[0] for path in scenario.set}
    if areas <= {"user", "policy", "account"}:
        return f"{scenario.name}@{case.login}"
    return f"{scenario.name}@{case.address}" if areas == {"mailbox"} else scenario.name
