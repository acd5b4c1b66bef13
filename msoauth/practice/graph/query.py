"""Read the OData options that readers of Graph use: $filter, $select, $top, $skiptoken, $count, $orderby, $search.

Some queries of directory objects are advanced: they want ``$count=true`` and ``ConsistencyLevel: eventual``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PAGE = 100  # rows of a page without $top
MAX_PAGE = 999
MAX_DEPTH = 20  # parentheses within parentheses of a filter

Row = dict[str, Any]
Scope = Mapping[str, Any]  # the row's properties, and inside any() the item under its variable
Test = Callable[[Scope], bool]

_OPTIONS = frozenset({"$filter", "$select", "$top", "$skiptoken", "$count", "$orderby", "$search"})
_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|[(),:]|\d[\w:.+-]*|[A-Za-z_$][\w/$.-]*|\S)")
_COMPARISONS = ("eq", "ne", "ge", "le", "gt", "lt")
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
}
_SEARCH = re.compile(r'\s*"(\w+):([^"]*)"\s*(?:(AND|OR)\s+)?')


class QueryError(Exception):
    """A query that Graph refuses as a bad request; the text is for the answer."""


class AdvancedQueryError(QueryError):
    """A query that wants ``$count=true`` and ``ConsistencyLevel: eventual`` beside it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is not supported because the required parameters might be missing. Try adding "
            "$count=true query parameter and ConsistencyLevel:eventual header. Refer to "
            "https://aka.ms/graph-docs/advanced-queries for more information."
        )


@dataclass(frozen=True, slots=True)
class Query:
    """The parsed query of a request.

    Attributes:
        order: The properties to sort by, and whether each descends.
        after: The id of the last row of the page before, with its place, where the next one begins.
        filtered_by: What the filter looks at, with the operator, function or ``any``.
    """

    test: Test
    select: tuple[str, ...] = ()
    top: int = PAGE
    after: str = ""
    count: bool = False
    order: tuple[tuple[str, bool], ...] = ()
    filtered_by: frozenset[tuple[str, str]] = frozenset()

    def page(self, rows: Sequence[Row]) -> tuple[list[Row], int, str | None]:
        """The rows of this page, how many there are in all, and the $skiptoken of the next page, if there is one.

        Rows that come to a list, or leave it, between two pages shift none out of them and into none twice.
        """
        matches = [row for row in rows if self.test(row)]
        for name, descends in reversed(self.order):
            matches.sort(key=lambda row: str(_get(row, name) or "").lower(), reverse=descends)
        last, _underscore, place = self.after.rpartition("_")
        there = (n for n, row in enumerate(matches, 1) if last and str(row.get("id")) == last)
        start = next(there, int(place or 0))
        end = start + self.top
        page = [self.select_properties(row) for row in matches[start:end]]
        more = end < len(matches)
        return page, len(matches), f"{matches[end - 1].get('id', '')}_{end}" if more else None

    def select_properties(self, row: Row) -> Row:
        """The properties that were selected; what a type does not have is left out."""
        if not self.select:
            return row
        return {name: row[name] for name in self.select if name in row}


def read(
    arguments: Mapping[str, str],
    *,
    advanced_allowed: bool,
    filterable: Mapping[str, frozenset[str]] | None = None,
    most: int = MAX_PAGE,
) -> Query:
    """Read the options of a request.

    Args:
        filterable: The properties by which the list can be filtered, with their operators; None for all.
        most: The rows that a page has at most.
        advanced_allowed: Whether the query may be an advanced one; always, when it is none of directory objects.

    Raises:
        QueryError: an option or a filter that this Graph does not know.
        AdvancedQueryError: it is an advanced query, and may not be one.
    """
    for name in arguments:
        if name.startswith("$") and name not in _OPTIONS:
            raise QueryError(f"Unrecognized query option '{name}'.")
    filtered = _Filter(arguments.get("$filter", ""))
    for name, operator in filtered.used:
        if filterable is not None and operator not in filterable.get(name, ()):
            raise QueryError(f"Invalid filter clause: '{operator}' of '{name[:60]}'.")
    order = tuple(_order(part) for part in arguments.get("$orderby", "").split(",") if part.strip())
    searched = _search(arguments.get("$search", ""))
    advanced = filtered.advanced
    if order and arguments.get("$filter", "").strip():
        advanced = advanced or "Sorting with a filter"
    if searched is not None:
        advanced = "Request with $search query parameter"
    if advanced and not advanced_allowed:
        raise AdvancedQueryError(advanced)
    return Query(
        test=lambda row: filtered.test(row) and (searched is None or searched(row)),
        select=tuple(n.strip() for n in arguments.get("$select", "").split(",") if n.strip()),
        top=_number(arguments, "$top", PAGE, 1, most),
        after=_skip_token(arguments.get("$skiptoken", "")),
        filtered_by=frozenset(filtered.used),
        count=counts(arguments),
        order=order,
    )


def counts(arguments: Mapping[str, str]) -> bool:
    """Whether the number of all rows is asked for."""
    return arguments.get("$count", "").lower() == "true"


def _order(part: str) -> tuple[str, bool]:
    match = re.fullmatch(r"\s*([\w/]+)(?:\s+(asc|desc))?\s*", part, re.IGNORECASE)
    if match is None:
        raise QueryError("Unsupported sort property for $orderby.")
    return match[1], (match[2] or "").lower() == "desc"


