"""A list of mailboxes as people have it: typed, pasted from a mail or Excel, exported by Microsoft."""

import io
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest

from msoauth.account_list import add_all, read_file, read_text, unlike_domains
from msoauth.errors import InputError
from msoauth.mailbox_table import Line
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


PRIMARY = "office@contoso.example"
EXPORTS = {
    # Issue 18's examples and the exports of Microsoft's tools; the mailbox is the same, the login anna's.
    "admin center": "Block credential,Display name,Licenses,Proxy addresses,User principal name\n"
    f'False,Office,E3+Visio,smtp:info@contoso.example+SMTP:{PRIMARY}+smtp:o+x@contoso.example,{ANNA}',
    "admin center, German": "Anmeldung blockieren,Anzeigename,Lizenzen,Proxyadressen,Benutzerprinzipalname\n"
    f"Falsch,Büro,E3,smtp:info@contoso.example+SMTP:{PRIMARY},{ANNA}",
    "Entra": f"userPrincipalName,displayName,surname,mail,givenName,id,alternateEmailAddress\n{ANNA},Anna,,{PRIMARY},,1,x@y.example",
    "Entra's template": f"version:v1.0\nName [displayName] Required,User name [userPrincipalName] Required,Mail [mail]\nAnna,{ANNA},{PRIMARY}",
    "Get-Mailbox": '#TYPE Selected.Microsoft.Exchange.Data.Directory.Management.Mailbox\n"UserPrincipalName","EmailAddresses","PrimarySmtpAddress"\n'
    f'"{ANNA}","SMTP:{PRIMARY} smtp:info@contoso.example","{PRIMARY}"',
    "Get-Mailbox, joined": f'UserPrincipalName;EmailAddresses\n{ANNA};"smtp:info@contoso.example,SMTP:{PRIMARY},SIP:{ANNA},X400:C=US;A= ;P=Contoso;"',
    "Get-CASMailbox": f"DisplayName,PopEnabled,PrimarySmtpAddress,Login\nOffice,True,{PRIMARY},{ANNA}",
    "Exchange admin center": f"DISPLAY NAME,EMAIL ADDRESS,RECIPIENT TYPE,UPN\nOffice,{PRIMARY},SharedMailbox,{ANNA}",
    "Get-ADUser": '#TYPE Selected.Microsoft.ActiveDirectory.Management.ADUser\n"Name","SamAccountName","EmailAddress","UserPrincipalName"\n'
    f'"Anna","alindqvist","{PRIMARY}","{ANNA}"',
    "Get-ADUser, unjoined": '"UserPrincipalName","mail","proxyAddresses"\n'
    f'"{ANNA}","{PRIMARY}","Microsoft.ActiveDirectory.Management.ADPropertyValueCollection"',
    "csvde": "DN,objectClass,userPrincipalName,proxyAddresses,mail\n"
    f'"CN=Anna,OU=Users,DC=contoso,DC=example",user,{ANNA},SMTP:{PRIMARY};smtp:{MAX};X500:/o=ExchangeLabs/ou=a,{MAX}',
    "csvde's hexadecimal": f"DN,userPrincipalName,mail\nX'434e3dc3bc',{ANNA},X'{PRIMARY.encode().hex()}'",
    "German Excel": f"sep=;\nName;Primäre SMTP-Adresse;Anmeldename\nBüro;{PRIMARY};{ANNA}",
    "an umlaut was lost": f"Name;Prim?re SMTP-Adresse;Anmeldename\nBüro;{PRIMARY};{ANNA}",
    "an umlaut was garbled": f"Name;PrimÃ¤re SMTP-Adresse;Anmeldename\nBüro;{PRIMARY};{ANNA}",
    "a title above": f"Mailboxes of Contoso, as of 1 November\n\nName;E-Mail-Adresse(n);Anmeldung\nBüro;{PRIMARY};{ANNA}",
    "a title with an address": f"Made by max.weiss@contoso.example, 1 November\nName\tMail\tUPN\nOffice\t{PRIMARY}\t{ANNA}",
    "a street's address": f"Address,City,Email,User Name\nMain Street 1,Bonn,{PRIMARY},{ANNA}",
    "pipes": f"Mailbox|Signs in as\n{PRIMARY}|{ANNA}",
    "quoted and spaced": f'"E-mail" , "User principal name (UPN)"\n"{PRIMARY}" , "{ANNA}"',
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("name", EXPORTS)
def test_in_the_exports_of_microsofts_tools_mailbox_and_login_are_told_apart(
    workspace: Workspace, name: str, encoding: str
) -> None:
    lines = read_file("users.csv", EXPORTS[name].encode(encoding, "replace"))
    assert lines.doubts == []
    made = [outcome.account for outcome in add_all(workspace, "Contoso", lines)]
    assert made == [Account(PRIMARY, "Contoso", login=ANNA)]


def test_the_list_may_be_on_any_sheet_below_a_title() -> None:
    book = openpyxl.Workbook()
    notes = book.active
    assert notes is not None
    notes.append(["Contact", "max.weiss@contoso.example"])
    hidden = book.create_sheet("Hidden")
    hidden.sheet_state = "hidden"
    hidden.append(["Mailbox"])
    hidden.append([MAX])
    sheet = book.create_sheet("Postfächer")
    for row in (
        ["Stand: November"],
        [],
        ["Name", "Postfach", "Benutzername"],
        ["Büro", PRIMARY, ANNA],
    ):
        sheet.append(row)  # fmt: skip
    buffer = io.BytesIO()
    book.save(buffer)
    lines = read_file("list.xlsx", buffer.getvalue())
    assert lines == [Line(4, PRIMARY, ANNA)]
    assert "Postfächer" in lines.recognized
    assert lines.doubts == []
    sheet.parent.copy_worksheet(sheet).title = "Left"
    buffer = io.BytesIO()
    book.save(buffer)
    [doubt] = read_file("list.xlsx", buffer.getvalue()).doubts
    assert "Left" in doubt


@pytest.mark.parametrize(
    "address",
    ["zoe.o'brien@contoso.example", "a!#$%&*+-/=?^_`{|}~.b@contoso.example", "'x@contoso.example",
     "jürgen@contoso.example", "anna@bücher.example"],
)  # fmt: skip
@pytest.mark.parametrize(
    "form",
    ["{}", "Name;Mail\nx;{}", '"O\'Brien, Zoë" <{}>', "O'Brien, Zoë <{}>", "Zoë O'Brien <{}>", "mailto:{}",
     "{}<mailto:{}>", "'{}'", "• {}", "1. {}", "{}\n", "<{}>", "{}.", "{} (left)", "\ufeff{}", "Mail\n{}\n"],
)  # fmt: skip
def test_an_address_is_parsed_as_it_is_written(address: str, form: str) -> None:
    if form == "'{}'" and address.startswith("'"):
        return
    assert [line.address for line in read_text(form.format(address, address))] == [address]


@pytest.mark.parametrize(
    "text",
    ["anna lindqvist@contoso.example", "please ask anna@contoso.example, thanks", "anna@contoso.example and others",
     "anna@@contoso.example", "zoe o'brien@contoso.example", "anna@contoso..example", '"a b"@contoso.example'],
)  # fmt: skip
def test_nothing_is_cut_out_of_what_is_no_address(workspace: Workspace, text: str) -> None:
    try:
        outcomes = list(add_all(workspace, "Contoso", read_text(text)))
    except InputError:
        return
    assert [outcome.account for outcome in outcomes] == [None] * len(outcomes)


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        (f"Display name,User principal name\nAnna,{ANNA}", "User principal name"),
        (f"Name;Kanzleipostfach\nAnna;{ANNA}", "Kanzleipostfach"),
        (f"Anna;{ANNA};{MAX}", "two addresses"),
        (f"Mail,E-Mail\n{ANNA},{MAX}", "E-Mail"),
        (f"Mail,UPN\n{ANNA},anna@contoso.local", "network"),
    ],
)
def test_what_had_to_be_guessed_is_named(text: str, doubt: str) -> None:
    assert doubt in " ".join(read_text(text).doubts)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Name,Department\nAnna,Litigation\nMax,Tax", "“Name”, “Department”"),
        ('mail,proxyAddresses\n,"System.Object[]"', "PowerShell"),
        ("DisplayName,proxyAddresses\nAnna,smtp:anna@contoso.example;smtp:a@contoso.example", "SMTP:"),
        ("Adresse;Ort\nHauptstraße 1;Bonn", "no domain"),
    ],
)  # fmt: skip
def test_a_list_without_mailboxes_is_refused_with_what_it_lacks(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match="No mailbox addresses") as refused:
        read_text(text)
    assert sentence in refused.value.summary


