"""Shows audited accounts in a sortable, filterable table, of whose thousands of rows only the visible ones are drawn."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msoauth.reports import html_report
from msoauth.ui.widgets import Part, static


class AccountTable(Part):
    """The table widget. Its rows travel as messages and are in no trait, so a saved notebook contains none of them.

    Args:
        on_open: Called with the address that the user clicked.
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
        same_columns = self.data.get("columns") == data["columns"]
        self.data = data
        self.send({"event": "data", "data": data, "same": same_columns})

    def choose(self, key: str, value: str) -> None:
        """Set a filter: ``firm``, ``signal``, ``cause`` or ``change``; ``find`` for words in any column."""
        self.send({"event": "choose", "key": key, "value": value})

    def press(self, address: str) -> None:
        """Act as if the address had been clicked."""
        self._on_open(address)

    def on_message(self, content: Mapping[str, Any], buffers: Sequence[bytes]) -> None:  # noqa: ARG002
        """Send the rows to a view that has just been drawn, or open the account that was clicked."""
        if content.get("event") == "ready" and self.data:
            self.send({"event": "data", "data": self.data, "same": True})
        elif content.get("event") == "open":
            self.press(str(content.get("value", "")))
