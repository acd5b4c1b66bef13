"""A list of mailboxes that somebody made to do harm: little memory, little time, one sentence."""

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from msoauth import clouds
from msoauth.account_list import read_file, read_text
from msoauth.cli import main
from msoauth.errors import InputError
from msoauth.mailbox_table import MOST_BYTES, Line
from tests.memory import cost

MEGABYTE = 1 << 20
ADDRESS = "anna@contoso.example"
SHEET, STRINGS, STYLES = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml"
NAMESPACE = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def workbook(parts: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, more: int = 0) -> bytes:
    """An Excel file with some parts replaced."""
    plain, made = io.BytesIO(), io.BytesIO()
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active["A1"] = ADDRESS
    book.save(plain)
    with zipfile.ZipFile(plain) as before, zipfile.ZipFile(made, "w", method) as after:
        for name in before.namelist():
            after.writestr(name, parts.get(name, before.read(name)))
        for number in range(more):
            after.writestr(f"xl/more/{number}.xml", b"")
    return made.getvalue()


def sheet(rows: bytes) -> bytes:
    return b"<worksheet " + NAMESPACE + b"><sheetData>" + rows + b"</sheetData></worksheet>"


def strings(items: bytes) -> bytes:
    return b"<sst " + NAMESPACE + b">" + items + b"</sst>"


def lying(content: bytes, size: int) -> bytes:
    """The same with a part of that size stated as ten bytes long."""
    return content.replace(struct.pack("<I", size), struct.pack("<I", 10))


LAUGHS = b"<!DOCTYPE sst [<!ENTITY a0 'ha'>" + b"".join(
    b"<!ENTITY a%d '%s'>" % (n + 1, b"&a%d;" % n * 10) for n in range(10)
) + b"]>"  # fmt: skip

# Refused, or read with little memory.
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty cells": ("a.xlsx", lambda: workbook({SHEET: sheet(b"<row>" + b"<c/>" * 20 * MEGABYTE + b"</row>")})),
    "empty rows": ("a.xlsx", lambda: workbook({SHEET: sheet(b"<row/>" * 20 * MEGABYTE)})),
    "far corner": ("a.xlsx", lambda: workbook({SHEET: sheet(
        b'<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>a@b.example</t></is></c></row>')})),
    "wide rows": ("a.xlsx", lambda: workbook({SHEET: sheet(b"".join(
        b'<row r="%d"><c r="XFD%d"><v>1</v></c></row>' % (n, n) for n in range(1, 90_000)))})),
    "long text": ("a.xlsx", lambda: workbook({SHEET: sheet(
        b'<row><c t="inlineStr"><is><t>' + b"x" * 100 * MEGABYTE + b"</t></is></c></row>")})),
    "one long string in many cells": ("a.xlsx", lambda: workbook({
        STRINGS: strings(b"<si><t> " + b"x" * MEGABYTE + b" </t></si>"),
        SHEET: sheet(b'<row><c t="s"><v>0</v></c><c t="s"><v>0</v></c></row>' * 50_000)})),
    "shared strings": ("a.xlsx", lambda: workbook({STRINGS: strings(b"<si/>" * 20 * MEGABYTE)})),
    "styles": ("a.xlsx", lambda: workbook({STYLES: b"<styleSheet " + NAMESPACE + b">" + b"<x/>" * 20 * MEGABYTE + b"</styleSheet>"})),
    "laughs": ("a.xlsx", lambda: workbook({STRINGS: LAUGHS + strings(b"<si><t>&a9;</t></si>"),
                                           SHEET: sheet(b'<row><c t="s"><v>0</v></c></row>')})),
    "bzip2 that lies": ("a.xlsx", lambda: lying(workbook({STYLES: bytes(150 * MEGABYTE)}, zipfile.ZIP_BZIP2), 150 * MEGABYTE)),
    "parts": ("a.xlsx", lambda: workbook({}, more=40_000)),
    "lines": ("a.csv", lambda: b"\n" * 15 * MEGABYTE),
    "columns": ("a.csv", lambda: b"," * 15 * MEGABYTE),
    "quoted": ("a.csv", lambda: b'"' + b"x" * 15 * MEGABYTE),
    "a line without an address": ("a.csv", lambda: b"@,@,@," + b"x" * 15 * MEGABYTE),
    "addresses": ("a.csv", lambda: b"a@b.example," * MEGABYTE),
    "UTF-16": ("a.csv", lambda: "\ufeff".encode("utf-16-le") + "😀\n".encode("utf-16-le") * 2 * MEGABYTE),
}  # fmt: skip

PROGRAM = """
from pathlib import Path
from msoauth.account_list import read_file
import openpyxl
file = Path(argument)
content = file.read_bytes()
def go():
    read_file(file.name, content)
"""
QUICK = ("empty cells", "lines", "a line without an address")


@pytest.mark.skipif(os.name != "posix", reason="the memory is measured as POSIX tells it")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.release) for n in BOMBS]
)
def test_a_bomb_takes_little_memory(name: str, tmp_path: Path) -> None:
    file_name, make = BOMBS[name]
    (tmp_path / file_name).write_bytes(make())
    problem, megabytes = cost(PROGRAM, tmp_path / file_name)
    assert problem is None or problem[0] == "InputError"
    assert megabytes < 300
    if problem is not None:
        assert len(problem[1]) < 200


@pytest.mark.parametrize("name", ["a.csv", "a.xlsx"])
def test_a_list_that_is_too_long_is_refused_and_none_is_cut(name: str) -> None:
    with pytest.raises(InputError, match="100,000 lines"):
        read_text(f"{ADDRESS}\n" * 100_001)
    with pytest.raises(InputError, match="16 MB"):
        read_file(name, b"x" * (MOST_BYTES + 1))


def test_the_longest_lists_of_firms_are_read() -> None:
    many = "".join(f"user{n}@contoso.example;;pop3\n" for n in range(100_000))
    assert len(read_file("a.csv", many.encode())) == 100_000
    book = openpyxl.Workbook(write_only=True)
    page = book.create_sheet()
    page.append(["Display name", "User principal name"])
    for n in range(20_000):
        page.append([f"User {n}", f"user{n}@contoso.example"])
    out = io.BytesIO()
    book.save(out)
    lines = read_file("a.xlsx", out.getvalue())
    assert len(lines) == 20_000
    assert lines[-1] == Line(20_001, "user19999@contoso.example", "user19999@contoso.example")


@pytest.mark.skipif(os.name != "posix", reason="Windows has no /dev/zero")
@pytest.mark.parametrize(
    "words", [("account", "import", "/dev/zero", "--firm", "x"), ("practice", "enrol", "/dev/zero")]
)
def test_a_file_without_an_end_is_not_read_to_its_end(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 2
    assert "cannot be read" in capsys.readouterr().err
    with pytest.raises(InputError, match="endpoints file"):
        clouds.load("/dev/zero")
