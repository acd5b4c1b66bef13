"""Scenarios: problems that customers' tenants have, each with its name, its cause and the settings that produce it."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from msoauth.practice.endpoints import EndpointsFile
from msoauth.practice.registrations import new_id
from msoauth.practice.scenario_settings import AREAS, Change, Reach, Undo
from msoauth.practice.state import PracticeState, Tenant

Shows = Literal[
    "diagnose",
    "sign-in",
    "renewal",
    "paste",
    "device",
    "send",
    "fetch",
    "arrival",
    "graph",
    "password",
]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A problem that a practice tenant can reproduce.

    Attributes:
        says: One sentence for people.
        cause: What it must be diagnosed as, an id of the catalogue of causes; None for what must work all the same.
        set: Settings by path, such as ``mailbox.pop_enabled``, and their values.
        shows: Where it shows first: in a diagnosis after an earlier sign-in, already during one (in the browser, with a
            pasted redirect URL, or by device code), in a diagnosis after a sign-in made under it (``renewal``), at
            the test mail, when mail is retrieved (``fetch``), when the test mail is waited for (``arrival``), when an
            administrator reads Graph, or in a program that sends passwords.
        account: Which kind of account meets it: a user's own mailbox over ``pop3`` or ``imap``, a ``shared`` one,
            one that an app opens without a user (``app-only``), or one whose user signed in by ``device`` code.
        do: What a person has to do before it shows, or empty.
    """

    name: str
    says: str
    cause: str | None = None
    set: dict[str, Any] = field(default_factory=dict)
    shows: Shows = "diagnose"
    account: Literal["pop3", "imap", "shared", "app-only", "device"] = "pop3"
    do: str = ""

    @property
    def reach(self) -> Reach:
        """The narrowest target that it can have: one account, one tenant, or only everybody."""
        return max(
            (AREAS[path.partition(".")[0]].reach for path in self.set), default=Reach.ACCOUNT
        )


class ScenarioError(ValueError):
    """There is no such scenario, or its target does not exist.

    Attributes:
        problem: ``name`` (no such scenario), ``aim`` (no such tenant or account), or ``narrow`` (this scenario
            affects more than was aimed at).
        name: The requested scenario.
        aim: The tenant or account, or empty.
        near: Scenarios or accounts with a similar name.
        reach: The narrowest target that the scenario can have.
    """

    def __init__(
        self,
        problem: Literal["name", "aim", "narrow"],
        name: str,
        aim: str = "",
        near: Sequence[str] = (),
        reach: Reach = Reach.ACCOUNT,
    ) -> None:
        super().__init__(f"{problem}: {name}@{aim}")
        self.problem, self.name, self.aim = problem, name, aim
        self.near, self.reach = tuple(near), reach


@dataclass(frozen=True, slots=True)
class AimedScenario:
    """A scenario and its targets: tenants, and one account in them (None: all accounts)."""

    scenario: Scenario
    tenants: tuple[Tenant, ...]
    account: str | None


@dataclass(frozen=True, slots=True)
class RunningScenario:
    """A scenario that was started: its text, and the functions that end it and check it.

    Attributes:
        still_broken: Whether the problem is still there: False once one of its settings was fixed for everybody.
    """

    text: str
    scenario: Scenario
    take_back: Callable[[], None]
    still_broken: Callable[[], bool]
    id: str = field(default_factory=new_id)


@cache
def scenarios() -> tuple[Scenario, ...]:
    """All scenarios, in the order of the file."""
    text = files("msoauth.practice").joinpath("scenarios.toml").read_text(encoding="utf-8")
    return tuple(Scenario(name, **table) for name, table in tomllib.loads(text).items())


def find_scenario(state: PracticeState, text: str) -> AimedScenario:
    """Find the scenario that ``NAME`` or ``NAME@AIM`` names; AIM is an address, or a tenant's name, domain or id.

    Raises:
        ScenarioError: there is no such scenario, tenant or account, or it cannot be aimed so narrowly.
    """
    name, at, aim = (part.strip() for part in text.partition("@"))
    scenario = next((candidate for candidate in scenarios() if candidate.name == name), None)
    if scenario is None:
        near = get_close_matches(name, [candidate.name for candidate in scenarios()], 3, 0.5)
        raise ScenarioError("name", name, aim, near)
    if not at:
        return AimedScenario(scenario, tuple(state.tenants.values()), None)
    target = aim.lower()
    tenant = next((f for f in state.tenants.values() if target == f.name.lower()), None)
    tenant = tenant or state.tenant(aim)
    if tenant is not None:
        if scenario.reach > Reach.FIRM:
            raise ScenarioError("narrow", name, aim, reach=scenario.reach)
        return AimedScenario(scenario, (tenant,), None)
    tenant = state.tenant_of_address(aim)
    if tenant is None or (tenant.user(target) is None and tenant.mailbox(target) is None):
        names = [f.name for f in state.tenants.values()]
        names += [address for f in state.tenants.values() for address in f.mailboxes]
        raise ScenarioError("aim", name, aim, get_close_matches(aim, names[:5000], 3, 0.5))
    if scenario.reach > Reach.ACCOUNT:
        raise ScenarioError("narrow", name, aim, reach=scenario.reach)
    return AimedScenario(scenario, (tenant,), target)


class RunningScenarios:
    """The scenarios that are running in a practice tenant.

    Attributes:
        state: The state that they change.
        endpoints: The endpoints file, which some of them change.
        active: The running scenarios, in the order in which they were started.
    """

    def __init__(self, state: PracticeState, endpoints: EndpointsFile) -> None:
        self.state = state
        self.endpoints = endpoints
        self.active: list[RunningScenario] = []

    def start(self, text: str) -> Callable[[], None]:
        """Start ``NAME`` or ``NAME@AIM``; returns the function that ends it.

        Raises:
            ScenarioError: as :func:`find_scenario`.
        """
        aimed = find_scenario(self.state, text)
        everybody = len(aimed.tenants) == len(self.state.tenants) and aimed.account is None
        # For each setting, an Undo for every account or tenant that it was applied to.
        settings: list[list[Undo]] = []
        for path, value in aimed.scenario.set.items():
            area, _dot, name = path.partition(".")
            settings.append([])
            for tenant in (
                aimed.tenants if AREAS[area].reach < Reach.EVERYBODY else aimed.tenants[:1]
            ):
                change = Change(
                    self.state,
                    self.endpoints,
                    tenant,
                    aimed.account,
                    name,
                    value,
                    everybody=everybody,
                )
                settings[-1] += AREAS[area].apply(change)
        self.endpoints.write()

        def take_back() -> None:
            for undo in reversed([undo for setting in settings for undo in setting]):
                undo.undo()
            self.active[:] = [other for other in self.active if other is not running]
            self.endpoints.write()

        def still_broken() -> bool:
            return all(any(undo.still_set() for undo in setting) for setting in settings)

        running = RunningScenario(text, aimed.scenario, take_back, still_broken)
        self.active.append(running)
        return take_back
