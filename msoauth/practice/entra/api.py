"""Entra's endpoints for programs: discovery, keys, token and device code, over TLS."""

import base64
import binascii
import json
from typing import Any
from urllib.parse import unquote_plus

from msoauth.practice.address import Address
from msoauth.practice.entra import clients
from msoauth.practice.entra.grants import DEVICE_SECONDS, Authority
from msoauth.practice.entra.issue import issuer
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.http import ProgramEndpoint
from msoauth.practice.state import Tenant

_PENDING = 70016
_CLAIMS = (
    "sub iss cloud_instance_name cloud_instance_host_name cloud_graph_host_name msgraph_host aud exp iat auth_time "
    "acr nonce preferred_username name tid ver at_hash c_hash email"
)


class Api(ProgramEndpoint):
    """An endpoint of Entra."""

    authority: Authority
    address: Address

    def initialize(self, authority: Authority, address: Address) -> None:
        self.authority, self.state = authority, authority.state
        self.address = address

    @property
    def base(self) -> str:
        """The base address that the client used, by its Host header."""
        return f"https://{self.request.host}"

    def form(self) -> dict[str, str]:
        """The form's fields, each once."""
        return {
            name: values[-1].decode("utf-8", "replace")
            for name, values in self.request.body_arguments.items()
            if values
        }

    def answer(self, value: dict[str, Any], status: int = 200) -> None:
        """Answer with JSON."""
        self.set_status(status)
        self.finish(json.dumps(value))

    def refuse(self, refusal: RefusalError) -> None:
        """Answer with a refusal, and write it to the sign-in log."""
        value = refusal.as_json(self.state.clock.now(), self.correlation_id)
        if refusal.number != _PENDING:  # polling while the user signs in would fill the log
            self.state.log_event(
                "token",
                refusal.text,
                tenant=self._tenant_name(refusal.user),
                user=refusal.user,
                correlation_id=value["correlation_id"],
                trace_id=value["trace_id"],
                app_id=self.form().get("client_id", "")[:36],
                sign_in=refusal.sign_in,
                applied=refusal.applied,
            )
        self.set_header("x-ms-request-id", value["trace_id"])
        self.answer(value, refusal.status)

    def refuse_get(self) -> None:
        """Refuse GET where Entra takes only POST."""
        self.refuse(RefusalError(900561, valid="POST", invalid="GET"))

    def _tenant_name(self, user: str) -> str:
        tenant = self.state.tenant(self.path_args[0]) if self.path_args else None
        tenant = tenant or self.state.tenant_of_address(user)
        return tenant.name if tenant else ""

    @property
    def correlation_id(self) -> str:
        """The client's own id for the request, or empty (facts B2)."""
        return str(self.request.headers.get("client-request-id", ""))

    def write_error(self, status_code: int, **_more: Any) -> None:
        self.finish(
            json.dumps({"error": "server_error", "error_description": f"HTTP {status_code}"})
        )


class NotFound(Api):
    """Any other address."""

    async def prepare(self) -> None:
        await super().prepare()
        self.set_status(404)
        self.finish()


class Discovery(Api):
    """``/{tenant}/v2.0/.well-known/openid-configuration`` (facts A2; some of its keys are unverified)."""

    def get(self, path_tenant: str) -> None:
        try:
            tenant = clients.tenant_of_path(self.state, path_tenant)
        except RefusalError as refusal:
            self.refuse(refusal)
            return
        self.set_header("Access-Control-Allow-Origin", "*")
        here = f"{self.base}/{path_tenant}"
        site = f"{self.address.url}/{path_tenant}"
        any_tenant = clients.CONSUMERS_TENANT if clients.is_consumers(path_tenant) else "{tenantid}"
        issued_for = tenant.tenant_id if tenant else any_tenant
        self.answer(
            {
                "token_endpoint": f"{here}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "jwks_uri": f"{here}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": issuer(self.request.host, issued_for),
                "request_uri_parameter_supported": False,
                "userinfo_endpoint": f"{self.base}/graph/oidc/userinfo",
                "authorization_endpoint": f"{site}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{here}/oauth2/v2.0/devicecode",
                "http_logout_supported": True,
                "frontchannel_logout_supported": True,
                "end_session_endpoint": f"{site}/oauth2/v2.0/logout",
                "claims_supported": _CLAIMS.split(),
                "kerberos_endpoint": f"{here}/kerberos",
                "tenant_region_scope": "EU",
                "cloud_instance_name": "microsoftonline.com",
                "cloud_graph_host_name": "graph.windows.net",
                "msgraph_host": "graph.microsoft.com",
                "rbac_url": "https://pas.windows.net",
            }
        )