def test_lines_that_name_no_mailbox_are_told_one_by_one(workspace: Workspace) -> None:
    text = (
        "DisplayName,RecipientTypeDetails,PrimarySmtpAddress,UserPrincipalName\n"
        f"Anna,UserMailbox,{ANNA},{ANNA}\n"
        "All,MailUniversalDistributionGroup,all@contoso.example,\n"
        "Service,UserMailbox,,service@contoso.example\n"
        f"Both,UserMailbox,{MAX}; {ANNA},"
    )
    outcomes = list(add_all(workspace, "Contoso", read_text(text)))
    assert [o.line.number for o in outcomes if o.account is None] == [3, 4, 5]
    problems = [o.problem for o in outcomes[1:]]
    for problem, word in zip(problems, ("MailUniversal", "service@", "Several"), strict=True):
        assert word in problem
    assert [a.address for a in workspace.accounts] == [ANNA]


def test_a_cell_with_line_breaks_does_not_shift_the_numbers() -> None:
    text = f'Name,proxyAddresses\nAnna,"SMTP:{ANNA}\nsmtp:a@contoso.example"\nMax,SMTP:{MAX}'
    assert read_text(text) == [Line(2, ANNA), Line(4, MAX)]


def test_a_mailbox_of_another_firm_is_named_with_that_firm(workspace: Workspace) -> None:
    workspace.firms.add(
        Firm("Fabrikam & Co", "fabrikam.example", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
    )
    workspace.accounts.add(Account(ANNA.upper(), "Fabrikam & Co"))
    [outcome] = add_all(workspace, "Contoso", read_text(ANNA))
    assert "Fabrikam & Co" in outcome.problem
    workspace.accounts.add(Account(MAX, "Contoso"))
    [outcome] = add_all(workspace, "contoso", read_text(MAX))
    assert "firm" not in outcome.problem


@pytest.mark.parametrize(
    ("domain", "asked"),
    [
        ("contoso.exmaple", True), ("contosso.example", True), ("cotnoso.example", True), ("contoso.exampl", True),
        ("contosoexample", True), ("contoso.example", False), ("CONTOSO.EXAMPLE", False), ("fabrikam.example", False),
        ("contoso.test", False), ("contoso.exämple", True), ("contoso.de", False), ("litware.example", False), ("mail.contoso.example", False),
    ],
)  # fmt: skip
def test_near_misses_of_the_firms_domain_are_asked_about(
    workspace: Workspace, domain: str, asked: bool
) -> None:
    firm = workspace.firms.get("Contoso")
    assert bool(unlike_domains(workspace, firm, [f"anna@{domain}"])) is asked


def test_the_firms_domains_are_those_of_its_mailboxes_and_of_most_of_the_list(
    workspace: Workspace,
) -> None:
    workspace.firms.add(Firm("Id", "1a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"))  # fmt: skip
    firm = workspace.firms.get("Id")
    many = ["a@litware.example", "b@litware.example", "c@litwaer.example"]
    assert "litware.example" in unlike_domains(workspace, firm, many)[0]
    assert unlike_domains(workspace, firm, many[2:]) == []
    workspace.accounts.add(Account("a@litware.example", "Id"))
    assert unlike_domains(workspace, firm, many[2:])


def test_a_domain_in_its_ascii_form_is_the_firms_own(workspace: Workspace) -> None:
    workspace.firms.add(Firm("Bücher", "bücher.example", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"))
    firm = workspace.firms.get("Bücher")
    assert unlike_domains(workspace, firm, ["a@xn--bcher-kva.example", "b@bücher.example"]) == []
    assert unlike_domains(workspace, firm, ["a@bücher.exmaple"])
