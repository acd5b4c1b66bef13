"""The token endpoint: every grant, as functions from a form to an answer."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from msoauth.practice.entra import apps
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.state import Firm, User, World, new_id
from msoauth.practice.tokens import Signer

CODE_SECONDS = 600  # about ten minutes (facts B6)
DEVICE_SECONDS = 900
REFRESH_IDLE_SECONDS = 90 * 86400
ACCESS_SECONDS = 75 * 60  # Entra draws 60 to 90 minutes at random, 75 on average
POLL_SECONDS = 5


@dataclass(slots=True)
class Code:
    """An authorization code that was handed out."""

    firm: Firm
    user: User
    path_tenant: str
    redirect_uri: str
    platform: str
    scope: str
    challenge: str
    nonce: str
    issued: float
    amr: list[str]
    redeemed: bool = False


@dataclass(slots=True)
class Device:
    """A device code that was handed out; ``user`` is set when somebody approved it."""

    firm: Firm
    scope: str
    user_code: str
    issued: float
    user: User | None = None
    declined: bool = False
    amr: list[str] = field(default_factory=list)


class Authority:
    """Hands out codes and tokens, and judges those it gets back."""

    def __init__(self, world: World, signer: Signer) -> None:
        self.world = world
        self.signer = signer
        self.codes: dict[str, Code] = {}
        self.devices: dict[str, Device] = {}
        self._refresh_key = secrets.token_bytes(32)

    # -- what the pages hand out -------------------------------------------------------------

    def new_code(self, code: Code) -> str:
        """A code for the redirect; over a kilobyte long, as the real ones are."""
        now = self.world.clock.time()
        for old in [
            text for text, kept in self.codes.items() if now - kept.issued > 4 * CODE_SECONDS
        ]:
            del self.codes[old]
        text = "1.AXk" + secrets.token_urlsafe(800)
        self.codes[text] = code
        return text

    def device(self, user_code: str) -> Device | None:
        """The pending device code that a person entered."""
        wanted = user_code.strip().upper().replace("-", "")
        return next((d for d in self.devices.values() if d.user_code == wanted), None)

    def start_device(self, path_tenant: str, form: dict[str, str]) -> tuple[str, Device]:
        """Hand out a device code.

        Raises:
            RefusalError: the app is unknown or the scope wrong.
        """
        firm = apps.application(
            self.world, apps.tenant(self.world, path_tenant), form.get("client_id", ""), path_tenant
        )
        apps.scopes(form.get("scope", ""), firm)
        alphabet = "BCDFGHJKLMNPQRSTVWXZ23456789"
        device = Device(
            firm,
            form.get("scope", ""),
            "".join(secrets.choice(alphabet) for _ in range(9)),
            self.world.clock.time(),
        )
        text = "GAQABIQEAAAD" + secrets.token_urlsafe(60)
        self.devices[text] = device
        return text, device

    # -- the token endpoint ------------------------------------------------------------------

    def token(self, path_tenant: str, form: dict[str, str]) -> dict[str, Any]:
        """The answer to a POST of *form* to /token.

        Raises:
            RefusalError: Entra would refuse it.
        """
        grant = form.get("grant_type", "")
        if not grant:
            raise RefusalError(900144, parameter="grant_type")
        firm = apps.tenant(self.world, path_tenant)
        if grant == "client_credentials" and firm is None:
            raise RefusalError(50059)
        owner = apps.application(self.world, firm, form.get("client_id", ""), path_tenant)
        if grant == "authorization_code":
            return self._by_code(owner, path_tenant, form)
        if grant == "refresh_token":
            return self._by_refresh(owner, form)
        if grant == "client_credentials":
            return self._for_client(owner, form)
        if grant in ("urn:ietf:params:oauth:grant-type:device_code", "device_code"):
            return self._by_device(owner, form)
        raise RefusalError(70003, grant=grant[:60])

    def _by_code(self, firm: Firm, path_tenant: str, form: dict[str, str]) -> dict[str, Any]:
        text = form.get("code", "")
        if not text:
            raise RefusalError(900144, parameter="code")
        code = self.codes.get(text)
        if code is None:
            raise RefusalError(9002313)
        if code.firm is not firm:
            raise RefusalError(70000)
        if code.path_tenant.lower() != path_tenant.lower():
            raise RefusalError(700005)
        now = self.world.clock.time()
        acr = apps.authenticate(firm, form, code.platform, now)
        if form.get("redirect_uri", "") != code.redirect_uri:
            raise RefusalError(50011, uri=form.get("redirect_uri", ""), app=firm.app.app_id)
        if code.redeemed:
            raise RefusalError(54005)
        if now - code.issued > CODE_SECONDS:
            raise RefusalError(70008)
        if code.challenge:
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if not hmac.compare_digest(
                base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), code.challenge
            ):
                raise RefusalError(501481)
        asked = apps.scopes(form.get("scope") or code.scope, firm)
        code.redeemed = True
        return self._answer(firm, code.user, asked, code.platform, acr, code.amr, code.nonce, form)

    def _by_refresh(self, firm: Firm, form: dict[str, str]) -> dict[str, Any]:
        text = form.get("refresh_token", "")
        if not text:
            raise RefusalError(900144, parameter="refresh_token")
        grant = self._read_refresh(text)
        user = next((u for u in firm.users.values() if u.id == grant["oid"]), None)
        if grant["app"] != firm.app.app_id:
            raise RefusalError(70000)
        now = self.world.clock.time()
        acr = apps.authenticate(firm, form, grant["platform"], now)
        if user is None:
            raise RefusalError(50034, user="(hidden)", tenant=firm.name)
        asked = apps.scopes(form.get("scope", ""), firm)
        if now - grant["iat"] > REFRESH_IDLE_SECONDS:
            raise RefusalError(700082, issued=_stamp(grant["iat"]))
        valid_from = user.tokens_valid_from
        if grant["platform"] == "public":
            valid_from = max(valid_from, user.passwords_tokens_valid_from)
        if grant["iat"] < valid_from:
            raise RefusalError(50173, issued=_stamp(grant["iat"]), valid_from=_stamp(valid_from))
        if user.mfa is not None and "mfa" not in grant["amr"]:
            raise RefusalError(50076, resource=asked.resource)
        return self._answer(firm, user, asked, grant["platform"], acr, grant["amr"], "", form)

    def _by_device(self, firm: Firm, form: dict[str, str]) -> dict[str, Any]:
        text = form.get("device_code") or form.get("code", "")
        device = self.devices.get(text)
        if device is None or device.firm is not firm:
            raise RefusalError(70018)
        if not firm.app.is_fallback_public_client:
            raise RefusalError(
                7000218
            )  # no redirect URI: "Allow public client flows" decides (facts C2)
        if self.world.clock.time() - device.issued > DEVICE_SECONDS:
            raise RefusalError(70020)
        if device.declined:
            # Number and text of this refusal are not known (unverified); other emulators use this one.
            declined = RefusalError(65004)
            declined.error = "authorization_declined"
            raise declined
        if device.user is None:
            raise RefusalError(70016)
        asked = apps.scopes(device.scope, firm)
        del self.devices[text]
        return self._answer(firm, device.user, asked, "public", "0", device.amr, "", form)

    def _for_client(self, firm: Firm, form: dict[str, str]) -> dict[str, Any]:
        scope = form.get("scope", "")
        acr = apps.authenticate(firm, form, "web", self.world.clock.time())
        if not scope.endswith("/.default"):
            raise RefusalError(1002012, scope=scope or "''")
        asked = apps.scopes(scope, firm)
        now = int(self.world.clock.time())
        claims = self._common(firm, asked.uri, now, acr) | {
            "idtyp": "app",
            "oid": firm.principal.object_id,
            "sub": firm.principal.object_id,
        }
        roles = sorted(firm.principal.app_roles.get(asked.resource, ()))
        if (
            roles
        ):  # without any, the claim is simply absent: a token proves no permission (facts A3)
            claims["roles"] = roles
        return {
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
            "ext_expires_in": ACCESS_SECONDS,
            "access_token": self.signer.sign(claims),
        }

    # -- tokens ------------------------------------------------------------------------------

    def _common(self, firm: Firm, audience: str, now: int, acr: str) -> dict[str, Any]:
        return {
            "aud": audience,
            "iss": f"https://sts.windows.net/{firm.tenant_id}/",
            "iat": now - 300,
            "nbf": now - 300,
            "exp": now + ACCESS_SECONDS,
            "app_displayname": firm.app.display_name,
            "appid": firm.app.app_id,
            "appidacr": acr,
            "tid": firm.tenant_id,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }

    def _answer(
        self,
        firm: Firm,
        user: User,
        asked: apps.Asked,
        platform: str,
        acr: str,
        amr: list[str],
        nonce: str,
        form: dict[str, str],
    ) -> dict[str, Any]:
        admit(firm, user)
        consented = firm.principal.consented(user.id, asked.resource)
        if not asked.names <= consented:
            raise RefusalError(65001, app=firm.app.app_id, name=firm.app.display_name)
        now = int(self.world.clock.time())
        names = sorted(consented & (apps.EXISTING[asked.resource] | asked.names))
        claims = self._common(firm, asked.uri, now, acr) | {
            "acr": "1",
            "amr": amr,
            "idtyp": "user",
            "ipaddr": "203.0.113.7",
            "name": user.display_name,
            "oid": user.id,
            "scp": " ".join(names),
            "sub": user.id,
            "unique_name": user.upn,
            "upn": user.upn,
        }
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(f"{asked.uri}/{name}" for name in names),
            "expires_in": ACCESS_SECONDS,
            "ext_expires_in": ACCESS_SECONDS,
            "access_token": self.signer.sign(claims),
        }
        if "offline_access" in asked.oidc:
            answer["refresh_token"] = self.new_refresh(firm, user, platform, amr)
        if "openid" in asked.oidc:
            answer["id_token"] = self._id_token(firm, user, now, nonce)
        if form.get("client_info") == "1":
            about = json.dumps({"uid": user.id, "utid": firm.tenant_id}).encode()
            answer["client_info"] = base64.urlsafe_b64encode(about).rstrip(b"=").decode()
        self.world.note("token", "success", firm=firm.name, user=user.upn)
        return answer

    def _id_token(self, firm: Firm, user: User, now: int, nonce: str) -> str:
        claims = {
            "aud": firm.app.app_id,
            "iss": f"https://login.microsoftonline.com/{firm.tenant_id}/v2.0",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "name": user.display_name,
            "oid": user.id,
            "preferred_username": user.upn,
            "sub": hashlib.sha256(f"{user.id}{firm.app.app_id}".encode()).hexdigest()[:43],
            "tid": firm.tenant_id,
            "ver": "2.0",
        }
        return self.signer.sign(claims | ({"nonce": nonce} if nonce else {}))

    def new_refresh(self, firm: Firm, user: User, platform: str, amr: list[str]) -> str:
        """A refresh token that holds its own state, so that ten thousand of them need no table."""
        body = {
            "app": firm.app.app_id,
            "oid": user.id,
            "platform": platform,
            "amr": amr,
            "iat": self.world.clock.time(),
            "jti": new_id(),
        }
        text = base64.urlsafe_b64encode(json.dumps(body).encode()).rstrip(b"=").decode()
        return f"1.AXkA{text}.{self._mac(text)}"

    def _read_refresh(self, token: str) -> dict[str, Any]:
        text, _dot, mac = token.removeprefix("1.AXkA").rpartition(".")
        if not token.startswith("1.AXkA") or not hmac.compare_digest(
            mac.encode(), self._mac(text).encode()
        ):
            raise RefusalError(9002313)
        grant: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return grant

    def _mac(self, text: str) -> str:
        digest = hmac.new(self._refresh_key, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def admit(firm: Firm, user: User) -> None:
    """Whether the user may get tokens for this app at all.

    Raises:
        RefusalError: the account is disabled, blocked by policy, or not assigned to the app.
    """
    if not user.account_enabled:
        raise RefusalError(50057)
    if firm.policies.blocked or user.upn.lower() in firm.policies.blocked_users:
        raise RefusalError(53003)
    if firm.principal.app_role_assignment_required and user.id not in firm.principal.assigned_users:
        raise RefusalError(50105, name=firm.app.display_name, app=firm.app.app_id, user="(hidden)")


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
