"""Recognizes which columns of a table hold mailboxes and the users who sign in, and parses the addresses in them.

Addresses are parsed by the standard library's ``email.utils``, which knows RFC 5322's display names, comments and quoted
strings and needs no further package; what it returns must then be a whole dot-atom of RFC 5321 and a domain. A list is
never searched for what looks like an address.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import getaddresses
from itertools import islice

from msoauth.errors import InputError
from msoauth.identity import validation
from msoauth.redact import redact
from msoauth.texts import _, ngettext

# The names of columns in people's lists and in the exports of Microsoft 365's admin center, Entra, Exchange
# (Get-Mailbox, Get-CASMailbox) and Active Directory (Get-ADUser, csvde), as _column_key() returns them: lower case, and
# nothing but a to z, so that "Primäre SMTP-Adresse" is found with its umlaut lost or garbled too. The German names of
# columns are from memory but for those in Microsoft's German documentation (Primäre SMTP-Adresse, Proxyadressen,
# Benutzerprinzipalname).
_COLUMNS = {
    # The mailbox, beyond doubt.
    "mailbox": "mailbox mailboxaddress primarysmtpaddress primarysmtp primaryaddress primaryemail primaryemailaddress "
               "smtpaddress postfach postfachadresse primresmtpadresse primaeresmtpadresse primreadresse primreemailadresse "
               "smtpadresse",
    # All addresses of the mailbox; "SMTP:" in capitals marks the primary one.
    "proxies": "proxyaddresses emailaddresses smtpaddresses proxyadressen emailadressen smtpadressen",
    # The address that the directory shows for the user.
    "mail": "address email mail emailaddress windowsemailaddress mailaddress adresse emailadresse mailadresse",
    "upn": "userprincipalname upn signinname loginname login signsinas benutzerprinzipalname anmeldename anmeldung "
           "microsoftonlineservicesid windowsliveid",
    # May hold a display name or a name without domain just as well.
    "user": "user username userid userlogonname logonname benutzer benutzername benutzeranmeldename benutzerkennung",
    # What the line is about, in Exchange's and Active Directory's words.
    "kind": "recipienttypedetails recipienttype objectclass objecttype empfngertyp",
    "retrieve": "retrieve protocol abruf protokoll abrufprotokoll",
}  # fmt: skip
_ROLES = {name: role for role, names in _COLUMNS.items() for name in names.split()}
_MAILBOX_ROLES = ("mailbox", "proxies", "mail")  # the first that a line fills states its mailbox
_NO_MAILBOX = re.compile(
    "group|gruppe|contact|kontakt|mail ?user|list|publicfolder|computer", re.IGNORECASE
)
# Domains that exist inside a network only. Entra Connect gives their users another name to sign in with.
_PRIVATE_DOMAIN = re.compile(
    r"\.(?:local|lan|internal|intern|corp|home|localdomain)", re.IGNORECASE
)
_BULLET = re.compile(r"(?:[-*•–]|\d+[.)])\s+")
_PROTOCOLS = ("pop3", "pop", "imap", "imap4")
# What PowerShell writes into a cell in place of a list that nobody joined.
_TYPE_NAME = re.compile(r"(?:System|Microsoft)\.[\w.`\[\], ]*(?:Collection|List|\[\])[\w`\[\], ]*")
# How csvde writes what is not ASCII (from memory).
_CSVDE_HEX = re.compile(r"X'((?:[0-9a-fA-F]{2})+)'")
_PROXY_START = re.compile(r"(?:^|[;,|\s+])[\"'\s]*(?=[A-Za-z0-9]+:)")
MAX_LINES = 100_000  # a longer list is not one of a firm's mailboxes
MAX_COLUMNS = 256
MAX_CELL = 8000  # characters; an address has at most 320, and proxyAddresses are many in one cell
MOST_BYTES = 16 << 20  # of a file
_MAX_DOUBTS = 5  # that are listed


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list, not yet validated.

    Attributes:
        number: The line's number, from 1, as an editor or Excel shows it.
        problem: Why the line names no mailbox, where that is known already.
    """

    number: int
    address: str
    login: str = ""
    retrieve: str = ""
    problem: str = ""


