"""Reads the catalogue (causes, AADSTS codes, phrases, marks of providers) from its TOML files, once per process."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from msoauth.microsoft_changes import complete
from msoauth.texts import language


@dataclass(frozen=True, slots=True)
class Cause:
    """An entry of the catalogue of causes.

    Attributes:
        who: Who can fix it: ``user``, ``tenant-admin``, ``consultant``, ``microsoft``, or ``""``.
        links: Names of deep links (:mod:`msoauth.explaining.links`).
    """

    id: str
    who: str
    title: str
    meaning: str
    fix: tuple[str, ...]
    powershell: tuple[str, ...]
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """An entry of ``cases.toml``: the steps of a cause where more is known than the cause alone.

    Attributes:
        when: Conditions; see the head of the file.
        who: Who can take these steps; empty for the cause's own.
        powershell, links: None for the cause's own.
        possible: Further causes that it may have, the most likely first.
    """

    when: tuple[str, ...]
    fix: tuple[str, ...]
    who: str = ""
    powershell: tuple[str, ...] | None = None
    links: tuple[str, ...] | None = None
    possible: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """Phrases that identify a cause. The higher weight wins; its scale is in ``signatures-smtp.toml``.

    Attributes:
        says: Phrases; ``…`` in one stands for up to 80 characters, ``……`` for up to 400, ``{one|another}`` for either.
            The catalogue has no regular expressions, so that none can take exponential time.
        literal: More phrases, which only Microsoft's service says.
        source: Where the phrases are documented or were seen.
        example: A text that must be explained as this cause.
    """

    cause: str
    says: tuple[str, ...]
    literal: tuple[str, ...]
    weight: int
    source: str
    example: str


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(
        files("msoauth.explaining").joinpath("catalogue", name).read_text(encoding="utf-8")
    )


def causes() -> Mapping[str, Cause]:
    """All causes by id, in the current language; what they say of Microsoft's changes is right for today."""
    return _causes(language(), datetime.now(UTC).date())


@cache
def _causes(language_code: str, on: date) -> Mapping[str, Cause]:
    return {
        name: Cause(
            id=name,
            who=entry["who"],
            title=texts["title"],
            meaning=complete(texts["meaning"], on),
            fix=tuple(complete(step, on) for step in texts["fix"]),
            powershell=tuple(entry.get("powershell", ())),
            links=tuple(entry.get("links", ())),
        )
        for name, entry in _table("causes.toml").items()
        for texts in (entry.get(language_code, entry),)
    }


def cases(cause: str) -> tuple[Case, ...]:
    """The cases of a cause, in the current language; the first whose conditions hold counts."""
    return _cases(language()).get(cause, ())


@cache
def _cases(language_code: str) -> Mapping[str, tuple[Case, ...]]:
    return {
        cause: tuple(
            Case(
                when=tuple(entry["when"]),
                fix=tuple(entry.get(language_code, entry["fix"])),
                who=entry.get("who", ""),
                powershell=tuple(entry["powershell"]) if "powershell" in entry else None,
                links=tuple(entry["links"]) if "links" in entry else None,
                possible=tuple(entry.get("possible", ())),
            )
            for entry in entries
        )
        for cause, entries in _table("cases.toml").items()
    }


@cache
def codes() -> Mapping[int, str]:
    """The cause of each known AADSTS number."""
    return {
        number: cause
        for cause, numbers in _table("codes.toml")["causes"].items()
        for number in numbers
    }


@cache
def weak_codes() -> frozenset[int]:
    """AADSTS numbers that only wrap a more exact one, which takes precedence."""
    return frozenset(_table("codes.toml")["weak"])


@cache
def signatures() -> tuple[Signature, ...]:
    """Every signature of every ``signatures-*.toml``."""
    return tuple(
        Signature(
            cause=entry["cause"],
            says=tuple(entry.get("says", ())),
            literal=tuple(entry.get("literal", ())),
            weight=entry["weight"],
            source=entry["source"],
            example=entry["example"],
        )
        for name in sorted(
            file.name
            for file in files("msoauth.explaining").joinpath("catalogue").iterdir()
            if file.name.startswith("signatures-")
        )
        for entry in _table(name)["signature"]
    )


@cache
def providers() -> Mapping[str, tuple[tuple[str, Literal[1, 2, 3]], ...]]:
    """The marks of each provider, Microsoft included, each with its strength (:class:`msoauth.explaining.voices.Mark`)."""
    strengths: tuple[tuple[str, Literal[1, 2, 3]], ...] = (("says", 3), ("hosts", 2), ("names", 1))
    return {
        name: tuple((mark, strength) for kind, strength in strengths for mark in entry[kind])
        for name, entry in _table("providers.toml").items()
    }
