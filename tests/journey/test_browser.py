"""The browser's side of forms, views and the table by itself: what a person does while the kernel draws."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from markupsafe import Markup
from playwright.sync_api import JSHandle, Locator, Page, expect

from msoauth.reports.html_report import table_data
from msoauth.ui import html
from msoauth.ui.audit_table import AccountTable
from msoauth.ui.widgets import Form, View

pytestmark = [pytest.mark.real("chromium"), pytest.mark.xdist_group("journey")]

# What anywidget gives a module, with what was sent to the kernel to be looked at.
MODEL = """([code, state]) => {
    const heard = {}, sent = [];
    const told = (event, ...rest) => (heard[event] ?? []).forEach((listener) => listener(...rest));
    const model = {
        get: (name) => state[name],
        on: (event, listener) => (heard[event] ??= []).push(listener),
        off: (event, listener) => { heard[event] = heard[event].filter((one) => one !== listener); },
        send: (message) => sent.push(message),
    };
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    return import(url).then(({ default: widget }) => ({
        sent,
        show() {
            const el = document.body.appendChild(document.createElement("div"));
            const end = widget.render({ model, el });
            return () => { end(); el.remove(); };
        },
        set(name, value) { state[name] = value; told(`change:${name}`); },
        tell: (message) => told("msg:custom", message, []),
    }));
}"""


class Shown:
    """A widget of the kernel's, on a page without one."""

    def __init__(self, page: Page, widget: Form | View | AccountTable) -> None:
        state = {name: value for name, value in widget.get_state().items() if name[0] != "_"}
        state.pop("layout", None)
        state.pop("tooltip", None)
        self._browser = page.evaluate_handle(MODEL, [widget.get_state()["_esm"], state])
        self.view()

    def view(self) -> JSHandle:
        """One more view of it; a function that takes it away."""
        return self._browser.evaluate_handle("browser => browser.show()")

    def set(self, name: str, value: Any) -> None:
        """The kernel changes a trait."""
        self._browser.evaluate(
            "(browser, [name, value]) => browser.set(name, value)", [name, value]
        )

    def tell(self, message: dict[str, Any]) -> None:
        """The kernel sends a message."""
        self._browser.evaluate("(browser, message) => browser.tell(message)", message)

    def sent(self, event: str) -> list[dict[str, Any]]:
        """What the kernel was sent of this kind so far."""
        sent: list[dict[str, Any]] = self._browser.evaluate("browser => browser.sent")
        return [message for message in sent if message["event"] == event]


def press_while(page: Page, button: Locator, happens: Callable[[], None]) -> None:
    """Press a button of the mouse there, and let it go after something happened."""
    button.hover()
    page.mouse.down()
    happens()
    page.mouse.up()


def a_view(*names: str) -> str:
    return str(Markup("").join(html.button(name, name) for name in names))


def a_form() -> Form:
    return Form(
        [
            {"name": "id", "label": "ID"},
            {"name": "secret", "label": "Secret", "kind": "secret"},
            {"name": "more", "label": "More", "kind": "checkbox"},
        ],
        [{"name": "go", "label": "Go", "primary": True}, {"name": "stop", "label": "Stop"}],
        {"id": "", "more": False},
    )


def test_a_view_that_is_drawn_anew_under_the_mouse_still_hears_its_button(page: Page) -> None:
    view = Shown(page, View(Markup(a_view("Cancel"))))  # noqa: S704 - made above
    press_while(
        page,
        page.get_by_role("button", name="Cancel"),
        lambda: view.set("html", a_view("Other", "Cancel")),
    )
    assert [message["name"] for message in view.sent("act")] == ["Cancel"]
    expect(page.get_by_role("button", name="Other")).to_be_visible()


def test_the_space_bar_too(page: Page) -> None:
    view = Shown(page, View(Markup(a_view("Cancel"))))  # noqa: S704 - made above
    page.get_by_role("button", name="Cancel").focus()
    page.keyboard.down(" ")
    view.set("html", a_view("Other", "Cancel"))
    page.keyboard.up(" ")
    assert [message["name"] for message in view.sent("act")] == ["Cancel"]
    expect(page.get_by_role("button", name="Other")).to_be_visible()


