"""The handlers behind people's pages: authorize, the steps of a sign-in, the device page, sign-out."""

import hmac
import time

from msoauth.practice.entra import apps
from msoauth.practice.entra.pages import COOKIE, LOCK_AFTER, LOCK_SECONDS, Flow, Page
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.state import User

_KEPT = (
    "client_id", "redirect_uri", "response_mode", "response_type", "scope", "state", "nonce", "prompt", "login_hint",
    "code_challenge", "code_challenge_method", "client-request-id",
)  # fmt: skip


class AuthorizePage(Page):
    """``/{tenant}/oauth2/v2.0/authorize``."""

    def get(self, path_tenant: str) -> None:
        asked = {name: self.argument(name) for name in _KEPT if self.argument(name)}
        world = self.people.world
        try:
            firm = apps.application(
                world, apps.tenant(world, path_tenant), asked.get("client_id", ""), path_tenant
            )
            uris = (
                *firm.app.web_redirect_uris,
                *firm.app.public_client_redirect_uris,
                *firm.app.spa_redirect_uris,
            )
            asked.setdefault("redirect_uri", uris[0] if uris else "")
            platform = apps.platform(firm.app, asked["redirect_uri"])
        except RefusalError as refused:
            self.fail(refused)
            return
        flow = self.people.begin(Flow(firm, asked, path_tenant, platform, time.monotonic()))
        try:
            if asked.get("response_type") != "code":
                raise RefusalError(70005, type=asked.get("response_type", ""))
            apps.scopes(asked.get("scope", ""), firm)
        except RefusalError as refused:
            self.give_back_error(flow, refused)
            return
        self._choose(flow, self.signed_in(firm))

    def _choose(self, flow: Flow, sessions: list[User]) -> None:
        """Who signs in: a session of this browser, one picked from several, or somebody new."""
        prompt, hint = flow.asked.get("prompt", ""), flow.asked.get("login_hint", "").lower()
        if hint:
            sessions = [user for user in sessions if user.upn.lower() == hint] or sessions
        if prompt == "none":
            if len(sessions) != 1:
                self.give_back_error(
                    flow,
                    RefusalError(
                        50058 if not sessions else 16000,
                        user="(hidden)",
                        idp="",
                        tenant=flow.firm.name,
                        app=flow.firm.app.app_id,
                        name=flow.firm.app.display_name,
                    ),
                )
                return
            flow.user, flow.amr = sessions[0], ["pwd"]
            self.go_on(flow)
        elif prompt == "login" or not sessions:
            self.show("username.html", flow=flow, hint=hint, problem="")
        elif (
            prompt != "select_account"
            and len(sessions) == 1
            and (not hint or sessions[0].upn.lower() == hint)
        ):
            flow.user, flow.amr = (
                sessions[0],
                ["pwd"] if sessions[0].mfa is None else ["pwd", "mfa"],
            )
            self.go_on(flow)
        elif hint and prompt != "select_account":
            self.show("username.html", flow=flow, hint=hint, problem="")
        else:
            self.show("picker.html", flow=flow, users=sessions)


