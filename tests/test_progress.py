"""The progress that functions of ``import msoauth`` show on a terminal: all of it, and nothing where nobody wants it."""

import re
from collections.abc import Iterator

import pytest

import msoauth
from msoauth.enrol import enrol
from msoauth.practice import PracticeTenant

ANNA = "anna.lindqvist@contoso.example"


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[msoauth.Workspace]:
    folder = tmp_path_factory.mktemp("progress")
    with (
        PracticeTenant() as tenant,
        msoauth.Workspace.open(folder, passphrase="of this test") as opened,
    ):
        for _address in enrol(opened, tenant.endpoints_file):
            pass
        yield opened


def work(ws: msoauth.Workspace, name: str, *, progress: bool = True) -> object:
    """Carry out the function of that name."""
    if name == "audit":
        return msoauth.audit(ws, fresh=True, progress=progress)
    if name == "check_firm":
        return msoauth.check_firm(ws, "Contoso Legal", progress=progress)
    return getattr(msoauth, name)(ws, ANNA, progress=progress)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("audit", "Auditing"),
        ("check_firm", "Checking"),
        ("diagnose", "Checking"),
        ("fetch", "Retrieving mail"),
        ("send_test", "Sending a test mail"),
    ],
)
def test_progress_is_shown_on_a_terminal_unless_it_is_not_wanted(
    ws: msoauth.Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    shown: str,
) -> None:
    work(ws, name)
    assert capsys.readouterr().err == ""  # a file is no terminal
    monkeypatch.setenv("FORCE_COLOR", "1")  # to rich, stderr is a terminal then
    work(ws, name, progress=False)
    assert capsys.readouterr() == ("", "")
    work(ws, name)
    out, err = capsys.readouterr()
    assert out == ""
    assert shown in err


@pytest.mark.parametrize("name", ["audit", "check_firm", "diagnose"])
def test_the_count_ends_at_its_total(
    ws: msoauth.Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    work(ws, name)
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", capsys.readouterr().err)
    *_earlier, (done, total) = re.findall(r"(\d+)/(\d+)", plain)
    assert done == total
