"""The pages where a sign-in begins or ends: authorize, admin consent, device code, error, sign-out."""

from msoauth.practice.entra import clients, consent, redirects
from msoauth.practice.entra.flow_page import FlowPage
from msoauth.practice.entra.pages import COOKIE, Flow, Page, Session
from msoauth.practice.entra.refusals import RefusalError, meaning
from msoauth.practice.state import PracticeState

_PARAMETERS = (
    "client_id", "redirect_uri", "response_mode", "response_type", "scope", "state", "nonce", "prompt", "login_hint",
    "domain_hint", "code_challenge", "code_challenge_method", "client-request-id",
)  # fmt: skip
_PROMPTS = ("", "login", "none", "consent", "select_account")
_MODES = ("query", "fragment", "form_post")


class AuthorizePage(FlowPage):
    """``/{tenant}/oauth2/v2.0/authorize``."""

    def get(self, path: str) -> None:
        parameters = {name: self.argument(name) for name in _PARAMETERS if self.argument(name)}
        try:
            client, platform = _client_and_platform(self.site.state, path, parameters)
        except RefusalError as refusal:
            self.show_refusal(refusal)
            return
        flow = self.site.begin(Flow(client, parameters, platform))
        flow.tenant = client.tenant
        try:
            _check_parameters(parameters)
            consent.requested_permissions(client, flow.scope)
        except RefusalError as refusal:
            parameters.setdefault("response_mode", "query")
            if parameters["response_mode"] not in _MODES:
                parameters["response_mode"] = "query"
            self.redirect_with_error(flow, refusal)
            return
        if parameters.get("prompt") == "none":
            self._sign_in_silently(flow)
        else:
            self.choose(flow)

    post = get

    def _sign_in_silently(self, flow: Flow) -> None:
        sessions = self.matching_sessions(flow)
        if len(sessions) == 1:
            flow.use_session(sessions[0])
            self.show_next_page(flow)
            return
        app = flow.client.app
        ambiguous = RefusalError(
            16000,
            user="{EmailHidden}",
            idp="https://sts.windows.net/",
            tenant=flow.client.tenant_label,
            app=app.app_id,
            name=app.display_name,
        )
        self.redirect_with_error(flow, ambiguous if sessions else RefusalError(50058))


def _client_and_platform(
    state: PracticeState, path: str, parameters: dict[str, str]
) -> tuple[clients.Client, str]:
    """The app of a request and the platform of its redirect URI; an absent one is added to *parameters*.

    Raises:
        RefusalError: no such tenant, app or redirect URI.
    """
    client = clients.client(state, path, parameters.get("client_id", ""))
    # Without a redirect URI the server picks a registered one (facts A3).
    registered_uris = redirects.registered(client.app)
    parameters.setdefault("redirect_uri", registered_uris[0] if registered_uris else "")
    return client, redirects.platform(client.app, parameters["redirect_uri"])


def _check_parameters(parameters: dict[str, str]) -> None:
    """Check the parameters that do not depend on the app (facts A3, D4)."""
    response_type = parameters.get("response_type", "")
    if not response_type:
        raise RefusalError(900144, parameter="response_type")
    if response_type != "code":
        raise RefusalError(700054 if "id_token" in response_type.split() else 70005)
    if parameters.get("response_mode", "query") not in _MODES:
        raise RefusalError(70007)
    if parameters.get("prompt", "") not in _PROMPTS:
        raise RefusalError(90023)
    if not parameters.get("scope", "").strip():
        raise RefusalError(900144, parameter="scope")
    challenge = parameters.get("code_challenge", "")
    if challenge and not 43 <= len(challenge) <= 128:
        raise RefusalError(501491)
    if parameters.get("code_challenge_method", "plain") not in ("plain", "S256"):
        raise RefusalError(90100)


class AdminConsentPage(FlowPage):
    """``/{tenant}/v2.0/adminconsent`` and, for what is registered, ``/{tenant}/adminconsent`` (facts A2, B4)."""

    def get(self, path: str, version: str | None) -> None:
        parameters = {name: self.argument(name) for name in _PARAMETERS if self.argument(name)}
        parameters["response_mode"] = "query"
        try:
            client, platform = _client_and_platform(self.site.state, path, parameters)
            if version and not parameters.get("scope", "").strip():
                raise RefusalError(900144, parameter="scope")
            purpose = "adminconsent" if version else "adminconsent-v1"
            flow = self.site.begin(Flow(client, parameters, platform, purpose))
            flow.tenant = client.tenant
            self.requested_permissions(flow)
        except RefusalError as refusal:
            self.show_refusal(refusal)
            return
        self.choose(flow)


class DevicePage(FlowPage):
    """``/devicelogin``: where the code of the device flow is entered."""

    def get(self) -> None:
        self.show("device.html", problem="")

    def post(self) -> None:
        authority = self.site.authority
        if not self.argument("otc").strip():
            self.show_refusal(RefusalError(90119))
            return
        entry = authority.device(self.argument("otc"))
        if entry is None:
            self.show("device.html", problem="That code didn't work. Check the code and try again.")
            return
        key, device = entry
        if device.user is not None or device.declined:
            self.show_refusal(RefusalError(90120))
            return
        if authority.device_expired(device):
            self.show(
                "device.html",
                problem="That code has expired. Get a new one from the app, and try again.",
            )
            return
        parameters = {"scope": device.scope, "client_id": device.client.app.app_id}
        flow = self.site.begin(Flow(device.client, parameters, "public", "device", device=key))
        flow.tenant = device.client.tenant
        self.choose(flow)


class ErrorPage(Page):
    """``/error?code=50011``: what a number means (facts A2)."""

    def get(self) -> None:
        text = self.argument("code").strip()
        number = int(text) if text.isdecimal() and len(text) < 12 else 0
        self.show("meaning.html", number=text[:12], meaning=meaning(number))


class LogoutPage(FlowPage):
    """``/{tenant}/oauth2/v2.0/logout``: ends the browser's sessions, and revokes no token (facts B6)."""

    def get(self, _path: str) -> None:
        key = self.get_cookie(COOKIE) or ""
        hint = self.argument("logout_hint").strip().lower()
        sessions = self.site.sessions.get(key, [])
        remaining = [s for s in sessions if hint and not _belongs_to(s, hint)]
        if remaining:
            self.site.sessions[key] = remaining
        else:
            self.site.sessions.pop(key, None)
            self.clear_cookie(COOKIE, path=self.site.address.cookie_path(self.request.host))
        back = self.argument("post_logout_redirect_uri")
        apps = [app for tenant in self.site.state.tenants.values() for app in tenant.apps]
        if back and any(
            redirects.same(uri, back) for app in apps for uri in redirects.registered(app)
        ):
            self.redirect(back)
        else:
            self.show("signed_out.html")

    post = get


def _belongs_to(session: Session, hint: str) -> bool:
    return session.user.upn.lower() == hint
