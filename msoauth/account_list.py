"""Reads a list of a firm's mailboxes from pasted text, CSV or Excel, and adds its accounts to the workspace."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from msoauth.errors import InputError
from msoauth.identity import validation
from msoauth.model import Account
from msoauth.redact import redact
from msoauth.store import Workspace
from msoauth.texts import _

# The column names of people's lists and of Microsoft's exports, in English and German; case does not matter.
_COLUMNS = {
    "address": ("address", "email", "e-mail", "mail", "mailbox", "primary smtp address", "primarysmtpaddress",
                "email address", "e-mail address", "adresse", "e-mail-adresse", "postfach"),
    "login": ("login", "upn", "user", "user principal name", "userprincipalname", "signs in as", "anmeldung",
              "benutzer", "benutzerprinzipalname"),
    "retrieve": ("retrieve", "protocol", "abruf", "protokoll"),
}  # fmt: skip
_ADDRESS = re.compile(r"[^\s<>;,\"'()]+@[^\s<>;,\"'()]+")
_MAX_LINES = 100_000  # a longer list is not one of a firm's mailboxes


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list, not yet validated.

    Attributes:
        number: The line's number, from 1, as an editor or Excel shows it.
    """

    number: int
    address: str
    login: str = ""
    retrieve: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of adding a line: the new account, or the problem."""

    line: Line
    account: Account | None
    problem: str = ""


def account_from_text(
    address: str, firm: str, login: str | None = None, retrieve: str = ""
) -> Account:
    """Create an account from what a person typed; nothing is stored.

    Args:
        login: The user who signs in; None or empty for the mailbox itself.
        retrieve: ``pop3`` or ``imap``; empty for ``pop3``.

    Raises:
        InputError: an address or the protocol is invalid.
    """
    address = validation.clean(address)
    login = validation.clean(login or "") or address
    for field, text in (("address", address), ("login", login)):
        if problem := validation.address_problem(text):
            raise InputError(problem, field=field)
    protocol = retrieve.strip().lower().removesuffix("4") or "pop3"
    if protocol not in ("pop3", "pop", "imap"):
        raise InputError(
            _("“{text}” is neither pop3 nor imap.").format(text=redact(retrieve, 40)),
            field="retrieve",
        )
    own_login = None if login.casefold() == address.casefold() else login
    return Account(
        address, firm, login=own_login, protocol="imap" if protocol == "imap" else "pop3"
    )


def read_text(text: str) -> list[Line]:
    """Read the lines of pasted text or of a CSV file.

    The first line may name the columns: ``address``, ``login`` and ``retrieve`` in any order, or the names in Microsoft's
    exports. Without names the columns are these three in this order. A single line may also list several addresses.

    Raises:
        InputError: the text is not CSV.
    """
    non_empty = [line for line in text.splitlines() if line.strip()]
    if (
        len(non_empty) == 1
        and len(_ADDRESS.findall(non_empty[0])) > 1
        and non_empty[0].count("@") > 2
    ):
        return [Line(1, address) for address in _ADDRESS.findall(non_empty[0])]
    counts = {delimiter: non_empty[0].count(delimiter) for delimiter in "\t;,"} if non_empty else {}
    delimiter = max(counts, key=lambda d: counts[d]) if any(counts.values()) else ","
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(
            _("This is not a list of lines and columns ({reason}).").format(reason=error)
        ) from None
    return _parse_rows(table)


def read_file(name: str, content: bytes) -> list[Line]:
    """Read the lines of a CSV or Excel file.

    Args:
        name: The file's name; its suffix determines the format.

    Raises:
        InputError: it is neither, or is empty.
    """
    is_excel = PurePath(name).suffix.lower() in (".xlsx", ".xlsm")
    try:
        lines = _parse_rows(_excel_rows(content)) if is_excel else read_text(_decode(content))
    except InputError:
        raise
    except Exception:  # noqa: BLE001 - openpyxl raises whatever its zip and XML readers raise
        raise InputError(
            _("{file} cannot be read: it is neither a CSV nor an Excel file.").format(file=name)
        ) from None
    if not lines:
        raise InputError(_("{file} is empty.").format(file=name))
    return lines


def _decode(content: bytes) -> str:
    """Decode a CSV file: UTF-16 with a byte order mark, UTF-8, or Windows-1252."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if b"\0" in content:
            raise
        return content.decode("cp1252")  # Excel's plain “CSV” format on Western European Windows


def _excel_rows(content: bytes) -> list[list[str]]:
    """The cells of the first worksheet as texts."""
    import openpyxl  # imported lazily: only Excel files need it

    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    try:
        rows = book.worksheets[0].iter_rows(values_only=True, max_row=_MAX_LINES)
        return [["" if cell is None else str(cell) for cell in row] for row in rows]
    finally:
        book.close()


def _parse_rows(table: Sequence[Sequence[str]]) -> list[Line]:
    """Turn rows of cells into lines; the first row may name the columns."""
    first_row = next((n for n, row in enumerate(table) if any(c.strip() for c in row)), None)
    if first_row is None:
        return []
    head = [cell.strip().lower() for cell in table[first_row]]
    columns = {
        column: next(n for n, cell in enumerate(head) if cell in names)
        for column, names in _COLUMNS.items()
        if any(cell in names for cell in head)
    }
    if columns and not any("@" in cell for cell in head):
        # An export of users has their UPNs only.
        columns.setdefault("address", columns.get("login", 0))
        rows = range(first_row + 1, len(table))
    else:
        columns, rows = {"address": 0, "login": 1, "retrieve": 2}, range(first_row, len(table))
    lines = []
    for n in rows[:_MAX_LINES]:
        cells = [cell.strip() for cell in table[n]]
        if any(cells):
            values = {c: cells[index] for c, index in columns.items() if index < len(cells)}
            lines.append(Line(n + 1, **{"address": "", **values}))
    return lines


def add_all(workspace: Workspace, firm: str, lines: Iterable[Line]) -> Iterator[Outcome]:
    """Add the accounts of a list to a firm one by one; an invalid line does not stop the others.

    Yields:
        The result of each line, once its account is stored.
    """
    for line in lines:
        try:
            addresses = _ADDRESS.findall(line.address)
            # The address may have a display name: “Anna <anna@contoso.example>”.
            address = addresses[0] if len(addresses) == 1 else line.address
            account = account_from_text(address, firm, line.login, line.retrieve)
            workspace.accounts.add(account)
        except InputError as error:
            yield Outcome(line, None, error.summary)
        else:
            yield Outcome(line, account)
