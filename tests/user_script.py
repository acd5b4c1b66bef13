"""What a user may write: every public name with the types that it promises, checked by mypy and run as it is."""

import sys
from pathlib import Path

import pandas as pd

import msoauth


def main(place: Path, address: str, name: str) -> str:
    """Look at everything once; gives the last word."""
    with msoauth.Workspace.open(place) as ws:
        firm: msoauth.Firm = ws.firms[name]
        account: msoauth.Account = ws.accounts[address]
        assert account.firm == firm.name
        everybody: pd.DataFrame = ws.accounts.frame()
        assert len(everybody) == len(ws.accounts) > len(ws.firms) == 1

        registration: msoauth.Findings = msoauth.check_firm(ws, name, progress=False)
        broken: msoauth.Finding | None = registration.root_cause
        assert broken is None
        found: msoauth.Findings = msoauth.diagnose(ws, address, send=False, progress=False)
        signals: set[msoauth.Signal] = {finding.signal for finding in found}
        assert found.passed, signals

        table: pd.DataFrame = msoauth.fetch(ws, address, limit=2, to=place / "mail", progress=False)
        subjects: list[str] = [
            m.subject for m in msoauth.iter_messages(ws, address, headers_only=True)
        ]
        assert set(table["subject"]) <= set(subjects)
        sent: msoauth.Findings = msoauth.send_test(ws, address, round_trip=True, progress=False)
        assert sent.passed

        result: msoauth.AuditResult = msoauth.audit(ws, firm=name, workers=2, progress=False)
        result.to_html(place / "audit.html")
        result.to_excel(place / "audit.xlsx")
        result.to_csv(place / "audit.csv")
        assert not list(result.problems)
        assert len(result.findings) > len(result.frame())
        for one in msoauth.audit(ws, stream=True):
            assert one.signal is msoauth.Signal.PASSED

        attempt = msoauth.sign_in(ws, address, via="paste")
        assert attempt.url
        attempt.cancel()

        try:
            ws.firms["Nobody's"]
        except msoauth.MsoauthError as error:
            print(error.summary, file=sys.stderr)
        meaning: msoauth.Explanation = msoauth.explain(
            "AADSTS7000222: The provided client secret keys are expired.",
            firm=firm,
            account=account,
        )
        log: pd.DataFrame = ws.journal.frame(account=address)
        assert not log.empty
        return meaning.cause


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