class MailboxList(list[Line]):
    """The lines of a list, and how they were read.

    Attributes:
        recognized: What was taken for what, in a sentence or two.
        doubts: What had to be guessed, in a sentence each; empty when the list leaves no doubt.
    """

    def __init__(
        self, lines: Iterable[Line] = (), recognized: str = "", doubts: Iterable[str] = ()
    ) -> None:
        super().__init__(lines)
        self.recognized, self.doubts = recognized, list(doubts)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns of a table hold what.

    Attributes:
        header: The row that names the columns, from 0; None when none does.
        columns: The column of each role that the header names.
        names: The columns' names as the table has them, by role.
        kind: 3 with a column of mailboxes, 2 with one of user names only, 1 with addresses but no names, else 0.
        addresses: How many cells are addresses.
        cells: How many cells there are.
    """

    header: int | None = None
    columns: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    kind: int = 0
    addresses: int = 0
    cells: int = 0
    doubts: tuple[str, ...] = ()

    @property
    def score(self) -> tuple[int, int, int, int]:
        """Orders the ways to split a text into columns: the best one is the largest."""
        return self.kind, len(self.columns), self.addresses, 0 if self.kind else self.cells


def find_layout(rows: Sequence[Sequence[str]]) -> Layout:
    """Find the row that names the columns; above it are titles, ``#TYPE`` or ``sep=;``, but no address alone in a cell."""
    found = [sum(map(_is_address, row[:MAX_COLUMNS])) for row in rows]
    for number, row in enumerate(rows):
        if found[number] > 1:
            break
        candidates: dict[str, list[int]] = {}
        for column, cell in enumerate(row[:MAX_COLUMNS]):
            if role := _ROLES.get(_column_key(cell)):
                candidates.setdefault(role, []).append(column)
        is_lonely = sum(bool(cell.strip()) for cell in row) == 1
        if found[number] or (is_lonely and any(found[:number])):
            continue
        layout = _named(candidates, row, rows[number + 1 :])
        if layout.kind:
            return replace(layout, header=number, addresses=sum(found))
    return Layout(kind=1 if any(found) else 0, addresses=sum(found), cells=sum(map(len, rows)))


def _named(
    candidates: Mapping[str, Sequence[int]], names: Sequence[str], rows: Sequence[Sequence[str]]
) -> Layout:
    """Choose a column for each role among those whose names fit: the first that holds addresses.

    “Address” may be a street's, and “User” a person's name.
    """
    columns, doubts = {}, []
    for role, fitting in candidates.items():
        if role in ("retrieve", "kind", "proxies"):
            columns[role] = fitting[0]
            continue
        holding = [c for c in fitting if any(_is_address(_cell(row, c)) for row in rows)]
        if holding or role != "user":
            columns[role] = (holding or fitting)[0]
        for other in holding[1:]:
            pairs = [(_cell(row, holding[0]), _cell(row, other)) for row in rows]
            if any(a and b and a.casefold() != b.casefold() for a, b in pairs):
                doubts.append(
                    _("The columns “{first}” and “{second}” differ; “{first}” is used.").format(
                        first=names[holding[0]].strip(), second=names[other].strip()
                    )
                )
    kind = 3 if columns.keys() & _MAILBOX_ROLES else 2 if columns.keys() & {"upn", "user"} else 0
    shown = {role: " ".join(names[column].split()) for role, column in columns.items()}
    if kind == 2:
        doubts.append(
            _(
                "There is no column of mailboxes. The user names in “{column}” are used as addresses, and the two may differ."
            ).format(column=shown.get("upn") or shown["user"])
        )
    return Layout(None, columns, shown, kind, doubts=tuple(doubts))


def _column_key(name: str) -> str:
    """A column's name for comparison; the attribute's name where Entra's templates add it in brackets."""
    name = name[:MAX_CELL].strip()
    if name.endswith(("] Required", "]")):
        name = name.rpartition("[")[2].partition("]")[0]
    name = re.sub(r"\([^)]*\)", "", name)  # “E-Mail-Adresse(n)”, “User principal name (UPN)”
    return re.sub("[^a-z]", "", unicodedata.normalize("NFC", name).casefold())


def _cell(row: Sequence[str], column: int | None) -> str:
    text = row[column][:MAX_CELL].strip() if column is not None and column < len(row) else ""
    if (hexadecimal := _CSVDE_HEX.fullmatch(text)) is not None:
        return bytes.fromhex(hexadecimal[1]).decode("utf-8", "replace")
    return text


