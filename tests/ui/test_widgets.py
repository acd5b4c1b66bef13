"""Forms and views whose messages a kernel hears in another order than they were sent, or in two threads."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from msoauth.ui.widgets import Form, View


@pytest.fixture(autouse=True)
def _a_page_was_loaded() -> None:
    """The latest message is one of another page, not one of an earlier test."""
    View().receive(None, {"event": "visible", "page": "another page", "number": 1}, [])


@pytest.fixture
def pressed() -> list[tuple[str, str, str]]:
    """The buttons pressed, each with the ID and the secret as they were then."""
    return []


@pytest.fixture
def form(pressed: list[tuple[str, str, str]]) -> Form:
    made = Form(
        [{"name": "id", "label": "ID"}, {"name": "secret", "label": "Secret", "kind": "secret"}],
        [{"name": "go", "label": "Go"}],
        on_press=lambda name: pressed.append((name, made.text("id"), made.typed("secret"))),
    )
    return made


def hear(part: Form | View, number: int, page: str = "p", **message: Any) -> None:
    part.receive(part, {**message, "page": page, "number": number}, [])


def sent(form: Form, monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    messages: list[Mapping[str, Any]] = []
    monkeypatch.setattr(form, "send", messages.append)
    return messages


def test_what_was_typed_before_a_field_was_filled_is_dropped_when_it_is_heard_late(
    form: Form,
) -> None:
    filler = View(on_action=lambda _name, _value: form.fill({"id": "filled"}))
    hear(filler, 2, event="act", name="practice")
    hear(form, 1, event="input", name="id", value="not a guid")
    assert form.text("id") == "filled"


def test_what_was_typed_after_a_field_was_filled_counts_also_when_it_was_heard_before(
    form: Form, pressed: list[tuple[str, str, str]]
) -> None:
    filler = View(on_action=lambda _name, _value: form.fill({"id": "filled"}))
    hear(form, 3, event="input", name="id", value="mine")
    hear(filler, 2, event="act", name="practice")
    hear(form, 3, event="press", name="go", typed={"id": {"value": "mine", "number": 3}})
    assert pressed == [("go", "mine", "")]


def test_of_two_things_typed_the_later_counts(form: Form) -> None:
    hear(form, 2, event="input", name="id", value="whole")
    hear(form, 1, event="input", name="id", value="wh")
    assert form.text("id") == "whole"


def test_a_button_brings_what_was_typed_before_it_secrets_too(
    form: Form, pressed: list[tuple[str, str, str]]
) -> None:
    typed = {"id": {"value": "late", "number": 1}, "secret": {"value": "s3cret", "number": 2}}
    hear(form, 3, event="press", name="go", typed=typed)
    assert pressed == [("go", "late", "s3cret")]
    assert "s3cret" not in repr(form.get_state())


def test_a_button_brings_back_nothing_that_was_filled_since(
    form: Form, pressed: list[tuple[str, str, str]]
) -> None:
    filler = View(on_action=lambda _name, _value: form.fill({"id": "filled"}))
    hear(filler, 2, event="act", name="practice")
    hear(form, 3, event="press", name="go", typed={"id": {"value": "old", "number": 1}})
    assert pressed == [("go", "filled", "")]


def test_what_comes_once_more_with_a_button_is_typed_only_once(pressed: list[Any]) -> None:
    changed: list[str] = []
    form = Form(
        [{"name": "id", "label": "ID"}],
        [{"name": "go", "label": "Go"}],
        on_change=changed.append,
        on_press=pressed.append,
    )
    hear(form, 2, event="press", name="go", typed={"id": {"value": "mine", "number": 1}})
    hear(form, 1, event="input", name="id", value="mine")
    assert (changed, pressed) == (["id"], ["go"])


def test_what_a_worker_filled_stands_until_the_browser_types_again(
    form: Form, pressed: list[tuple[str, str, str]]
) -> None:
    hear(form, 1, event="input", name="id", value="mine")
    form.fill({"id": "worker's"})
    # Pressed before the filling was on screen, where it will be by the time of the answer.
    hear(form, 2, event="press", name="go", typed={"id": {"value": "mine", "number": 1}})
    assert pressed == [("go", "worker's", "")]


def test_a_button_heard_late_fills_nothing_that_was_typed_after_it(
    form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(name: str, _value: str) -> None:
        form.fill({"id": "filled"})
        if name == "keep":
            form.keep_secret("secret", "kept")
        else:
            form.clear_secret("secret")

    filler = View(on_action=act)
    hear(form, 4, event="input", name="id", value="mine")
    hear(form, 5, event="input", name="secret", value="s3cret")
    messages = sent(form, monkeypatch)
    for number, name in enumerate(("keep", "clear"), 2):
        hear(filler, number, event="act", name=name)
        assert (form.text("id"), form.typed("secret")) == ("mine", "s3cret")
    assert [message["values"] for message in messages] == []


def test_a_form_in_another_language_takes_what_is_heard_late_of_the_former(
    form: Form, pressed: list[tuple[str, str, str]]
) -> None:
    heir = Form(
        form.fields,
        form.buttons,
        on_press=lambda name: pressed.append((name, heir.text("id"), heir.typed("secret"))),
    )
    hear(form, 1, event="input", name="id", value="mine")
    view = View(on_action=lambda _name, _value: heir.take_over(form))
    hear(view, 4, event="choose", name="choose-language", value="de")
    hear(form, 2, event="input", name="id", value="mine too")
    hear(heir, 6, event="input", name="secret", value="later")
    hear(form, 3, event="input", name="secret", value="s3cret")
    assert (heir.text("id"), heir.typed("secret")) == ("mine too", "later")
    hear(form, 5, event="press", name="go", typed={"id": {"value": "all mine", "number": 4}})
    assert pressed == [("go", "all mine", "later")]


def test_of_two_choices_the_later_counts() -> None:
    acted: list[tuple[str, str]] = []
    bar = View(on_action=lambda name, value: acted.append((name, value)))
    hear(bar, 2, event="choose", name="account", value="nora")
    hear(bar, 1, event="choose", name="account", value="max")
    hear(bar, 1, event="choose", name="firm", value="contoso")
    assert acted == [("account", "nora"), ("firm", "contoso")]


@pytest.mark.parametrize(
    "content",
    [
        *(None, [], "press", {}, {"event": 1}, {"event": "input"}, {"event": "press"}),
        {"event": "input", "name": [], "value": {}, "page": {}, "number": "1"},
        {"event": "press", "name": {}, "typed": None},
        {"event": "press", "name": "go", "typed": ["id"]},
        {"event": "press", "name": "go", "typed": {"id": "mine"}},
        {"event": "press", "name": "go", "typed": {"id": {"number": 1}}, "page": "p", "number": 2},
        {"event": "input", "name": "unknown", "value": "x"},
        {"event": "block", "name": None, "text": None},
        {"event": "file", "name": None},
    ],
)
def test_a_message_that_makes_no_sense_does_nothing(form: Form, content: Any) -> None:
    before = form.get_state()
    form.receive(form, content, None)
    View().receive(form, content, None)
    assert form.get_state() == before


def test_a_page_loaded_anew_or_a_second_one_counts_for_itself(form: Form) -> None:
    hear(form, 9, event="input", name="id", value="before")
    hear(form, 1, page="another", event="input", name="id", value="after")
    assert form.text("id") == "after"


def test_a_message_that_does_not_say_when_it_was_made_is_heard(
    form: Form, pressed: list[tuple[str, str, str]]
) -> None:
    hear(form, 9, event="input", name="id", value="before")
    form.receive(form, {"event": "input", "name": "id", "value": "after"}, [])
    form.receive(form, {"event": "press", "name": "go"}, [])
    assert pressed == [("go", "after", "")]


def test_a_filled_field_says_which_message_it_answers(
    form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = sent(form, monkeypatch)
    filler = View(on_action=lambda _name, _value: form.fill({"id": "filled"}))
    hear(filler, 4, event="act", name="practice")
    hear(filler, 5, event="act", name="practice")
    assert [(m["page"], m["number"]) for m in messages] == [("p", 4), ("p", 5)]


def test_a_workers_filling_answers_to_the_newest_message(
    form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = sent(form, monkeypatch)
    hear(form, 7, event="input", name="id", value="mine")
    hear(form, 6, event="input", name="secret", value="s3cret")
    worker = threading.Thread(target=lambda: form.clear_secret("secret"))
    worker.start()
    worker.join()
    assert [(m["page"], m["number"]) for m in messages] == [("p", 7)]


def test_a_page_loaded_anew_is_told_that_a_secret_is_kept_but_not_which(form: Form) -> None:
    hear(form, 1, event="input", name="secret", value="s3cret")
    assert form.kept == ["secret"]
    form.clear_secret("secret")
    assert form.kept == []
    form.keep_secret("secret", "s3cret")
    assert form.kept == ["secret"]
    hear(form, 2, event="input", name="secret", value="")
    assert form.kept == []
    assert "s3cret" not in repr(form.get_state())


def test_messages_in_two_threads_are_heard_one_after_the_other() -> None:
    inside, go_on, seen = threading.Event(), threading.Event(), list[str]()

    def act(name: str, _value: str) -> None:
        if name == "first":
            inside.set()
            assert go_on.wait(10)
        seen.append(name)

    view, other = View(on_action=act), View(on_action=act)
    first = threading.Thread(target=hear, args=(view, 1), kwargs={"event": "act", "name": "first"})
    first.start()
    assert inside.wait(10)
    second = threading.Thread(target=hear, args=(other, 2), kwargs={"event": "act", "name": "then"})
    second.start()
    second.join(0.2)  # were it not held up, it would have ended long ago
    assert second.is_alive()
    go_on.set()
    first.join(10)
    second.join(10)
    assert seen == ["first", "then"]


def test_a_view_is_told_this_computers_clock_when_it_appears(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    view, messages = View(), list[Mapping[str, Any]]()
    monkeypatch.setattr(view, "send", messages.append)
    before = time.time()
    view.receive(view, {"event": "clock"}, [])
    [message] = messages
    assert message["event"] == "clock"
    assert before <= message["now"] <= time.time()
