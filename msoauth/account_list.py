"""Reads a list of a firm's mailboxes from pasted text, CSV or Excel, and adds its accounts to the workspace."""

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from pathlib import PurePath
from typing import Any

from msoauth.addresses import key, same
from msoauth.errors import InputError
from msoauth.identity import validation
from msoauth.mailbox_table import (
    MAX_CELL,
    MAX_COLUMNS,
    MOST_BYTES,
    Layout,
    Line,
    MailboxList,
    addresses_in,
    find_layout,
    parse_rows,
    too_big_error,
)
from msoauth.model import Account, Firm
from msoauth.redact import redact
from msoauth.store import Workspace
from msoauth.terminal import decode
from msoauth.texts import _

_SAMPLE = 200  # rows among which the column names are looked for
_SAMPLE_CHARACTERS = 1 << 16
# Of what an Excel file unpacks to: its parts, the bytes of each, and the tags, each of which takes some 70 bytes.
_MAX_PARTS, _MAX_XML, _MAX_TAGS = 2000, 32 << 20, 3_000_000
_CHUNK = 1 << 16


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
    address = _pasted(address)
    login = _pasted(login or "") or address
    for field, text in (("address", address), ("login", login)):
        if problem := validation.address_problem(text):
            raise InputError(problem, field=field)
    protocol = retrieve.strip().lower().removesuffix("4") or "pop3"
    if protocol not in ("pop3", "pop", "imap"):
        raise InputError(
            _("“{text}” is neither pop3 nor imap.").format(text=redact(retrieve, 40)),
            field="retrieve",
        )
    own_login = None if same(login, address) else login
    return Account(
        address, firm, login=own_login, protocol="imap" if protocol == "imap" else "pop3"
    )


def _pasted(text: str) -> str:
    """The address in what was pasted, perhaps with a display name; anything else as it is."""
    addresses = addresses_in(text)
    return addresses[0] if len(addresses) == 1 else validation.clean(text)


def read_text(text: str) -> MailboxList:
    """Read the lines of pasted text or of a CSV file.

    The first lines may name the columns, below a title, ``#TYPE`` or ``sep=;``. Without names the first address of a line
    is the mailbox and a second one the user who signs in; three or more are mailboxes each.

    Raises:
        InputError: the text is not CSV, names no addresses, or is too long.
    """
    if len(text) > MOST_BYTES:
        raise too_big_error()
    text = text.lstrip("\ufeff")
    sample = text[:_SAMPLE_CHARACTERS]
    if len(text) > len(sample) and "\n" in sample:
        sample = sample[: sample.rindex("\n")]  # a line that was cut could look like another one
    layouts = []
    for delimiter in "\t;,|":
        try:
            rows = [row for _number, row in islice(_csv_rows(sample, delimiter), _SAMPLE)]
        except csv.Error:
            continue  # such a cell is too long; with another delimiter it may not be
        layouts.append((find_layout(rows), delimiter))
    layout, delimiter = max(layouts, key=lambda pair: pair[0].score, default=(Layout(), ","))
    try:
        return parse_rows(_csv_rows(text, delimiter), layout)
    except csv.Error as error:
        raise InputError(
            _("This is not a list of lines and columns ({reason}).").format(reason=error)
        ) from None