def addresses_in(text: str) -> list[str]:
    """The addresses that a text consists of, with or without display names; none if it is anything else.

    >>> from msoauth.account_list import addresses_in
    >>> addresses_in("O'Brien, Zoë <zoe.o'brien@contoso.example>")
    ["zoe.o'brien@contoso.example"]
    """
    text = validation.clean(text)
    if "@" not in text:
        return []
    if validation.address_problem(text) is None:
        return [text]
    text = _BULLET.sub("", text, count=1) if _BULLET.match(text) else text
    text = text.removeprefix("mailto:").replace("<mailto:", "<").rstrip(".;,")
    if text.endswith(">") and text.count("<") == 1:
        text = text[text.index("<") :]  # Outlook does not quote the comma in “Lindqvist, Anna <…>”
    elif text[0] == text[-1] == "'":
        text = text[1:-1]
    if ":" in text:  # a group, as RFC 5322 has it; proxyAddresses look like one
        return []
    addresses = [address for name, address in getaddresses([text]) if name or address]
    # RFC 5322 allows blanks around the dots of an address; in a list they are other words.
    is_wrong = any(a not in text or validation.address_problem(a) for a in addresses)
    return [] if is_wrong else addresses


def _is_address(cell: str) -> bool:
    return len(cell) < 1000 and len(addresses_in(cell)) == 1


def _primary(cell: str) -> tuple[str, str]:
    """The primary address among all addresses of a mailbox, or else what is wrong."""
    if _TYPE_NAME.fullmatch(cell):
        return "", _(
            "PowerShell wrote the name of a type in place of the addresses. Export the list again with PrimarySmtpAddress, or with proxyAddresses joined by -join ';'."
        )
    parts = [part.strip(" \t\r\n,;|+\"'") for part in _PROXY_START.split(cell.strip(" {}[]"))]
    primary = [part.removeprefix("SMTP:") for part in parts if part.startswith("SMTP:")]
    if len(primary) == 1:
        return primary[0], ""
    if not any(":" in part for part in parts) and len(plain := addresses_in(cell)) == 1:
        return plain[0], ""
    return "", _("None of these addresses is marked as the primary one with SMTP: in capitals.")


def parse_rows(rows: Iterable[tuple[int, Sequence[str]]], layout: Layout) -> MailboxList:
    """Turn rows of cells into lines.

    Raises:
        InputError: there are too many, or a table has no address at all.
    """
    lines: list[Line] = []
    doubts, titles = list(layout.doubts), list[tuple[int, Sequence[str]]]()
    has_address = False
    for index, (number, row) in enumerate(rows):
        if number > MAX_LINES or len(lines) > MAX_LINES:
            raise too_big_error()
        if (layout.header is not None and index <= layout.header) or not any(map(str.strip, row)):
            continue
        if layout.header is not None:
            lines.append(_named_line(number, row, layout))
            has_address = has_address or (not lines[-1].problem and _is_address(lines[-1].address))
            continue
        found = [(n, a) for n, cell in enumerate(row) for a in addresses_in(cell[:MAX_CELL])]
        if not found and not has_address and _is_title(row):
            titles.append((number, row))
            continue
        if found and not has_address:
            has_address = True
            if titles and len(row) > 1 and (name := _cell(titles[-1][1], found[0][0])):
                doubts.append(
                    _(
                        "“{name}” is not the name of a known column; its addresses are used as mailboxes."
                    ).format(name=name)
                )
        lines += _unnamed_lines(number, row, found)
        if len(found) == 2 and lines[-1].login and [n for n, _address in found] != [0, 1]:
            doubts.append(
                _(
                    "Line {number} has two addresses: {login} is used as the user who signs in to {address}."
                ).format(number=number, login=lines[-1].login, address=lines[-1].address)
            )
    if not has_address and (layout.header is not None or titles):
        raise _nothing_found(lines, layout, titles)
    if private := sum(1 for line in lines if _PRIVATE_DOMAIN.search(line.login)):
        text = ngettext(
            "{n} user name ends in a domain that exists inside a network only, and is not used: Microsoft 365 has another one.",
            "{n} user names end in a domain that exists inside a network only, and are not used: Microsoft 365 has other ones.",
            private,
        )
        doubts.append(text.format(n=private))
        lines = [
            replace(line, login="") if _PRIVATE_DOMAIN.search(line.login) else line
            for line in lines
        ]
    recognized = _recognized(
        layout, any(line.login for line in lines), [number for number, _row in titles]
    )
    return MailboxList(lines, recognized, doubts[:_MAX_DOUBTS])


