"""The table of accounts in a notebook: ten thousand rows of which only those in sight are drawn."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msoauth.reports import html_report
from msoauth.ui.widgets import Part, static


class AccountTable(Part):
    """Sorts and filters by itself; nothing of its rows is in a trait, so a saved notebook holds none.

    Args:
        on_open: Told the address when the user presses one.
    """

    _esm = (
        html_report.static("table.js")
        + static("message_order.js")
        + static("press_guard.js")
        + static("audit_table.js")
    )
    _css = static("style.css") + html_report.static("table.css")

    def __init__(self, *, on_open: Callable[[str], None] = lambda _address: None) -> None:
        self._on_open = on_open
        self.data: dict[str, Any] = {}
        super().__init__()

    def show(self, data: dict[str, Any]) -> None:
        """Show these rows (see :func:`msoauth.reports.html_report.table_data`)."""
        same = self.data.get("columns") == data["columns"]
        self.data = data
        self.send({"event": "data", "data": data, "same": same})

    def choose(self, key: str, value: str) -> None:
        """Set a filter: ``firm``, ``signal``, ``cause`` or ``change``; ``find`` for words in any column."""
        self.send({"event": "choose", "key": key, "value": value})

    def press(self, address: str) -> None:
        """What happens when the user presses an address."""
        self._on_open(address)

    def on_message(self, content: Mapping[str, Any], buffers: Sequence[bytes]) -> None:  # noqa: ARG002
        """A view came to be, or an address was pressed."""
        if content.get("event") == "ready" and self.data:
            self.send({"event": "data", "data": self.data, "same": True})
        elif content.get("event") == "open":
            self.press(str(content.get("value", "")))
