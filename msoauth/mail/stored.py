"""Mail that was retrieved earlier, read back from its files."""

import heapq
from datetime import UTC, datetime
from pathlib import Path

from msoauth.mail.fetch import of_file
from msoauth.mail.messages import MessageSummary

_NEVER = datetime.min.replace(tzinfo=UTC)


def stored_mail(folder: Path, limit: int) -> list[MessageSummary]:
    """Rows for the *limit* files that came last, the newest mail first; empty when there is no such folder."""
    try:
        files = [(file.stat().st_mtime_ns, file) for file in folder.glob("*.eml")]
    except OSError:
        return []
    rows = [of_file(file.stem, file) for _when, file in heapq.nlargest(limit, files)]
    return sorted(rows, key=lambda row: row.date or _NEVER, reverse=True)
