"""Signs in at the practice tenant's pages as a person would: reads each page's form, fills it in, and submits it."""

from html.parser import HTMLParser
from urllib.parse import urljoin

import requests


class _Form(HTMLParser):
    """The first form of an HTML page: where it is sent, its fields with their values, and its named buttons."""

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
            pass  # browsers send only ticked boxes, and nobody here consents for the whole organization
        elif tag == "input" and "name" in found:
            self.fields[found["name"]] = found.get("value", "")
        elif tag == "button" and "name" in found:
            self.buttons.add(found["name"])


def sign_in_as_a_person(
    url: str,
    user: str,
    password: str,
    *,
    must_finish: bool = True,
    answer: str = "accept",
    code: str = "",
) -> str:
    """Fill in every page of a sign-in; returns the text of the last one.

    Args:
        must_finish: Fail when after eight pages there is still a form; otherwise return that page's text.
        answer: Which button is pressed on the page that asks for consent: ``accept`` or ``cancel``.
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
    assert not must_finish, page.text
    return page.text


def final_sign_in_address(url: str, user: str, password: str) -> str:
    """Sign in; returns the redirect address with the code or error, which the browser would show without loading it."""
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
    """The fields of *form* with what a person types, and the button that is pressed."""
    known = {"loginfmt": user, "passwd": password, "otc": code}
    fields = form.fields | {n: v for n, v in known.items() if n in form.fields}
    if "answer" in form.buttons:
        fields["answer"] = answer
    return fields