def test_a_double_click_presses_once(page: Page) -> None:
    view = Shown(page, View(Markup(a_view("Cancel"))))  # noqa: S704 - made above
    form = Shown(page, a_form())
    page.get_by_role("button", name="Cancel").dblclick()
    page.get_by_role("button", name="Go").dblclick()
    assert len(view.sent("act")) == len(form.sent("press")) == 1
    page.get_by_role("button", name="Go").click()
    assert len(form.sent("press")) == 2


def test_what_is_drawn_does_not_wait_for_what_is_no_press(page: Page) -> None:
    view = Shown(page, View(Markup("<p>one</p>")))
    press_while(
        page, page.get_by_text("one"), lambda: view.set("html", "<p>two</p><button>b</button>")
    )
    page.get_by_role("button").hover()
    page.mouse.down(button="right")
    view.set("html", "<p>three</p>")
    expect(page.get_by_text("three")).to_be_visible()


def test_a_long_list_that_is_drawn_anew_stays_where_it_was_scrolled_to(page: Page) -> None:
    def rows(state: str) -> str:
        rows = [[f"user{n}", state, html.button(f"Check {n}", "check")] for n in range(100)]
        return str(html.table(["Who", "State", "Action"], rows, label="Mailboxes"))

    view = Shown(page, View(Markup(rows("old"))))  # noqa: S704 - made above
    page.add_style_tag(content=View().get_state()["_css"])
    region = page.get_by_role("region", name="Mailboxes")
    region.evaluate("region => { region.scrollTop = 500; }")
    view.set("html", rows("new"))
    expect(region).to_contain_text("new")
    assert region.evaluate("region => region.scrollTop") == 500


