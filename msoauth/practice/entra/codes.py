"""Codes that were handed out and wait to be redeemed: of the redirect, and of the device flow."""

from dataclasses import dataclass, field

from msoauth.practice.entra.clients import Client
from msoauth.practice.state import Tenant, User

CODE_SECONDS = 600  # about ten minutes (facts B6)
DEVICE_SECONDS = 900


@dataclass(slots=True)
class Code:
    """An authorization code that was handed out."""

    client: Client
    tenant: Tenant
    user: User
    redirect_uri: str
    platform: str
    scope: str
    challenge: str
    challenge_method: str
    nonce: str
    issued: float
    signed_in: float
    amr: list[str]
    redeemed: bool = False


@dataclass(slots=True)
class Device:
    """A device code that was handed out; ``tenant`` and ``user`` are set when somebody approved it."""

    client: Client
    scope: str
    user_code: str
    issued: float
    tenant: Tenant | None = None
    user: User | None = None
    declined: bool = False
    polled: float = 0.0
    amr: list[str] = field(default_factory=list)