def _number(arguments: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = arguments.get(name, str(default))
    if not text.isdecimal() or len(text) > 10 or not least <= int(text) <= most:
        raise QueryError(f"Invalid value '{text[:20]}' for the query option '{name}'.")
    return int(text)


def _skip_token(text: str) -> str:
    if text and not re.fullmatch(r"[\w=-]{0,200}_\d{1,9}", text):
        raise QueryError(f"Invalid value '{text[:20]}' for the query option '$skiptoken'.")
    return text


def _search(text: str) -> Test | None:
    """The test of ``"displayName:anna" OR "mail:anna"``, whose words begin a word of the property."""
    if not text.strip():
        return None
    clauses: list[tuple[str, str, str]] = []
    at = 0
    while at < len(text):
        match = _SEARCH.match(text, at)
        if match is None or (match.end() == len(text)) == bool(match[3]):
            raise QueryError("Syntax error in the $search query option.")
        clauses.append((match[1], match[2], match[3] or ""))
        at = match.end()

    def test(row: Scope) -> bool:
        result, operator = True, "AND"
        for name, wanted, following in clauses:
            text = _words(str(_get(row, name) or ""))
            found = re.search(rf"(?:^|\s){re.escape(_words(wanted))}", text) is not None
            result = (result and found) if operator == "AND" else (result or found)
            operator = following
        return result

    return test


def _words(text: str) -> str:
    return " ".join(re.split(r"[\s@.,-]+", text.lower()))


class _Filter:
    """A $filter: ``or``, ``and``, ``not``, parentheses, comparisons, ``in``, functions, and ``any``.

    Attributes:
        test: Whether a row matches.
        advanced: What makes it an advanced query; empty when it is none.
        used: The properties that it looks at, with the operator, function or ``any``.
    """

    def __init__(self, text: str) -> None:
        self.advanced = ""
        self.used: set[tuple[str, str]] = set()
        self._tokens = _TOKEN.findall(text)
        self._depth = 0
        self.test: Test = self._either() if self._tokens else lambda _scope: True
        if self._tokens:
            raise _invalid()

    def _next(self, *wanted: str) -> str:
        """Take the next token, which is one of *wanted* if there are any."""
        if not self._tokens or (wanted and self._tokens[0].lower() not in wanted):
            raise _invalid()
        return str(self._tokens.pop(0))

    def _follows(self, token: str) -> bool:
        """Take the next token if it is this one."""
        if self._tokens and self._tokens[0].lower() == token:
            del self._tokens[0]
            return True
        return False

    def _either(self) -> Test:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _invalid()
        tests = [self._both()]
        while self._follows("or"):
            tests.append(self._both())
        self._depth -= 1
        return lambda scope: any(test(scope) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._follows("and"):
            tests.append(self._one())
        return lambda scope: all(test(scope) for test in tests)

    def _one(self) -> Test:
        if self._follows("not"):
            self.advanced = "Operator 'Not'"
            negated = self._one()
            return lambda scope: not negated(scope)
        if self._follows("("):
            inner = self._either()
            self._next(")")
            return inner
        name = self._next()
        if name.lower() in _FUNCTIONS and self._follows("("):
            return self._function(name.lower())
        if name.lower().endswith("/any") and self._follows("("):
            return self._any(name[: -len("/any")])
        if not re.fullmatch(r"[\w/]+(?:/\$count)?", name):
            raise _invalid()
        if self._follows("in"):
            self.used.add((name, "in"))
            values = self._list()
            return lambda scope: any(_equal(_get(scope, name), value) for value in values)
        return self._comparison(name)

    def _function(self, function: str) -> Test:
        name = self._next()
        self.used.add((name, function))
        self._next(",")
        wanted = str(_value(self._next())).lower()
        self._next(")")
        if function == "endswith":
            self.advanced = "Operator 'endsWith'"
        if self._follows("eq"):
            self._next("true")
        holds = _FUNCTIONS[function]
        return lambda scope: holds(str(_get(scope, name) or "").lower(), wanted)

    def _any(self, name: str) -> Test:
        variable = self._next()
        self._next(":")
        outside = {*self.used, (name, "any")}
        inner = self._either()
        self.used = outside
        self._next(")")
        return lambda scope: any(
            inner({**scope, variable: item}) for item in _get(scope, name) or ()
        )

    def _list(self) -> list[Any]:
        self._next("(")
        values = [_value(self._next())]
        while self._follows(","):
            values.append(_value(self._next()))
        self._next(")")
        return values

    def _comparison(self, name: str) -> Test:
        operator, operand = self._next(*_COMPARISONS).lower(), _value(self._next())
        self.used.add((name, operator))
        if operator == "ne" or name.endswith("/$count"):
            self.advanced = "Operator 'Ne'" if operator == "ne" else "Filter on $count"
        if operator == "eq":
            return lambda scope: _equal(_get(scope, name), operand)
        if operator == "ne":
            return lambda scope: not _equal(_get(scope, name), operand)
        return lambda scope: _compare(str(_get(scope, name)), operator, str(operand))


def _invalid() -> QueryError:
    return QueryError("Invalid filter clause")


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


def _get(scope: Scope, path: str) -> Any:
    value: Any = scope
    for name in path.split("/"):
        if name == "$count" and isinstance(value, Sequence):
            return str(len(value))
        if not isinstance(value, Mapping) or name not in value:
            raise QueryError(f"Invalid filter clause: no property '{path[:60]}'.")
        value = value[name]
    return value


def _value(text: str) -> Any:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if not re.fullmatch(r"[\w:.+-]+", text):
        raise _invalid()
    return {"true": True, "false": False, "null": None}.get(text.lower(), text)