def test_an_error_that_moves_a_button_under_the_mouse_loses_no_press(page: Page) -> None:
    form = Shown(page, a_form())
    page.get_by_label("ID").fill("not a guid")

    def judged() -> None:
        form.set("errors", {"id": "This is not an ID. " * 50})
        form.set(
            "buttons",
            [
                {"name": "go", "label": "Go", "primary": True},
                {"name": "stop", "label": "Stop", "disabled": True},
            ],
        )
        form.set("fields", [*a_form().fields, {"name": "late", "label": "Late"}])

    press_while(page, page.get_by_role("button", name="Go"), judged)
    assert [message["name"] for message in form.sent("press")] == ["go"]
    expect(page.get_by_text("This is not an ID.")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    expect(page.get_by_label("Late")).to_be_visible()


def test_an_error_above_in_another_form_too(page: Page) -> None:
    above, below = Shown(page, a_form()), Shown(page, a_form())
    press_while(
        page,
        page.get_by_role("button", name="Go").last,
        lambda: above.set("errors", {"id": "This is not an ID. " * 50}),
    )
    assert [message["name"] for message in below.sent("press")] == ["go"]


def test_a_button_keeps_the_focus_when_others_are_disabled(page: Page) -> None:
    form = Shown(page, a_form())
    page.get_by_role("button", name="Go").focus()
    form.set(
        "buttons",
        [
            {"name": "go", "label": "Go", "primary": True},
            {"name": "stop", "label": "Stop", "disabled": True},
        ],
    )
    expect(page.get_by_role("button", name="Go")).to_be_focused()
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    form.set("buttons", a_form().buttons)
    expect(page.get_by_role("button", name="Stop")).to_be_enabled()


def test_an_account_may_be_pressed_while_the_audit_draws_the_table(page: Page) -> None:
    table = Shown(page, AccountTable())
    data = table_data([]) | {"rows": []}
    row = ["" for _ in data["columns"]]
    row[[column["key"] for column in data["columns"]].index("account")] = "anna@contoso.example"
    table.tell({"event": "data", "data": data | {"rows": [row]}, "same": False})
    anna = page.get_by_role("button", name="anna@contoso.example")
    press_while(
        page,
        anna,
        lambda: table.tell({"event": "data", "data": data | {"rows": [row, row]}, "same": True}),
    )
    assert [message["value"] for message in table.sent("open")] == ["anna@contoso.example"]
    expect(anna).to_have_count(2)


def test_a_second_view_of_the_table_leaves_the_filter_of_the_first(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget, answers = AccountTable(), list[dict[str, Any]]()
    monkeypatch.setattr(widget, "send", answers.append)
    widget.show(table_data([]))
    widget.on_message({"event": "ready"}, [])
    table = Shown(page, widget)
    table.tell(answers[0])
    page.get_by_role("searchbox").fill("anna")
    table.view()
    table.tell(answers[1])
    expect(page.get_by_role("searchbox")).to_have_count(2)
    expect(page.get_by_role("searchbox").first).to_have_value("anna")


def test_another_view_shows_what_was_typed_but_keeps_its_own(page: Page) -> None:
    form = Shown(page, a_form())
    form.view()
    first, second = page.get_by_label("ID").first, page.get_by_label("ID").last
    first.fill("one")
    form.set("values", {"id": "one", "more": True})
    form.set("kept", ["secret"])
    expect(second).to_have_value("one")
    expect(page.get_by_label("Secret").last).to_have_value("•" * 12)
    expect(page.get_by_label("More").last).to_be_checked()
    first.fill("one and more")
    form.set("values", {"id": "one", "more": False})
    expect(first).to_have_value("one and more")
    expect(page.get_by_label("More").last).not_to_be_checked()


def test_a_page_loaded_anew_shows_that_a_secret_was_typed(page: Page) -> None:
    form = a_form()
    form.type("secret", "s3cret")
    Shown(page, form)
    expect(page.get_by_label("Secret")).to_have_value("•" * 12)


def test_the_last_keys_are_told_when_a_form_is_taken_away(page: Page) -> None:
    form = Shown(page, a_form())
    end = form.view()
    page.get_by_label("ID").last.evaluate("field => field.name = 'mine'")
    end.evaluate("""end => {
        const field = document.querySelector("[name=mine]");
        field.value = "whole";
        field.dispatchEvent(new Event("input", { bubbles: true }));
        end();
    }""")
    assert [message["value"] for message in form.sent("input")] == ["whole"]


def test_enter_presses_the_first_button_once_with_what_was_typed(page: Page) -> None:
    form = Shown(page, a_form())
    page.get_by_label("ID").fill("mine")
    page.get_by_label("More").check()
    page.get_by_label("ID").press("Enter")
    (press,) = form.sent("press")
    assert (press["name"], press["typed"]["id"]["value"], press["typed"]["more"]["value"]) == (
        "go",
        "mine",
        True,
    )
    assert sorted(message["name"] for message in form.sent("input")) == ["id", "more"]


def test_a_choice_says_that_it_is_one_and_when_it_was_made(page: Page) -> None:
    view = Shown(page, View(html.select("who", "Who", [("a", "A"), ("b", "B")], "a")))
    page.get_by_label("Who").select_option("b")
    page.get_by_label("Who").select_option("a")
    first, second = view.sent("choose")
    assert (first["name"], first["value"], second["value"]) == ("who", "b", "a")
    assert first["page"] == second["page"]
    assert first["number"] < second["number"]


def test_seconds_are_those_of_the_kernels_clock_on_a_page_loaded_anew_too(page: Page) -> None:
    ahead = 3600  # seconds by which the kernel's clock is ahead of this browser's
    kernel = time.time() + ahead
    drawn = Markup('<b data-until="{}"></b><i data-since="{}"></i>').format(
        kernel + 90, kernel - 60
    )
    shown = Shown(page, View(drawn))
    assert len(shown.sent("clock")) == 1
    shown.tell({"event": "clock", "now": time.time() + ahead})
    expect(page.locator("b")).to_have_text(re.compile(r"^1:[0-3]\d$"))
    expect(page.locator("i")).to_have_text(re.compile(r"^1:\d\d$"))