def _named_line(number: int, row: Sequence[str], layout: Layout) -> Line:
    """A line of a table whose columns have names."""
    cells = {role: _cell(row, column) for role, column in layout.columns.items()}
    login = cells.get("upn") or cells.get("user", "")
    user = addresses_in(login)
    login = user[0] if len(user) == 1 else cells.get("upn", "")
    address, problem = "", ""
    for role in _MAILBOX_ROLES if layout.kind == 3 else ("upn", "user"):
        if cell := cells.get(role, ""):
            address, problem = _primary(cell) if role == "proxies" else _single(cell)
        if address:
            break
    if not address and not problem:
        problem = _("This line has no address of a mailbox (user name: {user}).").format(
            user=login or "–"
        )
    kind = cells.get("kind", "")
    if _NO_MAILBOX.search(kind):
        problem = _("This is no mailbox: the list calls it “{kind}”.").format(
            kind=kind.split(";")[-1]
        )
    shown = next((cells[role] for role in _MAILBOX_ROLES if cells.get(role)), login)
    return Line(number, address or shown[:320], login, cells.get("retrieve", ""), problem)


def _single(cell: str) -> tuple[str, str]:
    """The one address of a cell, or the cell as it is; and what is wrong with several."""
    addresses = addresses_in(cell)
    if len(addresses) > 1:
        return "", _("Several addresses share a cell; write one mailbox a line.")
    if _TYPE_NAME.fullmatch(cell):
        return _primary(cell)
    return addresses[0] if addresses else cell, ""


def _unnamed_lines(number: int, row: Sequence[str], found: Sequence[tuple[int, str]]) -> list[Line]:
    """The lines of a row in a table without names of columns.

    Args:
        found: The row's addresses, with their columns.
    """
    cells = [cell[:MAX_CELL].strip() for cell in row[:MAX_COLUMNS]]
    if len(found) > 2 or (len(found) == 2 and all("<" in cells[column] for column, _a in found)):
        return [Line(number, address) for _column, address in found]
    column, address = found[0] if found else (0, next(filter(None, cells)))
    login = found[1][1] if len(found) == 2 else ""
    rest = cells[column + 1 :] if found else []
    retrieve = next((cell for cell in rest if cell.lower() in _PROTOCOLS), "")
    if not login and column == 0 and rest:  # address, login, protocol: what is mistyped is reported
        login, retrieve = (
            (rest[0] if not _is_title(rest[:1]) else ""),
            retrieve or "".join(rest[1:2]),
        )
        login = "" if login == retrieve else login
    return [Line(number, address, login, retrieve)]


def _is_title(row: Sequence[str]) -> bool:
    """Whether a row without addresses is a title or a header, and not a mistyped address."""
    cells = list(filter(str.strip, row))
    if len(cells) == 1:
        return cells[0].startswith(("#", "sep=")) or " " in cells[0].strip()
    return len(cells) > 1


def _nothing_found(
    lines: Sequence[Line], layout: Layout, titles: Sequence[tuple[int, Sequence[str]]]
) -> InputError:
    """The error for a table without a single address."""
    names: Sequence[str] = [*layout.names.values()] or max((row for _n, row in titles), key=len)
    text = _("No mailbox addresses were found in the columns {names}.").format(
        names=", ".join(
            _("“{name}”").format(name=redact(name.strip(), 60))
            for name in islice(filter(str.strip, names), 12)
        )
    )
    hint = _("Export the list with PrimarySmtpAddress, mail or proxyAddresses.")
    if lines:
        why = lines[0].problem or validation.address_problem(lines[0].address) or hint
        hint = _("Line {number}: {why}").format(number=lines[0].number, why=why)
    return InputError(f"{text} {hint}")


def _recognized(layout: Layout, has_logins: bool, skipped: Sequence[int]) -> str:
    """What was taken for what."""
    names = layout.names
    login = names.get("upn") or names.get("user", "")
    parts = []
    if layout.kind > 1:
        fitting = [names[role] for role in _MAILBOX_ROLES if role in names] or [login]
        mailbox = " / ".join(_("“{name}”").format(name=name) for name in fitting)
        parts.append(_("Mailbox: {column}").format(column=mailbox))
        if login and layout.kind == 3:
            parts.append(_("user who signs in: “{column}”").format(column=login))
        if "retrieve" in names:
            parts.append(_("protocol: “{column}”").format(column=names["retrieve"]))
    else:
        parts.append(_("Mailbox: the first address of each line"))
        if has_logins:
            parts.append(_("user who signs in: the second address"))
        if skipped:
            numbers = ", ".join(map(str, skipped[:_MAX_DOUBTS]))
            parts.append(_("lines without addresses: {numbers}").format(numbers=numbers))
    return "; ".join(parts) + "."


def too_big_error() -> InputError:
    """The error for a list that is longer than any firm's."""
    return InputError(
        _("The list is too big: at most {lines} lines and {megabytes} MB can be read.").format(
            lines=f"{MAX_LINES:,}", megabytes=MOST_BYTES >> 20
        )
    )
