"""Scenarios: named troubles as customers' tenants have them, each with its cause and the settings that bring it about."""

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

Shows = Literal["diagnose", "sign-in", "paste", "device", "send", "graph", "password"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of trouble that a practice tenant can be put into.

    Attributes:
        says: One sentence for people.
        cause: What it must be diagnosed as, an id of the catalogue of causes.
        set: Settings by path, such as ``mailbox.pop_enabled``, and their values.
        shows: Where it shows first: to who diagnoses after a sign-in, or already during one (in the browser,
            by a pasted address, by device code), at the test mail, to an administrator's reading of Graph, or
            to a program that sends passwords.
        account: Which kind of account meets it: a user's own mailbox over ``pop3`` or ``imap``, a ``shared`` one,
            one that an app opens without a user (``app-only``), or one whose user signed in by ``device`` code.
        do: What a person has to do for it to show, or empty.
    """

    name: str
    says: str
    cause: str
    set: dict[str, Any] = field(default_factory=dict)
    shows: Shows = "diagnose"
    account: Literal["pop3", "imap", "shared", "app-only", "device"] = "pop3"
    do: str = ""

    @property
    def reach(self) -> Reach:
        """The narrowest that it can be aimed at: one account, one tenant, or only everybody."""
        return max(
            (AREAS[path.partition(".")[0]].reach for path in self.set), default=Reach.ACCOUNT
        )


class ScenarioError(ValueError):
    """There is no such scenario, or its target does not exist.

    Attributes:
        problem: ``name`` (no such scenario), ``aim`` (no such tenant or account), or ``narrow`` (this scenario
            affects more than was aimed at).
        name: The scenario that was asked for.
        aim: The tenant or account, or empty.
        near: Scenarios or accounts of a similar name.
        reach: The narrowest that the scenario can be aimed at.
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
        still_broken: Whether it still goes wrong: False once one of its settings was fixed for everybody.
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


def aimed(state: PracticeState, text: str) -> AimedScenario:
    """Find the scenario that ``NAME`` or ``NAME@AIM`` names; AIM is an address, or a tenant's name, domain or id.

    Raises:
        ScenarioError: there is no such scenario, tenant or account, or it cannot be aimed so narrowly.
    """
    name, at, aim = (part.strip() for part in text.partition("@"))
    scenario = next((known for known in scenarios() if known.name == name), None)
    if scenario is None:
        near = get_close_matches(name, [known.name for known in scenarios()], 3, 0.5)
        raise ScenarioError("name", name, aim, near)
    if not at:
        return AimedScenario(scenario, tuple(state.tenants.values()), None)
    wanted = aim.lower()
    tenant = next((f for f in state.tenants.values() if wanted == f.name.lower()), None)
    tenant = tenant or state.tenant(aim)
    if tenant is not None:
        if scenario.reach > Reach.FIRM:
            raise ScenarioError("narrow", name, aim, reach=scenario.reach)
        return AimedScenario(scenario, (tenant,), None)
    tenant = state.tenant_of_address(aim)
    if tenant is None or (tenant.user(wanted) is None and tenant.mailbox(wanted) is None):
        known = [f.name for f in state.tenants.values()]
        known += [address for f in state.tenants.values() for address in f.mailboxes]
        raise ScenarioError("aim", name, aim, get_close_matches(aim, known[:5000], 3, 0.5))
    if scenario.reach > Reach.ACCOUNT:
        raise ScenarioError("narrow", name, aim, reach=scenario.reach)
    return AimedScenario(scenario, (tenant,), wanted)


class RunningScenarios:
    """The scenarios that are on in a practice tenant.

    Attributes:
        state: What they change.
        endpoints: The endpoints file, which some of them change.
        active: In the order in which they were started.
    """

    def __init__(self, state: PracticeState, endpoints: EndpointsFile) -> None:
        self.state = state
        self.endpoints = endpoints
        self.active: list[RunningScenario] = []

    def start(self, text: str) -> Callable[[], None]:
        """Start ``NAME`` or ``NAME@AIM``; returns the function that ends it.

        Raises:
            ScenarioError: as :func:`aimed`.
        """
        asked = aimed(self.state, text)
        everybody = len(asked.tenants) == len(self.state.tenants) and asked.account is None
        settings: list[
            list[Undo]
        ] = []  # of every setting, what it set on how many accounts and tenants
        for path, value in asked.scenario.set.items():
            area, _dot, name = path.partition(".")
            settings.append([])
            for tenant in (
                asked.tenants if AREAS[area].reach < Reach.EVERYBODY else asked.tenants[:1]
            ):
                change = Change(
                    self.state,
                    self.endpoints,
                    tenant,
                    asked.account,
                    name,
                    value,
                    everybody=everybody,
                )
                settings[-1] += AREAS[area].act(change)
        self.endpoints.write()

        def take_back() -> None:
            for undo in reversed([undo for setting in settings for undo in setting]):
                undo.undo()
            self.active[:] = [other for other in self.active if other is not running]
            self.endpoints.write()

        def still_broken() -> bool:
            return all(any(undo.still_set() for undo in setting) for setting in settings)

        running = RunningScenario(text, asked.scenario, take_back, still_broken)
        self.active.append(running)
        return take_back
