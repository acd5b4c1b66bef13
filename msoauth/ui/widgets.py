"""Defines two widgets that ipywidgets lacks: a form that keeps secrets out of its state, and a view of HTML with buttons."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from markupsafe import Markup

from msoauth.sanitize import visible
from msoauth.ui.message_order import MessageNumber, current, handling


@cache
def static(name: str) -> str:
    """The text of a file in ``static/``, which goes to the browser."""
    return (Path(__file__).parent / "static" / name).read_text(encoding="utf-8")


class Part(anywidget.AnyWidget):
    """A widget that handles the browser's messages one at a time, in whatever threads the kernel delivers them.

    ipywidgets prints a callback's exception where nobody looks, so the panel that owns a part sets ``on_failure``
    to show it.
    """

    on_failure: Callable[[Exception], None] | None = None

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(self.receive)

    def receive(self, _widget: object, content: object, buffers: Any) -> None:
        """Handle a message as ipywidgets delivers it; ignore anything but a mapping.

        Raises:
            Exception: the handler raised it, and no ``on_failure`` is set.
        """
        if not isinstance(content, Mapping):
            return
        with handling(content):
            try:
                self.on_message(content, [bytes(buffer) for buffer in buffers or ()])
            except Exception as error:
                if self.on_failure is None:
                    raise
                self.on_failure(error)

    def on_message(self, content: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        """Handle a message of the browser."""
        raise NotImplementedError


class Form(Part):
    """Fields and buttons.

    A field is a dict with ``name``, ``label`` and, where wanted, ``kind`` (``text``, ``secret``, ``select``,
    ``date``, ``number``, ``checkbox``, ``textarea``, ``secret-area``, ``file``), ``hint``, ``placeholder``, ``options`` and, of a
    file, ``accept``. A button is a dict with ``name``, ``label``, ``primary`` and ``disabled``. What is typed into
    a ``secret`` field, or a ``secret-area`` of several lines, is kept in this process only: it is in no trait.
    The browser sends an input by itself and once more with the next button, each with its message number; an input
    that is older than the field's current value is dropped.

    Args:
        fold: The line that unfolds the form; empty for a form that is always visible.
        on_change: Called with the field's name when its value has changed.
        on_press: Called with the name of a button that was pressed.
        on_paste: Called with field and text when several lines were pasted into a one-line field.
        on_upload: Called with field, file name and content when a file was chosen.
    """

    _esm = static("message_order.js") + static("press_guard.js") + static("form.js")
    _css = static("style.css")

    fields: Any = traitlets.List().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    errors = traitlets.Dict().tag(sync=True)
    buttons: Any = traitlets.List().tag(sync=True)
    kept: Any = traitlets.List().tag(sync=True)  # names of the secret fields that have a value
    fold = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        fields: Sequence[Mapping[str, Any]],
        buttons: Sequence[Mapping[str, Any]],
        values: Mapping[str, Any] | None = None,
        *,
        fold: str = "",
        on_change: Callable[[str], None] = lambda _name: None,
        on_press: Callable[[str], None] = lambda _name: None,
        on_paste: Callable[[str, str], None] = lambda _name, _text: None,
        on_upload: Callable[[str, str, bytes], None] = lambda _name, _file, _content: None,
    ) -> None:
        self._secrets: dict[str, str] = {}
        self._latest_input: dict[
            str, MessageNumber | None
        ] = {}  # by field: the message with its current value
        self._successor: Form | None = None
        self._on_change, self._on_press, self._on_paste = on_change, on_press, on_paste
        self._on_upload = on_upload
        super().__init__(
            fields=[dict(f) for f in fields],
            buttons=[dict(b) for b in buttons],
            values=dict(values or {}),
            fold=fold,
        )

    def __repr__(self) -> str:
        return f"Form({[field['name'] for field in self.fields]})"

    def on_message(self, content: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        """Handle an input, a pressed button, a pasted block or an uploaded file."""
        event, name = content.get("event"), str(content.get("name", ""))
        if event == "input":
            self._on_input(name, content.get("value", ""), MessageNumber.of(content))
        elif event == "press":
            typed = content.get("typed")
            for field, sent in typed.items() if isinstance(typed, Mapping) else ():
                if isinstance(sent, Mapping) and "value" in sent:
                    self._on_input(field, sent["value"], MessageNumber.of({**content, **sent}))
            self._shown().press(name)
        elif event == "block":
            self._shown()._on_paste(name, str(content.get("text", "")))
        elif event == "file" and buffers:
            self._shown()._on_upload(name, str(content.get("file", "")), buffers[0])

    def _on_input(self, name: str, value: Any, number: MessageNumber | None) -> None:
        latest = self._latest_input.get(name)
        if number is not None and (number == latest or number.before(latest)):
            return
        if name not in {field["name"] for field in self.fields}:
            return
        self._latest_input[name] = number
        if self._successor is not None:  # typed just before this form was replaced
            self._shown().take(name, value)
        else:
            self.type(name, value)

    def _shown(self) -> "Form":
        """The form on screen: this one, or the one that has replaced it."""
        return self if self._successor is None else self._successor._shown()

    def type(self, name: str, value: Any) -> None:
        """Act as if *value* had been typed into the field."""
        if self._is_secret(name):
            self._keep(name, str(value))
        else:
            self.values = {**self.values, name: value}
        self._on_change(name)

    def press(self, name: str) -> None:
        """Act as if the button had been pressed, unless it is disabled."""
        if any(b["name"] == name and not b.get("disabled") for b in self.buttons):
            self._on_press(name)

    def text(self, name: str) -> str:
        """The value of a field that is not secret, as a string."""
        return str(self.values.get(name, ""))

    def typed(self, name: str) -> str:
        """The current text of a secret field, even while it is still being typed."""
        return self._secrets.get(name, "")

    def keep_secret(self, name: str, value: str) -> None:
        """Set a secret field to *value*; the browser only shows that there is one."""
        if self._may_fill(name):
            self._keep(name, value)
            self._set({name: "•" * 12 if value else ""})

    def clear_secret(self, name: str) -> None:
        """Empty a secret field, in this process and on screen."""
        self.keep_secret(name, "")

    def _keep(self, name: str, value: str) -> None:
        self._secrets = {n: v for n, v in {**self._secrets, name: value}.items() if v}
        self.kept = list(self._secrets)

    def fill(self, values: Mapping[str, Any]) -> None:
        """Set fields that are not secret, on screen too."""
        filled = {name: value for name, value in values.items() if self._may_fill(name)}
        self.values = {**self.values, **filled}
        self._set(filled)

    def _may_fill(self, name: str) -> bool:
        """Whether the user has typed nothing into the field since the message being handled was sent."""
        when = current()
        return when is None or not when.before(self._latest_input.get(name))

    def _set(self, values: Mapping[str, Any]) -> None:
        """Show values in the browser, except in fields that the user has typed into meanwhile."""
        when = current()
        self._latest_input.update(dict.fromkeys(values, when))
        page, number = when or (None, None)
        if values:
            self.send({"event": "set", "values": dict(values), "page": page, "number": number})

    def enable(self, **buttons: bool) -> None:
        """Enable or disable buttons by name."""
        self.buttons = [
            {**b, "disabled": not buttons[b["name"]]} if b["name"] in buttons else b
            for b in self.buttons
        ]

    def change_field(self, name: str, **changes: Any) -> None:
        """Change properties of a field, such as hint, options or placeholder."""
        self.fields = [{**f, **changes} if f["name"] == name else f for f in self.fields]

    def take(self, name: str, value: Any) -> None:
        """Set a field to what was typed into an older form, which this one had already replaced."""
        if not self._may_fill(name):
            return
        if self._is_secret(name):
            self.keep_secret(name, str(value))
        else:
            self.fill({name: value})
        self._on_change(name)

    def take_over(self, old_form: "Form") -> None:
        """Replace *old_form*, a form with the same fields in another language, and take over its values."""
        old_form._successor = self
        names = {field["name"] for field in self.fields}
        self.fill({name: value for name, value in old_form.values.items() if name in names})
        for name, secret in old_form._secrets.items():
            self.keep_secret(name, secret)
        self._latest_input = dict(old_form._latest_input)
        self.buttons = [
            {**b, "disabled": old_button.get("disabled", False)}
            for b in self.buttons
            for old_button in old_form.buttons
            if old_button["name"] == b["name"]
        ]
        self.layout.display = old_form.layout.display

    def _is_secret(self, name: str) -> bool:
        kinds = (f.get("kind", "text") for f in self.fields if f["name"] == name)
        return next(kinds, "text") in ("secret", "secret-area")


class View(Part):
    """HTML made by :mod:`msoauth.ui.html`, with buttons and choices.

    Elements with ``data-act`` call *on_action* with their name and value; those with ``data-copy`` copy their text.

    Args:
        live: Whether screen readers announce changes.
        on_action: Called with the name and value of a button or choice.
        on_visible: Called with the browser's language whenever the view becomes visible.
    """

    _esm = static("message_order.js") + static("press_guard.js") + static("view.js")
    _css = static("style.css")

    html = traitlets.Unicode("").tag(sync=True)
    live = traitlets.Bool(False).tag(sync=True)
    reports_visible = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        html: Markup | None = None,
        *,
        live: bool = False,
        on_action: Callable[[str, str], None] = lambda _name, _value: None,
        on_visible: Callable[[str], None] | None = None,
    ) -> None:
        self._on_action, self._on_visible = on_action, on_visible
        self._chosen: dict[str, MessageNumber | None] = {}  # by choice: the message that made it
        super().__init__(
            html=visible(html or ""), live=live, reports_visible=on_visible is not None
        )

    def show(self, html: Markup) -> None:
        """Show *html*; it must be Markup, so that everything from outside has been escaped."""
        self.html = visible(html)

    def reveal(self) -> None:
        """Scroll to the view if it is not visible."""
        self.send({"event": "reveal"})

    def act(self, name: str, value: str = "") -> None:
        """Act as if a ``data-act`` button had been clicked, or a choice made."""
        self._on_action(name, value)

    def download(self, name: str, content: bytes, kind: str) -> None:
        """Have the browser save *content* as a file called *name*."""
        self.send({"event": "download", "name": name, "kind": kind}, buffers=[content])

    def on_message(self, content: Mapping[str, Any], buffers: Sequence[bytes]) -> None:  # noqa: ARG002
        """Handle a click, a choice (unless it is older than the last one), the view becoming visible, or a request for the time."""
        event = content.get("event")
        if event == "act":
            self.act(str(content.get("name", "")), str(content.get("value", "")))
        elif event == "choose":
            name, when = str(content.get("name", "")), MessageNumber.of(content)
            if when is None or not when.before(self._chosen.get(name)):
                self._chosen[name] = when
                self.act(name, str(content.get("value", "")))
        elif event == "clock":
            self.send({"event": "clock", "now": time.time()})
        elif event == "visible" and self._on_visible is not None:
            self._on_visible(str(content.get("language", "")))
