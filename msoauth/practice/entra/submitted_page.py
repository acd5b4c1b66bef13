"""Handle the forms that a user submits during a sign-in: user name, password, second factor, and decisions."""

import hmac

from msoauth.practice.entra import consent
from msoauth.practice.entra.clients import is_consumers
from msoauth.practice.entra.flow_page import FlowPage
from msoauth.practice.entra.pages import Flow
from msoauth.practice.entra.policy import HIDDEN, check_password, not_in_tenant
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.state import Tenant, User

PERSONAL_DOMAINS = ("outlook.com", "hotmail.com", "live.com", "msn.com")

_UNKNOWN = "This username may be incorrect. Make sure you typed it correctly. Otherwise, contact your admin."
_NO_PERSONAL = "That Microsoft account doesn't exist. Enter a different account or get a new one."
_WRONG = "Your account or password is incorrect. If you don't remember your password, reset it now."
_WRONG_CODE = "You didn't enter the expected verification code. Please try again."


class SubmittedPage(FlowPage):
    """``POST /signin/step``: a form of a sign-in page, filled in; ``step`` in it names which."""

    def post(self) -> None:
        flow = self.site.flows.get(self.argument("flow"))
        if flow is None:
            self.show(
                "stale.html",
                400,
                refused=(refusal := RefusalError(50089)),
                answer=self.log_refusal(refusal),
            )
            return
        step = self.argument("step")
        if step == "pick":
            self._submitted_account(flow)
        elif step == "user" or flow.user is None:
            self._submitted_name(flow)
        elif step == "password":
            self._submitted_password(flow, flow.user)
        elif step == "new-password" and flow.password_given:
            self._submitted_new_password(flow, flow.user)
        elif step == "code" and flow.password_given:
            self._submitted_code(flow, flow.user)
        elif step in _DECISIONS and flow.amr:
            getattr(self, _DECISIONS[step])(flow, flow.user)
        else:
            self.ask_name(flow)

    # -- user name, password, second factor ----------------------------------------------------

    def _submitted_account(self, flow: Flow) -> None:
        chosen = self.argument("account").lower()
        session = next((s for s in self.sessions() if s.user.upn.lower() == chosen), None)
        if session is None:
            self.ask_name(flow)
        elif flow.client.tenant is not None and session.tenant is not flow.client.tenant:
            self._refuse_other_tenant(flow, flow.client.tenant, session.user.upn, session.tenant)
        else:
            flow.use_session(session)
            self.show_next_page(flow)

    def _submitted_name(self, flow: Flow) -> None:
        name = self.argument("loginfmt").strip()
        state = self.site.state
        if is_consumers(flow.client.path):
            self.log_refusal(RefusalError(50034, user=HIDDEN, tenant="Microsoft Accounts"), flow)
            self.ask_name(flow, name, _NO_PERSONAL)
            return
        home = flow.client.tenant or state.tenant_of_address(name)
        user = home.user(name) if home else None
        if user is not None and home is not None:
            flow.tenant, flow.user = home, user
            flow.client = flow.client.in_tenant(home)
            # Another user of the same flow may have given a password before.
            flow.password_given, flow.amr = False, []
            self.show("password.html", flow=flow, problem="")
            return
        other_home = state.tenant_of_address(name)
        if (
            home is not None
            and other_home is not None
            and other_home is not home
            and other_home.user(name)
        ):
            self._refuse_other_tenant(flow, home, name, other_home)
        elif name.rpartition("@")[2].lower() in PERSONAL_DOMAINS:
            self._refuse_personal_account(flow, home, name)
        else:
            refusal = (
                RefusalError(50034, user=HIDDEN, tenant=home.name) if home else RefusalError(50128)
            )
            self.log_refusal(refusal, flow, name[:100])
            self.ask_name(flow, name, _UNKNOWN)

    def _refuse_other_tenant(self, flow: Flow, tenant: Tenant, name: str, home: Tenant) -> None:
        idp = f"https://sts.windows.net/{home.tenant_id}/"
        self.show_refusal(not_in_tenant(flow.client, tenant, name, idp), flow, name)

    def _refuse_personal_account(self, flow: Flow, tenant: Tenant | None, name: str) -> None:
        refusal = (
            not_in_tenant(flow.client, tenant, name, "live.com")
            if tenant
            else RefusalError(500200, user=name)
        )
        self.show_refusal(refusal, flow, name)

    def _submitted_password(self, flow: Flow, user: User) -> None:
        try:
            check_password(user, self.argument("passwd"), self.site.state.clock.time())
        except RefusalError as error:
            if error.number == 50053:
                self.show_refusal(error, flow)
            else:
                self.log_refusal(error, flow)
                self.show("password.html", flow=flow, problem=_WRONG)
            return
        flow.password_given, flow.amr = True, []
        if user.password_expired:
            refusal = RefusalError(50055)
            self.show(
                "new_password.html",
                flow=flow,
                problem="",
                refused=refusal,
                answer=self.log_refusal(refusal, flow),
            )
        else:
            self._after_password(flow, user)

    def _submitted_new_password(self, flow: Flow, user: User) -> None:
        new, again = self.argument("newpasswd"), self.argument("confirmnewpasswd")
        problem = ""
        if not hmac.compare_digest(self.argument("oldpasswd").encode(), user.password.encode()):
            problem = "The current password that you entered is incorrect."
        elif len(new.strip()) < 8:
            problem = "A password has at least 8 characters."
        elif new == user.password:
            problem = "Choose a password that you haven't used before."
        elif new != again:
            problem = "The passwords do not match."
        if problem:
            refusal = RefusalError(50055)
            answer = refusal.as_json(self.site.state.clock.now())
            self.show(
                "new_password.html", flow=flow, problem=problem, refused=refusal, answer=answer
            )
            return
        user.password, user.password_expired = new, False
        # A changed password revokes what public clients got with the old one (facts B6).
        user.passwords_tokens_valid_from = self.site.state.clock.time()
        self._after_password(flow, user)

    def _after_password(self, flow: Flow, user: User) -> None:
        if user.mfa_required:
            self.ask_code(flow, user)
        else:
            flow.amr = ["pwd"]
            self.remember(flow)
            self.show_next_page(flow)

    def _submitted_code(self, flow: Flow, user: User) -> None:
        code = self.argument("otc").replace(" ", "")
        if not hmac.compare_digest(code.encode(), self.site.code.encode()):
            self.log_refusal(RefusalError(500121), flow)
            self.ask_code(flow, user, _WRONG_CODE)
            return
        user.mfa_registered = True
        flow.amr = ["pwd", "mfa"]
        self.remember(flow)
        self.show_next_page(flow)

    # -- decisions -----------------------------------------------------------------------------

    def _submitted_confirmation(self, flow: Flow, _user: User) -> None:
        if self.argument("answer") == "accept":
            flow.confirmed = True
            self.show_next_page(flow)
        else:
            self._decline(flow)

    def _submitted_consent(self, flow: Flow, user: User) -> None:
        assert flow.tenant is not None  # noqa: S101 - a user has signed in
        if self.argument("answer") != "accept":
            self._decline(flow)
            return
        try:
            requested = self.requested_permissions(flow)
        except RefusalError as refusal:
            self.redirect_with_error(flow, refusal)
            return
        if flow.purpose.startswith("adminconsent"):
            if user.admin:
                consent.grant(flow.client, flow.tenant, None, requested)
                self._redirect_after_admin_consent(flow, requested)
            else:
                self.show_next_page(flow)
        elif self.admin_must_consent(flow, flow.tenant, user, requested):
            self.show_approval(flow, flow.tenant)
        else:
            if self.argument("for_all") and user.admin:
                consent.grant(flow.client, flow.tenant, None, requested)
            consent.grant(flow.client, flow.tenant, user, requested)
            self.finish_flow(flow)

    def _redirect_after_admin_consent(
        self, flow: Flow, requested: consent.RequestedPermissions
    ) -> None:
        """Back to the app from the admin-consent page (facts B4)."""
        assert flow.tenant is not None  # noqa: S101 - an administrator has signed in
        self.site.flows.pop(flow.id, None)
        self.log_success(flow)
        fields = {"admin_consent": "True", "tenant": flow.tenant.tenant_id}
        if flow.purpose == "adminconsent":
            fields["scope"] = " ".join(sorted({p.value for p in requested.permissions}))
        self.redirect_back(flow, fields)

    def _decline(self, flow: Flow) -> None:
        if flow.device:
            device = self.site.authority.devices.get(flow.device)
            if device is not None:
                device.declined = True
            self.site.flows.pop(flow.id, None)
            self.log_refusal(RefusalError(65004), flow)
            self.show("declined.html", flow=flow)
        elif flow.purpose.startswith("adminconsent"):
            error = "permission_denied" if flow.purpose == "adminconsent-v1" else ""
            text = "The resource owner or authorization server denied the request."
            self.redirect_with_error(flow, RefusalError(65004, error=error, text=text))
        else:
            self.redirect_with_error(flow, RefusalError(65004), error_subcode="cancel")

    def _submitted_approval(self, flow: Flow, user: User) -> None:
        assert flow.tenant is not None  # noqa: S101 - a user has signed in
        answer = self.argument("answer")
        if answer == "return":
            number = 90095 if flow.tenant.policies.consent_requests else 90094
            self.redirect_with_error(
                flow, RefusalError(number, tenant=flow.tenant.name, name=flow.app_name)
            )
        elif answer == "other":
            self.ask_name(flow)
        elif answer == "request" and flow.tenant.policies.consent_requests:
            requested = self.requested_permissions(flow)
            state = self.site.state
            consent.request(
                state, flow.client, flow.tenant, user, requested, self.argument("reason")
            )
            self.show("requested.html", flow=flow)
        else:
            self.show_next_page(flow)


_DECISIONS = {
    "confirm": "_submitted_confirmation",
    "consent": "_submitted_consent",
    "approval": "_submitted_approval",
}
