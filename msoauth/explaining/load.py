"""The catalogue, read from its TOML files once."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from msoauth.texts import language


@dataclass(frozen=True, slots=True)
class Cause:
    """An entry of the catalogue of causes.

    Attributes:
        who: Who can mend it: ``user``, ``tenant-admin``, ``consultant``, ``microsoft``, or ``""``.
        links: Names of deep links, filled in for a firm.
    """

    id: str
    who: str
    title: str
    meaning: str
    fix: tuple[str, ...]
    powershell: tuple[str, ...]
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """Wordings by which a cause is known. A higher weight wins; see the catalogue for the scale.

    Attributes:
        says: Phrases; ``…`` in one stands for up to 80 characters, ``……`` for up to 400, ``{one|another}`` for either.
            There are no regular expressions in the catalogue, so that none can run away.
    """

    cause: str
    says: tuple[str, ...]
    weight: int
    source: str
    example: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Notions that, met in one sentence, make a cause; one of `without` in it speaks against that."""

    cause: str
    needs: tuple[str, ...]
    without: tuple[str, ...]
    weight: int
    example: str


@dataclass(frozen=True, slots=True)
class Context:
    """What stands around a reply and makes its cause another: one of `beside`, one of `also` if any, none of `unless`."""

    cause: str
    beside: tuple[str, ...]
    also: tuple[str, ...]
    unless: tuple[str, ...]
    becomes: str
    example: str


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(
        files("msoauth.explaining").joinpath("catalogue", name).read_text(encoding="utf-8")
    )


def causes() -> Mapping[str, Cause]:
    """Every cause by its id, in the language in force."""
    return _causes(language())


@cache
def _causes(spoken: str) -> Mapping[str, Cause]:
    return {
        name: Cause(
            id=name,
            who=entry["who"],
            title=words["title"],
            meaning=words["meaning"],
            fix=tuple(words["fix"]),
            powershell=tuple(entry.get("powershell", ())),
            links=tuple(entry.get("links", ())),
        )
        for name, entry in _table("causes.toml").items()
        for words in (entry.get(spoken, entry),)
    }


@cache
def codes() -> Mapping[int, str]:
    """Cause by AADSTS number."""
    return {
        number: cause
        for cause, numbers in _table("codes.toml")["causes"].items()
        for number in numbers
    }


@cache
def weak_codes() -> frozenset[int]:
    """Numbers that only wrap another one, and give way to it."""
    return frozenset(_table("codes.toml")["weak"])


@cache
def signatures() -> tuple[Signature, ...]:
    """Every signature of every ``signatures-*.toml``."""
    return tuple(
        Signature(
            cause=entry["cause"],
            says=tuple(entry["says"]),
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
def notions() -> Mapping[str, tuple[str, ...]]:
    """The stems that tell of each notion, in lower case; `don't` also as the hasty write it."""
    return {
        name: tuple(dict.fromkeys((*stems, *(stem.replace("n't", "nt") for stem in stems))))
        for name, stems in _table("notions.toml")["notions"].items()
    }


@cache
def rules() -> tuple[Rule, ...]:
    """Which notions make which cause."""
    return tuple(
        Rule(
            cause=entry["cause"],
            needs=tuple(entry["needs"]),
            without=tuple(entry.get("not", ())),
            weight=entry["weight"],
            example=entry["example"],
        )
        for entry in _table("notions.toml")["rule"]
    )


@cache
def contexts() -> tuple[Context, ...]:
    """What makes a cause another, in order."""
    return tuple(
        Context(
            cause=entry["cause"],
            beside=tuple(entry["beside"]),
            also=tuple(entry.get("with", ())),
            unless=tuple(entry.get("unless", ())),
            becomes=entry["becomes"],
            example=entry["example"],
        )
        for entry in _table("contexts.toml")["context"]
    )
