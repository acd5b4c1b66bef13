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
from msoauth.store import Workspace
from msoauth.texts import _

# Column names that people and Microsoft's exports use, in English and German; case does not matter.
_COLUMNS = {
    "address": ("address", "email", "e-mail", "mail", "mailbox", "primary smtp address", "primarysmtpaddress",
                "email address", "e-mail address", "adresse", "e-mail-adresse", "postfach"),
    "login": ("login", "upn", "user", "user principal name", "userprincipalname", "signs in as", "anmeldung",
              "benutzer", "benutzerprinzipalname"),
    "retrieve": ("retrieve", "protocol", "abruf", "protokoll"),
}  # fmt: skip
_ADDRESS = re.compile(r"[^\s<>;,\"'()]+@[^\s<>;,\"'()]+")
_LONGEST = 100_000  # lines; more than that is not a list of a firm's mailboxes


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list, not checked yet.

    Attributes:
        number: Counted from 1, as an editor or Excel shows it.
    """

    number: int
    address: str
    login: str = ""
    retrieve: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a line: the account that was added, or the problem."""

    line: Line
    account: Account | None
    problem: str = ""


def account_from_text(
    address: str, firm: str, login: str | None = None, retrieve: str = ""
) -> Account:
    """Make an account from texts that a person typed.

    Args:
        login: Who signs in; None or empty if that is the mailbox itself.
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
            _("“{text}” is neither pop3 nor imap.").format(text=retrieve[:40]), field="retrieve"
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
    filled = [line for line in text.splitlines() if line.strip()]
    if len(filled) == 1 and len(_ADDRESS.findall(filled[0])) > 1 and filled[0].count("@") > 2:
        return [Line(1, address) for address in _ADDRESS.findall(filled[0])]
    counts = {sign: filled[0].count(sign) for sign in "\t;,"} if filled else {}
    sign = max(counts, key=lambda s: counts[s]) if any(counts.values()) else ","
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=sign))
    except csv.Error as problem:
        raise InputError(
            _("This is not a list of lines and columns ({reason}).").format(reason=problem)
        ) from None
    return _lines(table)


def read_file(name: str, content: bytes) -> list[Line]:
    """Read the lines of a CSV or Excel file.

    Args:
        name: The file's name; its suffix tells the format.

    Raises:
        InputError: it is neither, or is empty.
    """
    is_excel = PurePath(name).suffix.lower() in (".xlsx", ".xlsm")
    try:
        lines = _lines(_excel(content)) if is_excel else read_text(_decoded(content))
    except InputError:
        raise
    except Exception:  # noqa: BLE001 - openpyxl raises whatever its zip and XML readers raise
        raise InputError(
            _("{file} cannot be read: it is neither a CSV nor an Excel file.").format(file=name)
        ) from None
    if not lines:
        raise InputError(_("{file} is empty.").format(file=name))
    return lines


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if b"\0" in content:
            raise
        return content.decode("cp1252")  # Excel's plain “CSV” on Western Windows


def _excel(content: bytes) -> list[list[str]]:
    import openpyxl  # only where an Excel file is

    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    try:
        rows = book.worksheets[0].iter_rows(values_only=True, max_row=_LONGEST)
        return [["" if cell is None else str(cell) for cell in row] for row in rows]
    finally:
        book.close()


def _lines(table: Sequence[Sequence[str]]) -> list[Line]:
    first = next((n for n, row in enumerate(table) if any(c.strip() for c in row)), None)
    if first is None:
        return []
    head = [cell.strip().lower() for cell in table[first]]
    named = {
        column: next(n for n, cell in enumerate(head) if cell in names)
        for column, names in _COLUMNS.items()
        if any(cell in names for cell in head)
    }
    if named and not any("@" in cell for cell in head):
        named.setdefault("address", named.get("login", 0))  # an export of users has only their UPNs
        body = range(first + 1, len(table))
    else:
        named, body = {"address": 0, "login": 1, "retrieve": 2}, range(first, len(table))
    lines = []
    for n in body[:_LONGEST]:
        cells = [cell.strip() for cell in table[n]]
        if any(cells):
            picked = {c: cells[at] for c, at in named.items() if at < len(cells)}
            lines.append(Line(n + 1, **{"address": "", **picked}))
    return lines


def add_all(workspace: Workspace, firm: str, lines: Iterable[Line]) -> Iterator[Outcome]:
    """Add the accounts of a list to a firm one by one; an invalid line does not stop the others.

    Yields:
        The result of each line, once its account is stored.
    """
    for line in lines:
        try:
            found = _ADDRESS.findall(line.address)
            written = found[0] if len(found) == 1 else line.address  # “Anna <anna@contoso.example>”
            account = account_from_text(written, firm, line.login, line.retrieve)
            workspace.accounts.add(account)
        except InputError as wrong:
            yield Outcome(line, None, wrong.summary)
        else:
            yield Outcome(line, account)