def _csv_rows(text: str, delimiter: str) -> Iterator[tuple[int, Sequence[str]]]:
    """The rows of a CSV file, each with the number of its first line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    number = 1
    for row in reader:
        yield number, row
        number = reader.line_num + 1


def read_file(name: str, content: bytes) -> MailboxList:
    """Read the lines of a CSV or Excel file.

    Args:
        name: The file's name; its suffix determines the format.

    Raises:
        InputError: it is neither, or is empty, names no addresses, or is too big.
    """
    if len(content) > MOST_BYTES:
        raise too_big_error()
    is_excel = PurePath(name).suffix.lower() in (".xlsx", ".xlsm") or content[:4] == b"PK\3\4"
    try:
        lines = _read_excel(content) if is_excel else read_text(_checked(decode(content)))
    except InputError:
        raise
    except Exception:  # noqa: BLE001 - openpyxl raises whatever its zip and XML readers raise
        raise InputError(
            _("{file} cannot be read: it is neither a CSV nor an Excel file.").format(file=name)
        ) from None
    if not lines:
        raise InputError(_("{file} is empty.").format(file=name))
    return lines


def _checked(text: str) -> str:
    """The text of a file, unless it is a program's own format.

    Raises:
        ValueError: it is.
    """
    if "\0" in text:
        raise ValueError
    return text


def _read_excel(content: bytes) -> MailboxList:
    """Read the worksheet that lists mailboxes; hidden ones only if no other does."""
    import openpyxl  # imported lazily: only Excel files need it

    _check_excel(content)
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    try:
        layouts = [
            (sheet, find_layout([row for _number, row in islice(_excel_rows(sheet), _SAMPLE)]))
            for sheet in book.worksheets
        ]
        usable = [pair for pair in layouts if pair[1].kind and pair[0].sheet_state == "visible"]
        sheet, layout = max(usable or layouts, key=lambda pair: pair[1].kind)
        lines = parse_rows(_excel_rows(sheet), layout)
    finally:
        book.close()
    if len(book.worksheets) > 1:
        lines.recognized = _("Sheet “{name}”. {more}").format(
            name=sheet.title, more=lines.recognized
        )
    others = [
        other.title for other, found in usable if other is not sheet and found.kind == layout.kind
    ]
    if others:
        lines.doubts.append(
            _("Other sheets list mailboxes, too, and are not read: {names}.").format(
                names=", ".join(others)
            )
        )
    return lines


def _excel_rows(sheet: Any) -> Iterator[tuple[int, Sequence[str]]]:
    """The rows of a worksheet as texts, with their numbers."""
    for number, row in enumerate(sheet.iter_rows(values_only=True, max_col=MAX_COLUMNS), 1):
        yield number, ["" if cell is None else str(cell)[:MAX_CELL] for cell in row]


def _check_excel(content: bytes) -> None:
    """Check what an Excel file unpacks to, because openpyxl keeps much of it in memory.

    Raises:
        InputError: it is too much.
        ValueError: a part is packed in a way that no spreadsheet program uses.
    """
    # Counted before the list of parts is read, which is in memory as a whole.
    if content.count(b"PK\1\2") > _MAX_PARTS:
        raise too_big_error()
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
                        raise too_big_error()


def unlike_domains(workspace: Workspace, firm: Firm, addresses: Iterable[str]) -> list[str]:
    """A sentence about each domain that is nearly, but not quite, one of the firm's own.

    The firm's own domains are that of its tenant, those of its mailboxes in the workspace, and the one that most of
    the *addresses* have.
    """
    count = Counter(_domain(address) for address in addresses if "@" in address)
    own = {_domain(account.address) for account in workspace.accounts.list(firm.name)}
    if "." in firm.tenant:
        own.add(_domain(f"@{firm.tenant}"))
    if len(count) > 1 and count.most_common(2)[0][1] > count.most_common(2)[1][1]:
        own.add(count.most_common(1)[0][0])
    return [
        _("{domain} is nearly {own}; check it for a typing error.").format(domain=domain, own=near)
        for domain in sorted(count.keys() - own)
        if (near := next((name for name in sorted(own) if _is_nearly(domain, name)), ""))
    ]


def _domain(address: str) -> str:
    return key(validation.clean(address)).rpartition("@")[2]


def _is_nearly(domain: str, other: str) -> bool:
    """Whether two domains differ by what one or two slips of the finger make.

    Different endings of two letters are countries, and no slip.
    """
    labels, others = domain.split("."), other.split(".")
    if len(labels) != len(others):
        labels, others = [domain.replace(".", "")], [other.replace(".", "")]
    slips = 0
    for label, wanted in zip(labels, others):
        if label != wanted:
            longest = max(len(label), len(wanted))
            blocks = SequenceMatcher(None, label, wanted, autojunk=False).get_matching_blocks()
            differing = longest - sum(block.size for block in blocks)
            slips += 99 if longest < 3 else differing or 1
    return slips <= (1 if len(domain) < 10 else 2)


def add_all(workspace: Workspace, firm: str, lines: Iterable[Line]) -> Iterator[Outcome]:
    """Add the accounts of a list to a firm one by one; an invalid line does not stop the others.

    Yields:
        The result of each line, once its account is stored.
    """
    for line in lines:
        if line.problem:
            yield Outcome(line, None, line.problem)
            continue
        try:
            account = account_from_text(line.address, firm, line.login, line.retrieve)
            workspace.accounts.add(account)
        except InputError as error:
            yield Outcome(line, None, error.summary)
        else:
            yield Outcome(line, account)
