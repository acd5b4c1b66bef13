"""Read the OData options that readers of Graph use: $filter, $select, $top, $skiptoken, $count, $orderby (facts G)."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PAGE = 100  # rows of a page without $top
MAX_PAGE = 999

Row = dict[str, Any]
Test = Callable[[Mapping[str, Any]], bool]

_OPTIONS = frozenset({"$filter", "$select", "$top", "$skiptoken", "$count", "$orderby"})
_VALUE = r"('(?:[^']|'')*'|true|false|null|[\w:.+-]+)"
_COMPARE = re.compile(rf"([\w/]+)\s+(eq|ne|ge|le|gt|lt)\s+{_VALUE}", re.IGNORECASE)
_STARTS = re.compile(rf"startswith\(\s*([\w/]+)\s*,\s*{_VALUE}\s*\)", re.IGNORECASE)
_ANY = re.compile(rf"([\w/]+)/any\((\w+):\s*\2\s+eq\s+{_VALUE}\s*\)", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*$)", re.IGNORECASE)


class QueryError(Exception):
    """A query that Graph refuses as a bad request; the text is for the answer."""


@dataclass(frozen=True, slots=True)
class Query:
    """The parsed query of a request."""

    tests: tuple[Test, ...] = ()
    select: tuple[str, ...] = ()
    top: int = PAGE
    skip: int = 0
    count: bool = False
    newest_first: str = ""

    def page(self, rows: Sequence[Row]) -> tuple[list[Row], int, int | None]:
        """The rows of this page, how many there are in all, and where the next page begins."""
        matches = [row for row in rows if all(test(row) for test in self.tests)]
        if self.newest_first:
            matches.sort(key=lambda row: str(row.get(self.newest_first)), reverse=True)
        end = self.skip + self.top
        page = [self.select_properties(row) for row in matches[self.skip : end]]
        return page, len(matches), end if end < len(matches) else None

    def select_properties(self, row: Row) -> Row:
        """The properties that were selected; what a type does not have is left out."""
        if not self.select:
            return row
        return {name: row[name] for name in self.select if name in row}


def read(arguments: Mapping[str, str]) -> Query:
    """Read the options of a request.

    Raises:
        QueryError: an option or a filter that this Graph does not know.
    """
    for name in arguments:
        if name.startswith("$") and name not in _OPTIONS:
            raise QueryError(f"Unrecognized query option '{name}'.")
    order = re.fullmatch(r"\s*(\w+)\s+desc\s*", arguments.get("$orderby", "") or "id desc")
    if order is None:
        raise QueryError("Unsupported sort property for $orderby.")
    text = arguments.get("$filter", "")
    return Query(
        tests=tuple(_test(clause.strip()) for clause in _AND.split(text)) if text.strip() else (),
        select=tuple(n.strip() for n in arguments.get("$select", "").split(",") if n.strip()),
        top=_number(arguments, "$top", PAGE, 1, MAX_PAGE),
        skip=_number(arguments, "$skiptoken", 0, 0, 10**9),
        count=arguments.get("$count", "").lower() == "true",
        newest_first=order[1] if "$orderby" in arguments else "",
    )


def _number(arguments: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = arguments.get(name, str(default))
    if not text.isdecimal() or len(text) > 10 or not least <= int(text) <= most:
        raise QueryError(f"Invalid value '{text[:20]}' for the query option '{name}'.")
    return int(text)


def _test(clause: str) -> Test:
    if match := _ANY.fullmatch(clause):
        name, operand = match[1], _value(match[3])
        return lambda row: any(_equal(item, operand) for item in _get(row, name) or ())
    if match := _STARTS.fullmatch(clause):
        name, start = match[1], str(_value(match[2])).lower()
        return lambda row: str(_get(row, name) or "").lower().startswith(start)
    if match := _COMPARE.fullmatch(clause):
        name, operator, operand = match[1], match[2].lower(), _value(match[3])
        if operator == "eq":
            return lambda row: _equal(_get(row, name), operand)
        if operator == "ne":
            return lambda row: not _equal(_get(row, name), operand)
        return lambda row: _compare(str(_get(row, name)), operator, str(operand))
    raise QueryError("Invalid filter clause")


def _compare(value: str, operator: str, operand: str) -> bool:
    """Compare as text, which is right for times in ISO 8601."""
    return {
        "ge": value >= operand,
        "le": value <= operand,
        "gt": value > operand,
        "lt": value < operand,
    }[operator]


def _equal(value: Any, operand: Any) -> bool:
    if isinstance(value, str) and isinstance(operand, str):
        return value.lower() == operand.lower()
    return bool(value == operand)


def _get(row: Mapping[str, Any], path: str) -> Any:
    value: Any = row
    for name in path.split("/"):
        if not isinstance(value, Mapping) or name not in value:
            raise QueryError(f"Invalid filter clause: no property '{path[:60]}'.")
        value = value[name]
    return value


def _value(text: str) -> Any:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return {"true": True, "false": False, "null": None}.get(text.lower(), text)
