"""The admin center as an administrator uses it: finds a form on the page, fills it in, sends it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.practice.browser import Browser, Form, Place, forms


@dataclass
class Admin:
    """An administrator's browser at the admin center, looking at one firm, app, user and mailbox."""

    place: Place
    browser: Browser
    looks_at: dict[str, str]

    @classmethod
    def at(cls, place: Place, **looks_at: str) -> "Admin":
        return cls(place, place.browser(), looks_at)

    def open(self, **more: Any) -> "Admin":
        query = urlencode(self.looks_at | {name: str(value) for name, value in more.items()})
        self.browser.open(f"{self.place.tenant.admin_url}&{query}")
        assert self.browser.status == 200
        return self

    @property
    def says(self) -> str:
        return self.browser.says

    def forms(self, change: str, on: str | None = None) -> list[Form]:
        """The forms of the page that make this change, to this thing."""
        return [
            f
            for f in forms(self.browser.page)
            if f.fields.get("change") == change and (on is None or f.fields["on"] == on)
        ]

    def send(self, change: str, on: str | None = None, status: int = 200, **values: str) -> "Admin":
        """Send the one form that makes this change; a value that it does not offer cannot be sent."""
        (form, *_same) = self.forms(change, on)
        for name, value in values.items():
            offered = form.options.get(name)
            assert offered is None or value in offered, f"{change} {on}: {value} is not offered"
        self.browser.submit(form, **values)
        assert self.browser.status == status, self.says
        return self

    def choose(self, setting: str, code: str) -> "Admin":
        """Set a setting, by its select or by the button for that value."""
        for form in self.forms("set", setting):
            if code in form.options.get("value", []) or form.fields.get("value") == code:
                self.browser.submit(form, value=code)
                assert self.browser.status == 200, self.says
                return self
        raise AssertionError(f"the page offers no way to set {setting} to {code}")
