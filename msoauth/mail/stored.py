"""Mail that was retrieved earlier, told again."""

import heapq
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from msoauth.errors import MailError
from msoauth.mail.files import of_file
from msoauth.mail.ledger import Ledger
from msoauth.mail.messages import MessageSummary

_NEVER = datetime.min.replace(tzinfo=UTC)


def stored_mail(folder: Path, limit: int) -> list[MessageSummary]:
    """Rows for the *limit* files that came last, the newest mail first; empty when there is no such folder."""
    try:
        files = [(file.stat().st_mtime_ns, file) for file in folder.glob("*.eml")]
    except OSError:
        return []
    noted = Ledger(folder / ".msoauth-index").load().rows_by_key() if files else {}
    rows = []
    for _when, file in heapq.nlargest(limit, files):
        with suppress(MailError):  # gone, or not ours to read
            rows.append(noted.get(file.stem) or of_file(file.stem, file))
    return sorted(rows, key=lambda row: row.date or _NEVER, reverse=True)
