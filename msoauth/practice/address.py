"""The public address of the browser pages: loopback, or a proxy's."""

import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(slots=True)
class Address:
    """The public address of the browser pages.

    Attributes:
        base: The base URL as configured; empty for loopback. ``{port}`` in it stands for the port.
            A path alone, such as ``/user/x/proxy/{port}``, leaves the host to the browser: then every
            Host header is answered, so it is for containers that only the proxy can reach.
        port: The port that the pages are served on.
        token: Opens what is not Microsoft's: the admin center, and all below ``/practice/``. Whoever else works on
            this computer does not know it.
    """

    base: str = ""
    port: int = 0
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def url(self) -> str:
        """The URL of the pages, without a slash at the end."""
        if not self.base:
            return f"http://localhost:{self.port}"
        return self.base.replace("{port}", str(self.port)).rstrip("/")

    @property
    def admin(self) -> str:
        """The URL of the admin center, with the token."""
        return f"{self.url}/admin?token={self.token}"

    def serves(self, host: str) -> bool:
        """Whether a Host header names this address; anything else may be DNS rebinding by a web page."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name.lower() in LOOPBACK:
            return True
        public = urlsplit(self.url).netloc
        return host.lower() == public.lower() if public else bool(self.base)

    def cookie_path(self, host: str) -> str:
        """The path for cookies: everything when the browser came directly, else the proxy's prefix."""
        direct = any(host.lower() == f"{name}:{self.port}" for name in LOOPBACK)
        return "/" if direct else urlsplit(self.url).path or "/"
