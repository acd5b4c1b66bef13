"""A list of mailboxes as people have it: typed, pasted from a mail or Excel, exported by Microsoft."""

import io
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest

from msoauth.account_list import Line, add_all, read_file, read_text
from msoauth.errors import InputError
from msoauth.model import Account, Firm
from msoauth.store import Workspace

ANNA, MAX = "anna@contoso.example", "max@contoso.example"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "workspace") as opened:
        opened.firms.add(Firm("Contoso", "contoso.example", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"))
        yield opened


@pytest.mark.parametrize(
    "text",
    [
        f"{ANNA}\n{MAX}\n",
        f"\n  {ANNA}\r\n\r\n{MAX}",
        f"Address\n{ANNA}\n{MAX}",
        f"E-Mail-Adresse;Abruf\n{ANNA};\n{MAX};pop3",
        f"Display name,User principal name\nAnna Lindqvist,{ANNA}\nMax Weiß,{MAX}",
        f"Name\tPostfach\nAnna\t{ANNA}\nMax\t{MAX}",
        f'"Anna Lindqvist" <{ANNA}>\n"Max Weiß" <{MAX}>',
    ],
)
def test_however_it_is_written_the_addresses_are_found(workspace: Workspace, text: str) -> None:
    made = [outcome.account for outcome in add_all(workspace, "Contoso", read_text(text))]
    assert made == [Account(ANNA, "Contoso"), Account(MAX, "Contoso")]


def test_several_addresses_on_one_line_are_a_list() -> None:
    text = f"Anna <{ANNA}>; Max <{MAX}>; zoe@contoso.example"
    assert [line.address for line in read_text(text)] == [ANNA, MAX, "zoe@contoso.example"]


def test_columns_without_names_are_address_login_and_protocol() -> None:
    assert read_text("office@contoso.example;anna@contoso.example;imap") == [
        Line(1, "office@contoso.example", ANNA, "imap")
    ]


def test_a_wrong_line_does_not_stop_the_others_and_is_told_with_its_number(
    workspace: Workspace,
) -> None:
    outcomes = list(add_all(workspace, "Contoso", read_text(f"{ANNA}\nanna\n{ANNA}\n{MAX},,ews")))
    assert [(o.line.number, o.account is not None) for o in outcomes] == [
        (1, True),
        (2, False),
        (3, False),
        (4, False),
    ]
    assert "no domain" in outcomes[1].problem
    assert "already" in outcomes[2].problem
    assert "ews" in outcomes[3].problem
    assert [a.address for a in workspace.accounts.list()] == [ANNA]


def test_excel_and_the_encodings_of_csv_are_read() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Name", "Address", "Login"])
    sheet.append(["Müller", "juergen@contoso.example", None])
    buffer = io.BytesIO()
    book.save(buffer)
    wanted = "juergen@contoso.example"
    assert [line.address for line in read_file("list.XLSX", buffer.getvalue())] == [wanted]
    text = f"Name;Address\nMüller;{wanted}"
    for encoding in ("utf-8", "utf-8-sig", "cp1252", "utf-16"):
        assert [x.address for x in read_file("list.csv", text.encode(encoding))] == [wanted]


@pytest.mark.parametrize(
    ("name", "content"),
    [("list.xlsx", b"not a zip"), ("list.csv", b"\x00\x01\xfe"), ("list.csv", b" \n\n")],
)
def test_a_file_that_holds_no_list_is_refused_in_one_sentence(name: str, content: bytes) -> None:
    with pytest.raises(InputError) as refused:
        read_file(name, content)
    assert name in refused.value.summary
    assert "\n" not in refused.value.summary
