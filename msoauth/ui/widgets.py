"""The two widgets that ipywidgets lacks: a form whose secrets stay out of the widget's state, and a live view."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from markupsafe import Markup

from msoauth.store import Secret

_STATIC = Path(__file__).parent / "static"


@cache
def _style() -> str:
    return (_STATIC / "style.css").read_text(encoding="utf-8")


class Form(anywidget.AnyWidget):
    """Fields and buttons.

    A field is a dict with ``name``, ``label`` and, where wanted, ``kind`` (``text``, ``secret``, ``select``,
    ``date``, ``number``, ``checkbox``, ``textarea``), ``hint``, ``placeholder`` and ``options``. A button is a
    dict with ``name``, ``label``, ``primary`` and ``disabled``. What is typed into a secret field is kept in
    this process only, as a :class:`Secret`: it is in no trait.
    """

    _esm = _STATIC / "form.js"
    _css = _style()

    fields: Any = traitlets.List().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    errors = traitlets.Dict().tag(sync=True)
    buttons: Any = traitlets.List().tag(sync=True)

    def __init__(
        self,
        fields: Sequence[Mapping[str, Any]],
        buttons: Sequence[Mapping[str, Any]],
        values: Mapping[str, Any] | None = None,
        *,
        changed: Callable[[str], None] = lambda _name: None,
        pressed: Callable[[str], None] = lambda _name: None,
        pasted: Callable[[str, str], None] = lambda _name, _text: None,
    ) -> None:
        self._secrets: dict[str, str] = {}
        self._changed, self._pressed, self._pasted = changed, pressed, pasted
        super().__init__(
            fields=[dict(f) for f in fields],
            buttons=[dict(b) for b in buttons],
            values=dict(values or {}),
        )
        self.on_msg(self._heard)

    def __repr__(self) -> str:
        return f"Form({[field['name'] for field in self.fields]})"

    def _heard(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        event, name = content.get("event"), str(content.get("name", ""))
        if event == "input":
            self.type(name, content.get("value", ""))
        elif event == "press":
            self.press(name)
        elif event == "block":
            self._pasted(name, str(content.get("text", "")))

    def type(self, name: str, value: Any) -> None:
        """What happens when the user types *value* into the field."""
        if self._kind(name) == "secret":
            self._secrets[name] = str(value)
        else:
            self.values = {**self.values, name: value}
        self._changed(name)

    def press(self, name: str) -> None:
        """What happens when the user presses the button, unless it is disabled."""
        if any(b["name"] == name and not b.get("disabled") for b in self.buttons):
            self._pressed(name)

    def text(self, name: str) -> str:
        """The value of a field that is not secret, as text."""
        value = self.values.get(name, "")
        return value if isinstance(value, str) else str(value)

    def typed(self, name: str) -> str:
        """What stands in a secret field so far, to be judged as it is typed."""
        return self._secrets.get(name, "")

    def secret(self, name: str) -> Secret | None:
        """What was typed into a secret field, if anything."""
        value = self._secrets.get(name, "").strip()
        return Secret(value) if value else None

    def keep_secret(self, name: str, value: str) -> None:
        """Take *value* for the secret field as if it had been typed there."""
        self._secrets[name] = value
        self.send({"event": "set", "values": {name: "•" * 12}})

    def clear_secret(self, name: str) -> None:
        """Forget a secret, here and on screen."""
        self._secrets.pop(name, None)
        self.send({"event": "set", "values": {name: ""}})

    def fill(self, values: Mapping[str, Any]) -> None:
        """Set fields, on screen too."""
        self.values = {**self.values, **values}
        self.send({"event": "set", "values": dict(values)})

    def enable(self, **buttons: bool) -> None:
        """Enable or disable buttons by name."""
        self.buttons = [
            {**b, "disabled": not buttons[b["name"]]} if b["name"] in buttons else b
            for b in self.buttons
        ]

    def change_field(self, name: str, **changes: Any) -> None:
        """Change a field's hint, options or placeholder."""
        self.fields = [{**f, **changes} if f["name"] == name else f for f in self.fields]

    def _kind(self, name: str) -> str:
        return next((f.get("kind", "text") for f in self.fields if f["name"] == name), "text")


class View(anywidget.AnyWidget):
    """HTML made by :mod:`msoauth.ui.html`; ``data-act`` buttons call *acted*, ``data-copy`` buttons copy."""

    _esm = _STATIC / "view.js"
    _css = _style()

    html = traitlets.Unicode("").tag(sync=True)
    live = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        html: Markup | None = None,
        *,
        live: bool = False,
        acted: Callable[[str, str], None] = lambda _name, _value: None,
    ) -> None:
        self._acted = acted
        super().__init__(html=str(html or ""), live=live)
        self.on_msg(self._heard)

    def show(self, html: Markup) -> None:
        """Show this; Markup only, so that what comes from outside was escaped."""
        self.html = str(html)

    def act(self, name: str, value: str = "") -> None:
        """What happens when the user presses a ``data-act`` button."""
        self._acted(name, value)

    def _heard(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        if content.get("event") == "act":
            self.act(str(content.get("name", "")), str(content.get("value", "")))