class Instance(Api):
    """``/common/discovery/instance``: an unmodified MSAL may ask whether it knows this host."""

    def get(self) -> None:
        discovery = f"{self.base}/common/v2.0/.well-known/openid-configuration"
        host = self.request.host
        self.answer(
            {
                "tenant_discovery_endpoint": discovery,
                "api-version": "1.1",
                "metadata": [
                    {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
                ],
            }
        )


class Keys(Api):
    """``/{tenant}/discovery/v2.0/keys``."""

    def get(self, _path_tenant: str) -> None:
        self.set_header("Access-Control-Allow-Origin", "*")
        key = self.authority.signer.jwk()
        self.answer({"keys": [{**key, "issuer": issuer(self.request.host, "{tenantid}")}]})


class Token(Api):
    """``/{tenant}/oauth2/v2.0/token``."""

    def post(self, path_tenant: str) -> None:
        tenant = self.state.tenant(path_tenant)
        status = self.state.faults.value("token.status", tenant.tenant_id if tenant else "")
        if status is not None:
            self._answer_unavailable(int(status), tenant)
            return
        try:
            form = self._with_basic_authentication(self.form())
            form["client-request-id"] = self.correlation_id
            form["host"] = self.request.host
            form["Origin"] = self.request.headers.get("Origin", "")
            if form["Origin"]:
                self.set_header("Access-Control-Allow-Origin", "*")
            self.answer(self.authority.token(path_tenant, form))
        except RefusalError as refusal:
            self.refuse(refusal)

    def get(self, _path_tenant: str) -> None:
        self.refuse_get()

    def _answer_unavailable(self, status: int, tenant: Tenant | None) -> None:
        """Answer as a service that is throttled or out of order, without JSON (facts B2)."""
        self.state.log_event("token", f"HTTP {status}", tenant=tenant.name if tenant else "")
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=us-ascii")
        if status in (429, 503):
            self.set_header("Retry-After", "5")
        self.finish(
            f"<html><head><title>{status}</title></head><body><h2>Our services aren't available right now</h2></body></html>"
        )

    def _with_basic_authentication(self, form: dict[str, str]) -> dict[str, str]:
        """HTTP Basic is accepted as well (facts A3); its parts are URL-encoded (RFC 6749)."""
        header = self.request.headers.get("Authorization", "")
        if not header.startswith("Basic "):
            return form
        try:
            name, _colon, secret = base64.b64decode(header[6:]).decode().partition(":")
        except (binascii.Error, ValueError):
            raise RefusalError(9002313) from None
        return {"client_id": unquote_plus(name), "client_secret": unquote_plus(secret), **form}


class DeviceCode(Api):
    """``/{tenant}/oauth2/v2.0/devicecode``."""

    def get(self, _path_tenant: str) -> None:
        self.refuse_get()

    def post(self, path_tenant: str) -> None:
        try:
            code, device = self.authority.start_device(path_tenant, self.form())
        except RefusalError as refusal:
            self.refuse(refusal)
            return
        page = f"{self.address.url}/devicelogin"
        self.answer(
            {
                "user_code": device.user_code,
                "device_code": code,
                "verification_uri": page,
                "expires_in": DEVICE_SECONDS,
                "interval": self.state.device_interval,
                "message": f"To sign in, use a web browser to open the page {page} and enter the code {device.user_code} to authenticate.",
            }
        )


def routes(authority: Authority, address: Address) -> list[tuple[str, type[Api], dict[str, Any]]]:
    """The endpoints by their paths (facts A2)."""
    shared = {"authority": authority, "address": address}
    return [
        (r"/common/discovery/instance", Instance, shared),
        (r"/([^/]+)/v2\.0/\.well-known/openid-configuration", Discovery, shared),
        (r"/([^/]+)/discovery/v2\.0/keys", Keys, shared),
        (r"/([^/]+)/oauth2/v2\.0/token", Token, shared),
        (r"/([^/]+)/oauth2/v2\.0/devicecode", DeviceCode, shared),
    ]
