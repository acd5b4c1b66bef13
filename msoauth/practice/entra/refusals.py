"""Entra's refusals: number, OAuth error value and wording, as facts D gives them.

Where the error value of a row is from memory (Src D or M), no client should rely on it.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

# number: (OAuth error, template, suberror)
_TEXTS: dict[int, tuple[str, str, str]] = {
    16000: (
        "interaction_required",
        "User account '{user}' from identity provider '{idp}' does not exist in tenant '{tenant}' and cannot access the application '{app}'({name}) in that tenant.",
        "",
    ),
    28000: (
        "invalid_request",
        "Provided value for the input parameter scope is not valid because it contains more than one resource. Scope {scope} is not valid.",
        "",
    ),
    28003: (
        "invalid_request",
        "Provided value for the input parameter scope can't be empty when requesting an access token using the provided authorization code. Specify a valid scope.",
        "",
    ),
    50011: (
        "invalid_request",
        "The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the application '{app}'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal. Navigate to https://aka.ms/redirectUriMismatchError to learn more about how to fix this.",
        "",
    ),
    50020: (
        "invalid_request",
        "User account '{user}' from identity provider '{idp}' does not exist in tenant '{tenant}' and cannot access the application '{app}'({name}) in that tenant. The account needs to be added as an external user in the tenant first. Sign out and sign in again with a different Microsoft Entra user account.",
        "",
    ),
    50034: (
        "invalid_grant",
        "The user account {user} does not exist in the {tenant} directory. To sign into this application, the account must be added to the directory.",
        "",
    ),
    50053: (
        "invalid_grant",
        "The account is locked, you've tried to sign in too many times with an incorrect user ID or password.",
        "",
    ),
    50055: ("invalid_grant", "The password is expired.", "user_password_expired"),
    50057: ("invalid_grant", "The user account is disabled.", ""),
    50058: ("login_required", "A silent sign-in request was sent but no user is signed in.", ""),
    50059: (
        "invalid_request",
        "No tenant-identifying information found in either the request or implied by any provided credentials.",
        "",
    ),
    50076: (
        "invalid_grant",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '{resource}'.",
        "basic_action",
    ),
    50079: (
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must enroll in multi-factor authentication to access '{resource}'.",
        "",
    ),
    50105: (
        "invalid_grant",
        "Your administrator has configured the application {name} ('{app}') to block users unless they are specifically granted ('assigned') access to the application. The signed in user '{user}' is blocked because they are not a direct member of a group with access, nor had access directly assigned by an administrator. Please contact your administrator to assign access to this application.",
        "",
    ),
    50126: (
        "invalid_grant",
        "Error validating credentials due to invalid username or password.",
        "",
    ),
    50173: (
        "invalid_grant",
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password. The grant was issued on '{issued}' and the TokensValidFrom date (before which tokens are not valid) for this user is '{valid_from}'.",
        "bad_token",
    ),
    50194: (
        "invalid_request",
        "Application '{app}'({name}) is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such applications created after '10/15/2018'. Use a tenant-specific endpoint or configure the application to be multi-tenant.",
        "",
    ),
    53003: (
        "access_denied",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
        "message_only",
    ),
    54005: (
        "invalid_grant",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.",
        "",
    ),
    65001: (
        "invalid_grant",
        "The user or administrator has not consented to use the application with ID '{app}' named '{name}'. Send an interactive authorization request for this user and resource.",
        "consent_required",
    ),
    65004: ("access_denied", "User declined to consent to access the app.", ""),
    70000: ("invalid_grant", "The provided value for the 'code' parameter is not valid.", ""),
    70003: ("unsupported_grant_type", "The app requested an unsupported grant type '{grant}'.", ""),
    70005: (
        "unsupported_response_type",
        "The app returned an unsupported response type '{type}'.",
        "",
    ),
    70008: (
        "invalid_grant",
        "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.",
        "",
    ),
    70011: (
        "invalid_scope",
        "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid.",
        "",
    ),
    70016: (
        "authorization_pending",
        "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
        "",
    ),
    70018: (
        "bad_verification_code",
        "Invalid verification code due to User typing in wrong user code for device code flow. Authorization isn't approved.",
        "",
    ),
    70020: (
        "expired_token",
        "The provided value for the input parameter 'device_code' is not valid. This device code has expired.",
        "",
    ),
    90002: (
        "invalid_request",
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.",
        "",
    ),
    90094: (
        "access_denied",
        "An administrator of {tenant} has set a policy that prevents you from granting {name} the permissions it is requesting. Contact an administrator of {tenant}, who can grant permissions to this app on your behalf.",
        "",
    ),
    500011: (
        "invalid_resource",
        "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.",
        "",
    ),
    500113: ("invalid_request", "No reply address is registered for the application.", ""),
    501481: (
        "invalid_grant",
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
        "",
    ),
    650053: (
        "invalid_scope",
        "The application '{name}' asked for scope '{scope}' that doesn't exist on the resource '{resource}'. Contact the app vendor.",
        "",
    ),
    700005: (
        "invalid_grant",
        "Provided Authorization Code is intended to use against other tenant, thus rejected. OAuth2 Authorization Code must be redeemed against same tenant it was acquired for (/common or /{{tenant-ID}} as appropriate)",
        "",
    ),
    700016: (
        "unauthorized_client",
        "Application with identifier '{app}' was not found in the directory '{tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.",
        "",
    ),
    700025: (
        "invalid_client",
        "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
        "",
    ),
    700082: (
        "invalid_grant",
        "The refresh token has expired due to inactivity. The token was issued on {issued} and was inactive for 90.00:00:00.",
        "",
    ),
    900023: (
        "invalid_request",
        "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain.",
        "",
    ),
    900144: (
        "invalid_request",
        "The request body must contain the following parameter: '{parameter}'.",
        "",
    ),
    900561: (
        "invalid_request",
        "The endpoint only accepts {valid} requests. Received a {invalid} request.",
        "",
    ),
    1002012: (
        "invalid_scope",
        "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).",
        "",
    ),
    7000112: ("unauthorized_client", "Application '{app}'({name}) is disabled.", ""),
    7000215: (
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{app}'.",
        "",
    ),
    7000218: (
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        "",
    ),
    7000222: (
        "invalid_client",
        "The provided client secret keys for app '{app}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.",
        "",
    ),
    9002313: ("invalid_request", "Invalid request. Request is malformed or invalid.", ""),
    9002327: (
        "invalid_request",
        "Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin requests.",
        "",
    ),
}

# Shown as a page and never sent to the app (facts B4).
PAGE_ONLY = frozenset({50011, 500113, 700016, 90002, 900023, 900144, 50194, 7000112, 50020})


class RefusalError(Exception):
    """A request that Entra refuses, under its AADSTS number."""

    def __init__(self, number: int, **values: object) -> None:
        self.number = number
        self.error, template, self.suberror = _TEXTS[number]
        self.text = f"AADSTS{number}: {template.format(**values)}"
        super().__init__(self.text)

    @property
    def status(self) -> int:
        """The HTTP status: 401 when the client itself was refused, else 400 (facts B2)."""
        return 401 if self.error == "invalid_client" else 400

    def as_json(self, now: datetime, correlation_id: str = "") -> dict[str, Any]:
        """The answer of the token endpoint (facts B2), with fresh ids; servers since 2023 put blanks between them."""
        trace_id, correlation = str(uuid4()), correlation_id or str(uuid4())
        stamp = now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        answer: dict[str, Any] = {
            "error": self.error,
            "error_description": f"{self.text} Trace ID: {trace_id} Correlation ID: {correlation} Timestamp: {stamp}",
            "error_codes": [self.number],
            "timestamp": stamp,
            "trace_id": trace_id,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }
        if self.suberror:
            answer["suberror"] = self.suberror
        return answer
