"""Named states that go wrong the way customers' tenants do: each a sentence, a cause, and the settings it sets."""

import tomllib
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from msoauth.practice.state import Firm, World

if TYPE_CHECKING:
    from msoauth.practice.server import PracticeTenant


@dataclass(frozen=True, slots=True)
class Scenario:
    """A state that goes wrong.

    Attributes:
        says: One sentence for people.
        cause: What it must be diagnosed as, an id of the catalogue of causes.
        set: Settings by path, such as ``mailbox.pop_enabled``, and their values.
    """

    name: str
    says: str
    cause: str
    set: dict[str, Any]


@cache
def scenarios() -> tuple[Scenario, ...]:
    """All scenarios, in the order of the file."""
    text = files("msoauth.practice").joinpath("scenarios.toml").read_text(encoding="utf-8")
    return tuple(
        Scenario(name, table["says"], table["cause"], table["set"])
        for name, table in tomllib.loads(text).items()
    )


def apply(
    tenant: "PracticeTenant", name: str, *, firm: str | None = None, account: str | None = None
) -> None:
    """Bring a scenario about.

    Args:
        firm: Only in this tenant (name or domain); None for all.
        account: Only for this address; None for every account.

    Raises:
        KeyError: there is no such scenario.
    """
    found = next((known for known in scenarios() if known.name == name), None)
    if found is None:
        raise KeyError(name)
    for candidate in tenant.world.firms.values():
        if firm is None or firm in (candidate.name, candidate.domain):
            for path, value in found.set.items():
                _set(tenant.world, candidate, path, value, account)
    for path, value in found.set.items():
        area, _dot, field = path.partition(".")
        if area == "endpoint":
            tenant.endpoints[field] = {**tenant.endpoints[field], **value}


def _set(world: World, firm: Firm, path: str, value: Any, account: str | None) -> None:
    area, _dot, name = path.partition(".")
    now = world.clock
    if area == "clock":
        world.clock.offset = timedelta(days=value)
    elif area == "fault":
        world.faults[name] = value
    elif area == "secret":
        for secret in firm.app.secrets:
            if name == "ended_days_ago":
                secret.end = now.now() - timedelta(days=value)
            else:
                secret.value = f"{secret.value[::-1]}"
    elif area in ("user", "mailbox"):
        things: Any = firm.users.values() if area == "user" else firm.mailboxes.values()
        for thing in things:
            if account is None or account.lower() in (
                getattr(thing, "upn", "").lower(),
                getattr(thing, "address", "").lower(),
            ):
                setattr(
                    thing,
                    name,
                    now.time() + value if name in ("locked_until", "tokens_valid_from") else value,
                )
    elif area != "endpoint":  # those are a matter of the endpoints file
        owner = {
            "app": firm.app,
            "principal": firm.principal,
            "policies": firm.policies,
            "organisation": firm,
        }[area]
        setattr(owner, name, value)
