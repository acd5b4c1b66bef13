"""A person at the practice tenant's pages: reads the form, fills it in, sends it."""

from html.parser import HTMLParser
from urllib.parse import urljoin

import requests


class _Form(HTMLParser):
    """The first form of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.buttons: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = found.get("action", "")
        elif tag == "input" and found.get("type") == "checkbox" and "checked" not in found:
            pass  # browsers send of these what is ticked, and no administrator here consents for all
        elif tag == "input" and "name" in found:
            self.fields[found["name"]] = found.get("value", "")
        elif tag == "button" and "name" in found:
            self.buttons.add(found["name"])


def sign_in_as_a_person(
    url: str,
    user: str,
    password: str,
    *,
    patient: bool = True,
    answer: str = "accept",
    code: str = "",
) -> str:
    """Fill in page after page; the text of the last one, or of the one that will not go on.

    Args:
        answer: What is pressed on the page that asks for consent: ``accept`` or ``cancel``.
        code: The device code that the first page asks for.
    """
    with requests.Session() as browser:
        page = browser.get(url, timeout=20)
        for _step in range(8):
            form = _Form(page.text)
            if not form.action:
                return page.text
            page = browser.post(
                urljoin(page.url, form.action),
                data=_filled(form, user, password, answer, code),
                timeout=20,
            )
    assert not patient, page.text
    return page.text


def where_a_person_ends(url: str, user: str, password: str) -> str:
    """The address that the browser shows at the end, where nobody answers: a person can copy it."""
    with requests.Session() as browser:
        page = browser.get(url, timeout=20, allow_redirects=False)
        for _step in range(12):
            if page.is_redirect:
                to = urljoin(page.url, page.headers["Location"])
                if "state=" in to and ("code=" in to or "error=" in to):
                    return to
                page = browser.get(to, timeout=20, allow_redirects=False)
                continue
            form = _Form(page.text)
            assert form.action, page.text
            fields = _filled(form, user, password, "accept", "")
            to = urljoin(page.url, form.action)
            page = browser.post(to, data=fields, timeout=20, allow_redirects=False)
    raise AssertionError(page.text)


def _filled(form: _Form, user: str, password: str, answer: str, code: str) -> dict[str, str]:
    known = {"loginfmt": user, "passwd": password, "otc": code}
    fields = form.fields | {n: v for n, v in known.items() if n in form.fields}
    if "answer" in form.buttons:
        fields["answer"] = answer
    return fields
