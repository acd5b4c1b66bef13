"""Reads a list of a firm's mailboxes from pasted text, CSV or Excel, and adds its accounts to the workspace."""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
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
_WORD = re.compile(r"[^\s<>;,\"'()]+")
_MAX_LINES = 100_000  # a longer list is not one of a firm's mailboxes
_MAX_COLUMNS = 256
_MAX_CELL = 1000  # characters; an address has at most 320
MOST_BYTES = 16 << 20  # of a file
# Of what an Excel file unpacks to: its parts, the bytes of each, and the tags, each of which takes some 70 bytes.
_MAX_PARTS, _MAX_XML, _MAX_TAGS = 2000, 32 << 20, 3_000_000
_CHUNK = 1 << 16


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
        InputError: the text is not CSV, or too long.
    """
    if len(text) > MOST_BYTES:
        raise _too_big_error()
    first, second, *_rest = [*islice(filter(str.strip, io.StringIO(text)), 2), "", ""]
    if not second and first.count("@") > 2 and len(addresses := _addresses(first)) > 1:
        if len(addresses) > _MAX_LINES:
            raise _too_big_error()
        return [Line(1, address) for address in addresses]
    counts = {delimiter: first.count(delimiter) for delimiter in "\t;,"}
    delimiter = max(counts, key=lambda d: counts[d]) if any(counts.values()) else ","
    try:
        return _parse_rows(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(
            _("This is not a list of lines and columns ({reason}).").format(reason=error)
        ) from None


def _addresses(text: str) -> list[str]:
    """What looks like addresses in a text. One expression for them would take the square of the text's length."""
    return [word for word in _WORD.findall(text) if "@" in word[1:-1]]


def read_file(name: str, content: bytes) -> list[Line]:
    """Read the lines of a CSV or Excel file.

    Args:
        name: The file's name; its suffix determines the format.

    Raises:
        InputError: it is neither, or is empty, or too big.
    """
    if len(content) > MOST_BYTES:
        raise _too_big_error()
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


def _excel_rows(content: bytes) -> Iterator[list[str]]:
    """The cells of the first worksheet as texts."""
    import openpyxl  # imported lazily: only Excel files need it

    _check_excel(content)
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    try:
        rows = book.worksheets[0].iter_rows(values_only=True, max_col=_MAX_COLUMNS)
        for row in rows:
            yield ["" if cell is None else str(cell)[:_MAX_CELL] for cell in row]
    finally:
        book.close()


def _check_excel(content: bytes) -> None:
    """Check what an Excel file unpacks to, because openpyxl keeps much of it in memory.

    Raises:
        InputError: it is too much.
        ValueError: a part is packed in a way that no spreadsheet program uses.
    """
    # Counted before the list of parts is read, which is in memory as a whole.
    if content.count(b"PK\1\2") > _MAX_PARTS:
        raise _too_big_error()
    tags = {True: 0, False: 0}  # in worksheets, of which one is read, and in all other parts
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        for part in book.infolist():
            if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(part.filename)  # bzip2 and LZMA unpack a chunk to its end
            if not part.filename.lower().endswith((".xml", ".rels")):
                continue  # pictures and the like, which nobody reads
            size, in_sheet = 0, "/worksheets/" in part.filename
            tags[in_sheet] = 0 if in_sheet else tags[in_sheet]
            with book.open(part) as xml:
                while chunk := xml.read(_CHUNK):
                    size += len(chunk)
                    tags[in_sheet] += chunk.count(b"<")
                    if size > _MAX_XML or tags[in_sheet] > _MAX_TAGS:
                        raise _too_big_error()


def _too_big_error() -> InputError:
    return InputError(
        _("The list is too big: at most {lines} lines and {megabytes} MB can be read.").format(
            lines=f"{_MAX_LINES:,}", megabytes=MOST_BYTES >> 20
        )
    )


def _parse_rows(rows: Iterable[Sequence[str]]) -> list[Line]:
    """Turn rows of cells into lines; the first row may name the columns.

    Raises:
        InputError: there are too many.
    """
    columns: dict[str, int] = {}
    lines = []
    for number, row in enumerate(rows, 1):
        if number > _MAX_LINES:
            raise _too_big_error()
        if not any(cell and not cell.isspace() for cell in row):
            continue
        if not columns:
            columns = _named_columns([cell[:_MAX_CELL].strip().lower() for cell in row])
            if columns:
                continue
            columns = {"address": 0, "login": 1, "retrieve": 2}
        values = {c: row[i][:_MAX_CELL].strip() for c, i in columns.items() if i < len(row)}
        lines.append(Line(number, **{"address": "", **values}))
    return lines


def _named_columns(head: list[str]) -> dict[str, int]:
    """The columns that a first row names; none when it is a line of the list itself."""
    columns = {
        column: next(n for n, cell in enumerate(head) if cell in names)
        for column, names in _COLUMNS.items()
        if any(cell in names for cell in head)
    }
    if columns and not any("@" in cell for cell in head):
        # An export of users has their UPNs only.
        columns.setdefault("address", columns.get("login", 0))
        return columns
    return {}


def add_all(workspace: Workspace, firm: str, lines: Iterable[Line]) -> Iterator[Outcome]:
    """Add the accounts of a list to a firm one by one; an invalid line does not stop the others.

    Yields:
        The result of each line, once its account is stored.
    """
    for line in lines:
        try:
            addresses = _addresses(line.address)
            # The address may have a display name: “Anna <anna@contoso.example>”.
            address = addresses[0] if len(addresses) == 1 else line.address
            account = account_from_text(address, firm, line.login, line.retrieve)
            workspace.accounts.add(account)
        except InputError as error:
            yield Outcome(line, None, error.summary)
        else:
            yield Outcome(line, account)