class StepPage(Page):
    """``/practice/step``: a submitted page of a sign-in."""

    def post(self) -> None:
        flow = self.people.flows.get(self.argument("flow"))
        if flow is None:
            self.show("stale.html", 400)
            return
        {
            "pick": self._pick,
            "user": self._user,
            "password": self._password,
            "code": self._code,
            "consent": self._consent,
        }.get(self.argument("step"), self._user)(flow)

    def _pick(self, flow: Flow) -> None:
        chosen = self.argument("account").lower()
        user = next((u for u in self.signed_in(flow.firm) if u.upn.lower() == chosen), None)
        if user is None:
            self.show("username.html", flow=flow, hint="", problem="")
            return
        flow.user, flow.amr = user, ["pwd"] if user.mfa is None else ["pwd", "mfa"]
        self.go_on(flow)

    def _user(self, flow: Flow) -> None:
        name = self.argument("loginfmt").strip()
        user = flow.firm.user(name)
        if user is None:
            world = self.people.world
            elsewhere = world.firm_of_address(name)
            if elsewhere is not None and elsewhere is not flow.firm and elsewhere.user(name):
                self.fail(
                    RefusalError(50020, user=name, idp=f"https://sts.windows.net/{elsewhere.tenant_id}/", tenant=flow.firm.name, app=flow.firm.app.app_id, name=flow.firm.app.display_name),
                    flow.firm.name,
                    name,
                )  # fmt: skip
                return
            world.note("sign-in", f"AADSTS50034: no user {name[:100]}", firm=flow.firm.name)
            problem = "This username may be incorrect. Make sure you typed it correctly. Otherwise, contact your admin."
            self.show("username.html", flow=flow, hint=name, problem=problem)
            return
        flow.user = user
        self.show("password.html", flow=flow, user=user, problem="")

    def _password(self, flow: Flow) -> None:
        user = flow.user
        if user is None:
            self.show("username.html", flow=flow, hint="", problem="")
            return
        now = self.people.world.clock.time()
        if user.locked_until > now:
            self.fail(RefusalError(50053), flow.firm.name, user.upn)
            return
        if not hmac.compare_digest(self.argument("passwd").encode(), user.password.encode()):
            user.failed_tries += 1
            if user.failed_tries >= LOCK_AFTER:
                user.failed_tries, user.locked_until = 0, now + LOCK_SECONDS
            self.people.world.note(
                "sign-in", RefusalError(50126).text, firm=flow.firm.name, user=user.upn
            )
            problem = "Your account or password is incorrect. If you don't remember your password, reset it now."
            self.show("password.html", flow=flow, user=user, problem=problem)
            return
        user.failed_tries = 0
        flow.password_given, flow.amr = True, ["pwd"]
        if user.password_expired:
            self.fail(RefusalError(50055), flow.firm.name, user.upn)
        elif user.mfa == "enrol":
            self.fail(
                RefusalError(50079, resource="00000002-0000-0ff1-ce00-000000000000"),
                flow.firm.name,
                user.upn,
            )
        elif user.mfa is not None:
            self.show("code.html", flow=flow, user=user, problem="", code=self.people.code)
        else:
            self.remember(flow.firm, user)
            self.go_on(flow)

    def _code(self, flow: Flow) -> None:
        user = flow.user
        if user is None or not flow.password_given:
            self.show("username.html", flow=flow, hint="", problem="")
            return
        if not hmac.compare_digest(
            self.argument("otc").strip().encode(), self.people.code.encode()
        ):
            problem = "You didn't enter the expected verification code. Please try again."
            self.show("code.html", flow=flow, user=user, problem=problem, code=self.people.code)
            return
        flow.amr = ["pwd", "mfa"]
        self.remember(flow.firm, user)
        self.go_on(flow)

    def _consent(self, flow: Flow) -> None:
        user = flow.user
        if user is None or not flow.amr:
            self.show("username.html", flow=flow, hint="", problem="")
            return
        if self.argument("answer") != "accept":
            if flow.device:
                self.people.authority.devices[flow.device].declined = True
            self.give_back_error(flow, RefusalError(65004), error_subcode="cancel")
            return
        try:
            asked = apps.scopes(flow.asked.get("scope", ""), flow.firm)
        except RefusalError as refused:
            self.give_back_error(flow, refused)
            return
        if not flow.firm.policies.user_consent and not user.admin:
            self.fail(
                RefusalError(90094, tenant=flow.firm.name, name=flow.firm.app.display_name),
                flow.firm.name,
                user.upn,
            )
            return
        principal = flow.firm.principal
        if self.argument("for_all") and user.admin:
            principal.admin_consent.setdefault(asked.resource, set()).update(asked.names)
        principal.user_consent.setdefault(user.id, {}).setdefault(asked.resource, set()).update(
            asked.names
        )
        self.give_back_code(flow)


class DevicePage(Page):
    """``/devicelogin``: where the code of the device flow is entered."""

    def get(self) -> None:
        self.show("device.html", problem="")

    def post(self) -> None:
        authority = self.people.authority
        device = authority.device(self.argument("otc"))
        if device is None:
            self.show("device.html", problem="That code didn't work. Check the code and try again.")
            return
        key = next(text for text, kept in authority.devices.items() if kept is device)
        asked = {"scope": device.scope, "client_id": device.firm.app.app_id}
        flow = Flow(
            device.firm, asked, device.firm.tenant_id, "public", time.monotonic(), device=key
        )
        self.people.begin(flow)
        sessions = self.signed_in(device.firm)
        if device.firm.policies.device_code_blocked:
            self.fail(RefusalError(53003), device.firm.name)
        elif sessions:
            self.show("picker.html", flow=flow, users=sessions)
        else:
            self.show("username.html", flow=flow, hint="", problem="")


class LogoutPage(Page):
    """``/{tenant}/oauth2/v2.0/logout``."""

    def get(self, _path_tenant: str) -> None:
        self.people.sessions.pop(self.get_cookie(COOKIE) or "", None)
        self.clear_cookie(COOKIE)
        self.show("signed_out.html")

    post = get
