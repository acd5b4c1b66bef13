"""Chooses the sign-in flow that can work where this program runs, and says why."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from msoauth.model import Firm
from msoauth.texts import _

Flow = Literal["browser", "device", "paste"]

LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class FlowChoice:
    """A sign-in flow.

    Attributes:
        flow: The flow that can work here.
        reason: Why this one, as a sentence for people.
    """

    flow: Flow
    reason: str


def choose_flow(
    firm: Firm,
    *,
    has_secret: bool,
    challenged: bool = False,
    environ: Mapping[str, str] = os.environ,
    root: Path = Path("/"),
    platform: str = sys.platform,
) -> FlowChoice:
    """The flow that can work for this firm on this computer.

    Args:
        has_secret: Whether the app is a confidential client; such an app gets no tokens by device code unless
            "Allow public client flows" is on (facts C2, C4).
        challenged: Whether a claims challenge is to be passed on; a policy that asks for more than a password
            is satisfied in a browser, and often forbids the device code.
        environ, root, platform: Where to look for signs of the environment; other values are for tests.
    """
    redirect = urlsplit(firm.redirect_uri)
    if redirect.scheme != "http" or redirect.hostname not in LOOPBACK:
        why = _("The redirect URI {uri} does not lead to this computer.")
        return _flow_for_remote_browser(why.format(uri=firm.redirect_uri), has_secret, challenged)
    service = _hosting_service(environ)
    if service:
        why = _("This runs in {place}, not on the computer with the browser.").format(place=service)
        return _flow_for_remote_browser(why, has_secret, challenged)
    if urlsplit(firm.cloud.authority).hostname in LOOPBACK:
        # The sign-in pages are on this computer, so the browser that shows them reaches the listener too.
        return FlowChoice(
            "browser", _("The sign-in pages are on this computer, and so is the answer.")
        )
    why = _why_browser_is_elsewhere(environ, root, platform)
    if why:
        return _flow_for_remote_browser(why, has_secret, challenged)
    return FlowChoice("browser", _("The browser is on this computer."))


def _flow_for_remote_browser(why: str, has_secret: bool, challenged: bool) -> FlowChoice:
    """The choice when, for the reason *why*, the browser is on another computer."""
    if challenged:
        advice = _(
            "A policy asks for more than a password: a link to open in a browser can answer it."
        )
        return FlowChoice("paste", f"{why} {advice}")
    if has_secret:
        advice = _("For an app with a client secret a link to send works without further settings.")
        return FlowChoice("paste", f"{why} {advice}")
    advice = _("A code can be entered on any computer.")
    return FlowChoice("device", f"{why} {advice}")


def _hosting_service(environ: Mapping[str, str]) -> str:
    """The hosted notebook service that runs this program, or empty."""
    names = (name for name, variables in _HOSTING_SERVICES.items() if variables & environ.keys())
    return next(names, "")


# By the service's name: environment variables that it sets. Binder runs on JupyterHub, so it comes first.
_HOSTING_SERVICES = {
    "Binder": {"BINDER_SERVICE_HOST", "BINDER_REPO_URL", "BINDER_REQUEST"},
    "JupyterHub": {"JUPYTERHUB_API_URL", "JUPYTERHUB_USER"},
    "GitHub Codespaces": {"CODESPACES"},
    "Google Colab": {"COLAB_RELEASE_TAG"},
}


def _why_browser_is_elsewhere(environ: Mapping[str, str], root: Path, platform: str) -> str:
    """Why the user's browser is probably on another computer, or empty."""
    if any(name in environ for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")):
        return _("This runs on a computer that you are connected to by SSH.")
    if "KUBERNETES_SERVICE_HOST" in environ or any(
        (root / mark).exists() for mark in (".dockerenv", "run/.containerenv")
    ):
        return _("This runs in a container, whose ports the browser does not reach.")
    if not has_screen(environ, platform):
        return _("This computer has no screen, so the browser is on another one.")
    return ""


def has_screen(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Whether this session can show windows: on Linux only if it says so; WSL shows those of Windows."""
    return platform != "linux" or any(
        name in environ for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER")
    )
